//! `cargo xtask spec`: the specification beside drydock.
//!
//! A statement is *implemented* where the model's code names it, *proven* where the doc comment of a test names it or a
//! conformance scenario that names it prints what Microsoft's framework printed, *not modelled* where
//! `host/drydock/spec/not-modelled.toml` says so with a reason, and else *open*. A test names each statement it proves: a
//! range in its comment ("R-QUE-120 to R-QUE-125") is an error, because nobody has checked what of it the test shows.

mod id;
mod index;
mod report;
mod sources;

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{conform, project::Project};

use self::{
    id::{Id, Mention},
    index::Index,
    report::Standing,
};

/// The specification.
const SPECIFICATION: &str = "host/drydock/spec/kmdf-request-lifecycle.md";
/// What drydock leaves out.
const NOT_MODELLED: &str = "host/drydock/spec/not-modelled.toml";
/// The model.
const MODEL: &str = "host/drydock/src";
/// Tests outside the model.
const TESTS: [&str; 2] = ["host/drydock/tests", "tests"];
/// Everything whose mentions of the specification are checked. The tests of this command name what does not exist.
const MENTIONING: [&str; 7] = [
    "crates",
    "docs",
    "drivers",
    "host/drydock",
    "host/ferryctl",
    "src",
    "tests",
];

/// What to print.
#[derive(Debug, clap::Args, Default)]
pub struct Args {
    /// List the statements of a group (OBJ, QUE, REQ, CAN, TGT, DEV, CHK, or A to G), each with what stands for it
    #[arg(long, value_name = "GROUP")]
    list: Option<String>,
    /// Only what is still open in that list
    #[arg(long, requires = "list")]
    open: bool,
    /// Print the index for programs to read
    #[arg(long, conflicts_with = "list")]
    json: bool,
    /// Do not run the conformance driver; its scenarios then prove nothing
    #[arg(long)]
    without_conformance: bool,
}

/// Statements left out, by identifier.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NotModelled {
    #[serde(default)]
    statement: Vec<LeftOut>,
}

/// One of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeftOut {
    id: String,
    reason: String,
}

/// Prints where drydock stands; gives how many statements are proven. Contradictions and unknown identifiers are errors.
pub fn run(project: &Project, args: &Args) -> Result<usize> {
    let index = Index::read(&project.path(SPECIFICATION))?;
    let mut standing: BTreeMap<Id, Standing> = index
        .entries()
        .map(|(id, _)| (id.clone(), Standing::default()))
        .collect();
    let mut wrong = unknown(project, &index)?;
    wrong.extend(read_sources(project, &index, &mut standing)?);
    if !args.without_conformance {
        read_conformance(project, &index, &mut standing)?;
    }
    wrong.extend(read_left_out(project, &index, &mut standing)?);
    if args.json {
        println!("{}", report::json(&index, &standing)?);
    } else if let Some(group) = &args.list {
        print!("{}", report::list(&index, &standing, group, args.open)?);
    } else {
        print!("{}", report::table(&index, &standing));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    let proven = index.statements().filter(|(id, _)| {
        let standing = standing.get(id);
        standing.is_some_and(|standing| !standing.proven.is_empty())
    });
    Ok(proven.count())
}

/// Mentions of what the specification does not have.
fn unknown(project: &Project, index: &Index) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for folder in MENTIONING {
        let extensions = ["rs", "md", "toml", "c", "h", "inc", "log"];
        for path in files(&project.path(folder), &extensions)? {
            let text = read(&path)?;
            for (number, line) in (1..).zip(text.lines()) {
                for id in index.named_in(line).1 {
                    let path = relative(project, &path);
                    wrong.push(format!("{path}:{number}: {id} is not in the specification"));
                }
            }
        }
    }
    Ok(wrong)
}

/// What the model implements and its tests prove. Gives the tests that claim ranges.
fn read_sources(
    project: &Project,
    index: &Index,
    standing: &mut BTreeMap<Id, Standing>,
) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let tests = TESTS.map(|folder| (folder, true));
    for (folder, only_tests) in [(MODEL, false)].into_iter().chain(tests) {
        for path in files(&project.path(folder), &["rs"])? {
            let name = relative(project, &path);
            let all_tests = only_tests || name.contains("/tests/") || name.ends_with("/tests.rs");
            let source = sources::parse(&read(&path)?, all_tests);
            for id in index.named_in(&source.model).0 {
                standing
                    .entry(id)
                    .or_default()
                    .implemented
                    .insert(name.clone());
            }
            for test in source.tests {
                let proof = format!("{name}: {}", test.name);
                for claim in test.claims() {
                    match claim {
                        // One that does not exist is reported with its line.
                        Mention::One(id) => {
                            if let Some(standing) = standing.get_mut(&id) {
                                standing.proven.insert(proof.clone());
                            }
                        }
                        Mention::Range(from, to) => wrong.push(format!(
                            "{proof} claims {from} to {to}; name each statement it proves"
                        )),
                    }
                }
            }
        }
    }
    Ok(wrong)
}

fn read_conformance(
    project: &Project,
    index: &Index,
    standing: &mut BTreeMap<Id, Standing>,
) -> Result<()> {
    let outcomes = conform::compare(project)?;
    for outcome in outcomes.iter().filter(|outcome| outcome.matches()) {
        let line = outcome
            .want
            .lines()
            .find(|l| l.starts_with("# statements "));
        for id in index.named_in(line.unwrap_or_default()).0 {
            let proof = format!("conformance scenario {}", outcome.name);
            standing.entry(id).or_default().proven.insert(proof);
        }
    }
    Ok(())
}

fn read_left_out(
    project: &Project,
    index: &Index,
    standing: &mut BTreeMap<Id, Standing>,
) -> Result<Vec<String>> {
    let text = read(&project.path(NOT_MODELLED))?;
    let list: NotModelled = toml::from_str(&text).context(NOT_MODELLED)?;
    let mut wrong = Vec::new();
    for entry in list.statement {
        for id in index.named_in(&entry.id).0 {
            let stands = standing.entry(id.clone()).or_default();
            if let Some(file) = stands.implemented.first() {
                wrong.push(format!(
                    "{id} is said to be not modelled, but {file} names it"
                ));
            }
            stands.not_modelled = Some(entry.reason.clone());
        }
        if entry.reason.trim().is_empty() {
            wrong.push(format!("{} is left out without a reason", entry.id));
        }
    }
    Ok(wrong)
}

/// Files below a folder with one of these extensions, in order of their names.
pub fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            // Cargo marks what it builds; a folder of the model is called target, too.
            if !path.join("CACHEDIR.TAG").exists() {
                found.extend(files(&path, extensions)?);
            }
        } else if extensions
            .iter()
            .any(|e| path.extension() == Some(OsStr::new(e)))
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn relative(project: &Project, path: &Path) -> String {
    let path = path.strip_prefix(project.root()).unwrap_or(path);
    path.display().to_string()
}
