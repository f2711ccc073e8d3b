//! What Rust sources say of the specification: which statements the model names, and which tests prove them.
//!
//! A test proves what the doc comment right above its `#[test]` function names. Everything else that is not test code
//! implements what it names, except the text about a whole file (`//!`): "this file is about R-QUE-40 to R-QUE-58" is no
//! evidence that each of them is there.

use super::id::{self, Mention};

/// A source file taken apart.
#[derive(Debug, Default)]
pub struct Source {
    /// Code and comments of the model, without tests.
    pub model: String,
    /// Tests with their doc comments.
    pub tests: Vec<Test>,
}

/// A test function.
#[derive(Debug, PartialEq, Eq)]
pub struct Test {
    /// Its name, a sentence.
    pub name: String,
    /// Its doc comment.
    pub doc: String,
}

impl Test {
    /// The statements it says it proves.
    pub fn claims(&self) -> Vec<Mention> {
        id::mentions(&self.doc)
    }
}

/// Takes a file apart; `all_tests` for a file of tests.
pub fn parse(text: &str, all_tests: bool) -> Source {
    let mut source = Source::default();
    let mut in_tests = all_tests;
    let (mut doc, mut is_test, mut ignored, mut open) = (String::new(), false, false, 0_i32);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim();
        // Tests of a module stand at the end of its file.
        if line == "#[cfg(test)]" && lines.peek().is_some_and(|next| opens_module(next)) {
            in_tests = true;
        }
        if !in_tests && !line.starts_with("//!") {
            source.model.push_str(line);
            source.model.push('\n');
        }
        if let Some(text) = line.strip_prefix("///") {
            doc.push_str(text);
            doc.push('\n');
            continue;
        }
        if open > 0 || line.starts_with("#[") {
            is_test |= line == "#[test]";
            ignored |= line.starts_with("#[ignore");
            open += balance(line);
            continue;
        }
        let function = line.trim_start_matches("pub ").strip_prefix("fn ");
        if let (true, false, Some((name, _))) =
            (is_test, ignored, function.and_then(|f| f.split_once('(')))
        {
            source.tests.push(Test {
                name: name.to_owned(),
                doc: std::mem::take(&mut doc),
            });
        }
        doc.clear();
        (is_test, ignored) = (false, false);
    }
    source
}

fn opens_module(line: &str) -> bool {
    line.trim_start().starts_with("mod ") && line.trim_end().ends_with('{')
}

/// Brackets an attribute leaves open on this line.
fn balance(line: &str) -> i32 {
    let count = |bracket: char| i32::try_from(line.matches(bracket).count()).unwrap_or(0);
    count('[') - count(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
//! About R-QUE-40 to R-QUE-58.

/// Delivers (R-QUE-41).
fn deliver() {
    violation(\"R-QUE-42\", \"\");
}

#[cfg(test)]
mod tests {
    /// Helper for R-QUE-43.
    fn helper() {}

    /// R-QUE-44, R-QUE-45
    #[test]
    #[expect(
        lint,
        reason = \"x\"
    )]
    fn a_sentence() {}

    /// R-QUE-46
    #[test]
    #[ignore = \"slow\"]
    fn another() {}
}
";

    #[test]
    fn the_model_is_what_is_neither_test_nor_text_about_the_file() {
        let model = parse(TEXT, false).model;
        assert!(model.contains("R-QUE-41") && model.contains("R-QUE-42"));
        assert!(!model.contains("R-QUE-40") && !model.contains("R-QUE-43"));
        assert!(parse(TEXT, true).model.is_empty());
    }

    #[test]
    fn a_test_that_runs_proves_what_its_doc_comment_names() {
        let tests = parse(TEXT, false).tests;
        let doc = " R-QUE-44, R-QUE-45\n".to_owned();
        let name = "a_sentence".to_owned();
        assert_eq!(tests, [Test { name, doc }]);
    }

    #[test]
    fn a_test_that_claims_a_range_is_told_from_one_that_names_statements() {
        let claims = |doc: &str| {
            let test = Test {
                name: "a_sentence".to_owned(),
                doc: doc.to_owned(),
            };
            test.claims()
        };
        let ranges = |doc: &str| {
            let found = claims(doc);
            found
                .iter()
                .filter(|m| matches!(m, Mention::Range(..)))
                .count()
        };
        assert_eq!(claims("R-QUE-44, R-QUE-45: both.").len(), 2);
        assert_eq!(ranges("R-QUE-44, R-QUE-45: both."), 0);
        assert_eq!(ranges("R-QUE-120 to R-QUE-125, R-QUE-129"), 1);
    }

    #[test]
    fn a_declared_test_module_does_not_end_the_model() {
        let source = parse(
            "#[cfg(test)]\nmod tests;\n/// R-QUE-41\nfn model() {}\n",
            false,
        );
        assert!(source.model.contains("R-QUE-41"));
    }
}
