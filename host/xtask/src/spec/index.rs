//! The specification as a list: what `kmdf-request-lifecycle.md` states.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::id::{self, Id, Mention};

/// One statement, pattern or conflict.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub id: String,
    /// Letter of the chapter it stands in.
    pub chapter: char,
    /// `VF`, `FREE`, `UB`, `DOC` with what is said of them; empty: holds always.
    pub modality: Vec<String>,
    /// What is stated.
    pub text: String,
    /// Where it comes from.
    pub provenance: String,
}

/// All entries by identifier.
#[derive(Debug, Default)]
pub struct Index(BTreeMap<Id, Entry>);

impl Index {
    /// Reads the specification.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Takes a specification apart.
    pub fn parse(text: &str) -> Result<Self> {
        let mut index = Self::default();
        let mut chapter = '0';
        for (line, text) in (1..).zip(text.lines()) {
            if let Some(title) = text.strip_prefix("## ") {
                chapter = title.chars().next().unwrap_or('0');
            }
            let Some((id, entry)) = item(text, chapter).or_else(|| row(text, chapter)) else {
                continue;
            };
            if entry.text.is_empty() {
                bail!("line {line}: {id} states nothing");
            }
            if index.0.insert(id.clone(), entry).is_some() {
                bail!("line {line}: {id} is stated twice");
            }
        }
        Ok(index)
    }

    /// The statements (`R-*`).
    pub fn statements(&self) -> impl Iterator<Item = (&Id, &Entry)> {
        self.0.iter().filter(|(id, _)| id.group().is_some())
    }

    /// All entries.
    pub fn entries(&self) -> impl Iterator<Item = (&Id, &Entry)> {
        self.0.iter()
    }

    /// What a text names: the identifiers that exist, and those that do not.
    pub fn named_in(&self, text: &str) -> (Vec<Id>, Vec<Id>) {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for mention in id::mentions(text) {
            let (from, to) = match mention {
                Mention::One(id) => (id.clone(), id),
                Mention::Range(from, to) => (from, to),
            };
            for end in [&from, &to] {
                if !self.0.contains_key(end) && !unknown.contains(end) {
                    unknown.push(end.clone());
                }
            }
            if from <= to {
                known.extend(self.0.range(from..=to).map(|(id, _)| id.clone()));
            } else {
                unknown.push(to);
            }
        }
        (known, unknown)
    }
}

/// The identifier that is all a text names.
fn only(text: &str) -> Option<Id> {
    match id::mentions(text).as_slice() {
        [Mention::One(id)] => Some(id.clone()),
        _ => None,
    }
}

/// `- **R-OBJ-14** (FREE)(UB) text *[provenance]*`
fn item(line: &str, chapter: char) -> Option<(Id, Entry)> {
    let (name, rest) = line.strip_prefix("- **")?.split_once("**")?;
    // Patterns have a title behind the number: `P-01 (finish path).`
    let (name, title) = name.split_once(' ').unwrap_or((name, ""));
    let id = only(name)?;
    let (mut text, mut modality) = (rest.trim(), Vec::new());
    while let Some((mark, rest)) = text.strip_prefix('(').and_then(|t| t.split_once(')')) {
        let kind = mark.split([',', ' ']).next().unwrap_or_default();
        if !matches!(kind, "VF" | "FREE" | "UB" | "DOC") {
            break;
        }
        modality.push(mark.to_owned());
        text = rest.trim_start();
    }
    let (text, provenance) = match text.rsplit_once("*[") {
        Some((text, provenance)) => (text.trim(), provenance.trim_end_matches("]*")),
        None => (text, ""),
    };
    let text = if title.is_empty() {
        text.to_owned()
    } else {
        format!("{title} {text}")
    };
    let provenance = provenance.to_owned();
    let entry = Entry {
        id: id.to_string(),
        chapter,
        modality,
        text,
        provenance,
    };
    Some((id, entry))
}

/// `| R-CHK-10 | condition | result | mode |`
fn row(line: &str, chapter: char) -> Option<(Id, Entry)> {
    let mut cells = line.strip_prefix("| ")?.split('|').map(str::trim);
    let id = only(cells.next()?)?;
    let (condition, result, mode) = (cells.next()?, cells.next()?, cells.next()?);
    let modality = if mode == "always" {
        Vec::new()
    } else {
        vec![mode.to_owned()]
    };
    let entry = Entry {
        id: id.to_string(),
        chapter,
        modality,
        text: format!("{condition}: BREAK, then: {result}"),
        provenance: "as named in the referenced statements".to_owned(),
    };
    Some((id, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
## A. Objects
- **R-OBJ-01** A handle is opaque. *[src: a.cpp]*
- **R-OBJ-02** (FREE)(UB) Not **caught** (see below). *[src: b.cpp]*
- **R-OBJ-03** (VF, clients >= 1.11) BREAK is raised. *[src: c.cpp]*
- **P-01 (finish path).** Unmark first.
## G. Checks
| code | second | third | when | mode | statements |
| --- | --- | --- | --- | --- | --- |
| 0x2 lock | lock | lock | twice | always | R-OBJ-02 |
| R-CHK-10 | use | refused | VF |
| R-CHK-11 | mark | ignored | always |
";

    fn entry(id: &str) -> Entry {
        let index = Index::parse(TEXT).unwrap();
        let found = index.entries().find(|(_, entry)| entry.id == id);
        found.unwrap().1.clone()
    }

    #[test]
    fn items_have_modality_text_and_provenance() {
        assert_eq!(entry("R-OBJ-01").text, "A handle is opaque.");
        assert_eq!(entry("R-OBJ-01").provenance, "src: a.cpp");
        assert!(entry("R-OBJ-01").modality.is_empty());
        assert_eq!(entry("R-OBJ-02").modality, ["FREE", "UB"]);
        assert_eq!(entry("R-OBJ-02").text, "Not **caught** (see below).");
        assert_eq!(entry("R-OBJ-03").modality, ["VF, clients >= 1.11"]);
        assert_eq!(entry("P-01").text, "(finish path). Unmark first.");
    }

    #[test]
    fn rows_that_begin_with_an_identifier_are_statements_and_others_are_not() {
        assert_eq!(entry("R-CHK-10").modality, ["VF"]);
        assert!(entry("R-CHK-11").modality.is_empty());
        assert_eq!(entry("R-CHK-11").chapter, 'G');
        assert_eq!(Index::parse(TEXT).unwrap().statements().count(), 5);
    }

    #[test]
    fn a_statement_made_twice_is_an_error() {
        let twice = format!("{TEXT}- **R-OBJ-01** Again.\n");
        let error = Index::parse(&twice).unwrap_err().to_string();
        assert!(error.contains("R-OBJ-01 is stated twice"), "{error}");
    }

    #[test]
    fn a_range_names_what_exists_between_its_ends() {
        let index = Index::parse(TEXT).unwrap();
        let (known, unknown) = index.named_in("R-OBJ-01..03, R-CHK-12");
        assert_eq!(known.len(), 3);
        let unknown: Vec<String> = unknown.iter().map(Id::to_string).collect();
        assert_eq!(unknown, ["R-CHK-12"]);
    }

    #[test]
    fn the_projects_specification_has_487_statements() {
        let path = crate::project::Project::here().path(super::super::SPECIFICATION);
        let index = Index::read(&path).unwrap();
        assert_eq!(index.statements().count(), 487);
    }
}
