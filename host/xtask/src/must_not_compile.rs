//! Runs `tests/ui`: programs against `wdf` that must not compile, and beside each its twin that must.
//!
//! What a program must fail with is written in it, in the notation of the `ui_test` crate:
//!
//! | comment | means |
//! |---|---|
//! | `//~ E0382` | this line has an error of this code |
//! | `//~ ERROR: text` | this line has an error whose message contains the text; `//~^` means the line above |
//! | `//@error-in-other-file: text` | some error's message contains the text: a constant assertion of `wdf` |
//!
//! Every error must be announced and every announcement must come true. The programs are compiled for the
//! driver's own target with code generated, because constant assertions of generic functions fire only then.
//!
//! Why not `ui_test` itself: 0.30.7 was tried on these programs. It compiles them for the target with `--emit=obj`, and the twins pass; but it matches
//! a diagnostic with one annotation only, so that a program can assert an error's code or its message and not both, and a constant assertion
//! that fires in two instances needs to be announced twice. It would bring 65 crates for what is 150 lines here.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{
    cross_cargo::{CrossCargo, Profile},
    kmdf::KmdfVersion,
    process,
    project::Project,
    toolchain::{TARGET, Toolchain},
    wdk_tree::WdkTree,
};

/// Where the programs are.
pub const FOLDER: &str = "tests/ui";

/// What the name of the program that compiles ends in.
const TWIN: &str = "_ok";

/// Programs that are about no rule of the table but about a known mistake of such crates.
pub const MISTAKE: &str = "mistake_";

/// The names of the programs that must fail, each of which has a twin.
pub fn names(project: &Project) -> Result<BTreeSet<String>> {
    let folder = project.path(FOLDER);
    let mut all = BTreeSet::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        match name.strip_suffix(".rs") {
            Some(name) => all.insert(name.to_string()),
            None => bail!("{FOLDER}/{name} is not a program; remove it"),
        };
    }
    let (twins, programs): (BTreeSet<String>, BTreeSet<String>) =
        all.into_iter().partition(|name| name.ends_with(TWIN));
    for program in &programs {
        if !twins.contains(&format!("{program}{TWIN}")) {
            bail!("{FOLDER}/{program}.rs has no twin {program}{TWIN}.rs that compiles");
        }
    }
    for twin in &twins {
        if !programs.contains(twin.trim_end_matches(TWIN)) {
            bail!("{FOLDER}/{twin}.rs has no program beside it that must fail");
        }
    }
    Ok(programs)
}

/// Compiles every program and its twin; the number of programs that behaved.
pub fn run(project: &Project) -> Result<usize> {
    let names = names(project)?;
    let compiler = Compiler::prepare(project)?;
    let mut wrong = Vec::new();
    for name in &names {
        if let Err(error) = pair(project, &compiler, name) {
            wrong.push(format!("{FOLDER}/{name}.rs: {error:#}"));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n\n"));
    }
    println!(
        "{} programs do not compile, each for the stated reason; their twins do",
        names.len()
    );
    Ok(names.len())
}

fn pair(project: &Project, compiler: &Compiler, name: &str) -> Result<()> {
    let file = project.path(FOLDER).join(format!("{name}.rs"));
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let expected = Expected::read(&text)?;
    let twin = file.with_file_name(format!("{name}{TWIN}.rs"));
    let errors = compiler.errors(&twin)?;
    if let Some(error) = errors.first() {
        bail!("its twin must compile, but:\n{}", error.rendered);
    }
    expected.check(&compiler.errors(&file)?)
}

/// rustc as the cross build calls it, and the crates it built.
struct Compiler {
    rustc: std::path::PathBuf,
    arguments: Vec<String>,
    out: std::path::PathBuf,
}

impl Compiler {
    /// Builds `wdf` once.
    fn prepare(project: &Project) -> Result<Self> {
        let tools = Toolchain::find()?;
        let tree = WdkTree::assemble(project, &tools, KmdfVersion::DEFAULT)?;
        let cross = CrossCargo {
            project,
            tools: &tools,
            tree: &tree,
            profile: Profile::Release,
        };
        let build = || -> Result<Command> {
            let mut cargo = cross.workspace("build")?;
            cargo.args(["--package", "wdf"]);
            Ok(cargo)
        };
        process::run_patched_cargo(&mut build()?)?;
        // The second call compiles nothing: it says where things are.
        let told = process::output(build()?.arg("--message-format=json"))?;

        let profile = Profile::Release.folder();
        let target = tree.target.join(TARGET).join(profile).join("deps");
        let host = tree.target.join(profile).join("deps");
        let mut arguments = vec![
            format!("-Ldependency={}", target.display()),
            format!("-Ldependency={}", host.display()),
            format!("--extern=wdf={}", library(&told, "wdf")?),
        ];
        if tools.rustc.build_std {
            arguments.push("-Zunstable-options".into());
            for name in ["core", "compiler_builtins"] {
                arguments.push(format!(
                    "--extern=noprelude:{name}={}",
                    library(&told, name)?
                ));
            }
        }
        Ok(Self {
            rustc: tools.rustc.path.clone(),
            arguments,
            out: tree.target.with_file_name("program.obj"),
        })
    }

    /// The errors rustc has to say about `program`.
    fn errors(&self, program: &Path) -> Result<Vec<Diagnostic>> {
        let out = Command::new(&self.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .args(["--edition=2024", "--crate-type=lib", "--crate-name=program"])
            .args(["--target", TARGET, "--emit=obj", "--error-format=json"])
            .arg("-o")
            .arg(&self.out)
            .args(&self.arguments)
            .arg(program)
            .output()
            .with_context(|| format!("cannot start {}", self.rustc.display()))?;
        let told = String::from_utf8_lossy(&out.stderr);
        let errors = diagnostics(&told, program);
        if out.status.success() != errors.is_empty() {
            bail!("rustc ended with {} and said:\n{told}", out.status);
        }
        Ok(errors)
    }
}

/// The path of a crate cargo built, from its messages.
fn library(told: &str, name: &str) -> Result<String> {
    told.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .filter_map(|message| message["filenames"].as_array().cloned())
        .flatten()
        .filter_map(|file| file.as_str().map(str::to_string))
        .find(|file| file.ends_with(".rlib"))
        .with_context(|| format!("cargo built no library of {name}"))
}

/// An error of the compiler.
#[derive(Debug)]
struct Diagnostic {
    code: Option<String>,
    message: String,
    /// Where in the program; none if it is elsewhere.
    line: Option<u64>,
    rendered: String,
}

/// The errors in rustc's JSON messages about `program`.
fn diagnostics(told: &str, program: &Path) -> Vec<Diagnostic> {
    let program = program.to_string_lossy();
    told.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|d| d["level"] == "error")
        // The last one only counts the others.
        .filter(|d| {
            !d["message"]
                .as_str()
                .is_some_and(|m| m.starts_with("aborting due to"))
        })
        .map(|d| Diagnostic {
            code: d["code"]["code"].as_str().map(str::to_string),
            message: d["message"].as_str().unwrap_or_default().to_string(),
            line: d["spans"].as_array().and_then(|spans| {
                let own = |s: &&Value| s["is_primary"] == true && s["file_name"] == *program;
                spans.iter().find(own)?["line_start"].as_u64()
            }),
            rendered: d["rendered"].as_str().unwrap_or_default().to_string(),
        })
        .collect()
}

/// What a program announces.
#[derive(Debug, Default, PartialEq, Eq)]
struct Expected {
    codes: Vec<(u64, String)>,
    messages: Vec<(u64, String)>,
    elsewhere: Vec<String>,
}

impl Expected {
    fn read(text: &str) -> Result<Self> {
        let mut this = Self::default();
        for (line, number) in text.lines().zip(1..) {
            if let Some((_, text)) = line.split_once("//@error-in-other-file: ") {
                this.elsewhere.push(text.trim().to_string());
            } else if let Some((_, note)) = line.split_once("//~") {
                let above = note.len() - note.trim_start_matches('^').len();
                let at = number - above as u64;
                let note = note.trim_start_matches('^').trim();
                match note.strip_prefix("ERROR: ") {
                    Some(text) => this.messages.push((at, text.to_string())),
                    None if note.starts_with('E') && note.len() == 5 => {
                        this.codes.push((at, note.to_string()));
                    }
                    None => {
                        bail!("line {number}: `//~ {note}` is neither a code nor `ERROR: text`")
                    }
                }
            }
        }
        if this.messages.is_empty() && this.elsewhere.is_empty() {
            bail!("it states no message it must fail with; add `//~ ERROR: text` to the line");
        }
        Ok(this)
    }

    fn check(&self, errors: &[Diagnostic]) -> Result<()> {
        if errors.is_empty() {
            bail!("it compiles, and must not");
        }
        let told = || {
            errors
                .iter()
                .map(|e| e.rendered.as_str())
                .collect::<String>()
        };
        for (line, code) in &self.codes {
            if !errors
                .iter()
                .any(|e| e.line == Some(*line) && e.code.as_ref() == Some(code))
            {
                bail!(
                    "line {line} was to fail with {code}; the compiler says:\n{}",
                    told()
                );
            }
        }
        for (line, text) in &self.messages {
            if !errors
                .iter()
                .any(|e| e.line == Some(*line) && e.message.contains(text))
            {
                bail!(
                    "line {line} was to fail with {text:?}; the compiler says:\n{}",
                    told()
                );
            }
        }
        for text in &self.elsewhere {
            if !errors.iter().any(|e| e.message.contains(text)) {
                bail!(
                    "it was to fail with {text:?}; the compiler says:\n{}",
                    told()
                );
            }
        }
        for error in errors {
            let announced = match error.line {
                Some(line) => self
                    .messages
                    .iter()
                    .any(|(at, text)| *at == line && error.message.contains(text)),
                None => false,
            } || self.elsewhere.iter().any(|t| error.message.contains(t));
            if !announced {
                bail!("it also fails for another reason:\n{}", error.rendered);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "let a = r; //~ E0382\n//~^ ERROR: use of moved value\n";

    fn error(line: Option<u64>, code: &str, message: &str) -> Diagnostic {
        Diagnostic {
            code: Some(code.into()),
            message: message.into(),
            line,
            rendered: String::new(),
        }
    }

    #[test]
    fn the_announced_error_is_accepted() {
        let expected = Expected::read(PROGRAM).unwrap();
        let errors = [error(Some(1), "E0382", "use of moved value: `r`")];
        assert!(expected.check(&errors).is_ok());
    }

    #[test]
    fn another_line_code_message_or_a_further_error_is_refused() {
        let expected = Expected::read(PROGRAM).unwrap();
        let right = || error(Some(1), "E0382", "use of moved value: `r`");
        for errors in [
            vec![],
            vec![error(Some(2), "E0382", "use of moved value: `r`")],
            vec![error(Some(1), "E0505", "use of moved value: `r`")],
            vec![error(Some(1), "E0382", "borrow of moved value: `r`")],
            vec![right(), error(Some(2), "E0425", "cannot find value `x`")],
            vec![right(), error(None, "E0080", "evaluation panicked")],
        ] {
            assert!(expected.check(&errors).is_err(), "{errors:?}");
        }
    }

    #[test]
    fn a_program_that_states_no_message_is_refused() {
        assert!(Expected::read("let a = r; //~ E0382\n").is_err());
    }
}
