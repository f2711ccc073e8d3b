//! `cargo xtask lint-scripts`: the PowerShell scripts, parsed and held to rules, where no PowerShell runs.
//!
//! The grammar is tree-sitter's; the rules are our own, about what has bitten people: an exit code nobody looks at, a
//! mandatory parameter that is not given (Windows PowerShell asks for it and waits), a variable that was never set,
//! a failure that does not say what to do. None of this shows that a script works: that is for a Windows machine.

mod rules;
mod script;
#[cfg(test)]
mod tests;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::project::Project;
use rules::Finding;
use script::Script;

/// What every script starts from; the only one that is dot-sourced.
const BASE: &str = "native.ps1";

/// Lints every script of the repository, and the calls of the checklist; gives the number of files.
///
/// # Errors
/// If there is a finding.
pub fn run(project: &Project) -> Result<usize> {
    let folder = project.path("scripts");
    let scripts = read(&folder)?;
    let checklist = folder.join("verify.toml");
    let plan = fs::read_to_string(&checklist).with_context(|| checklist.display().to_string())?;
    let mut findings = check(&scripts)?;
    findings.extend(rules::checklist_calls(&scripts, &plan)?);
    for finding in &findings {
        println!("scripts/{finding}");
    }
    println!(
        "lint-scripts: {} scripts and the checklist, {} findings",
        scripts.len(),
        findings.len()
    );
    if !findings.is_empty() {
        bail!("{} findings in scripts/, listed above", findings.len());
    }
    Ok(scripts.len() + 1)
}

fn read(folder: &Path) -> Result<Vec<Script>> {
    let mut scripts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "ps1") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            scripts.push(Script::parse(&name, text)?);
        }
    }
    scripts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(scripts)
}

/// Holds each script to every rule.
fn check(scripts: &[Script]) -> Result<Vec<Finding>> {
    let base = scripts
        .iter()
        .find(|s| s.name == BASE)
        .with_context(|| format!("scripts/{BASE} is missing"))?;
    let mut findings = Vec::new();
    for script in scripts {
        rules::check(script, base, scripts, &mut findings);
    }
    findings.sort_by(|a, b| (&a.script, a.line).cmp(&(&b.script, b.line)));
    Ok(findings)
}
