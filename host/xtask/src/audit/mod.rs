//! `cargo xtask audit`: what an image must be before Windows would load it, and before we would ship it.
//!
//! The rules are those of docs/filter-rules.md, 21.

mod code;
mod headers;
mod imports;
mod strings;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use object::read::pe::PeFile64;

use crate::{arch::Arch, drivers, project::Project};
use imports::Allowed;

/// The outcome of one check.
#[derive(Debug)]
pub struct Finding {
    /// What was checked.
    pub check: &'static str,
    /// What was found; the failures, if any.
    pub result: Result<String, Vec<String>>,
}

impl Finding {
    fn new(check: &'static str, failures: Vec<String>, good: impl Into<String>) -> Self {
        let result = if failures.is_empty() {
            Ok(good.into())
        } else {
            Err(failures)
        };
        Self { check, result }
    }
}

/// Runs every check on one image called `name` (without `.sys`).
pub fn findings(
    name: &str,
    bytes: &[u8],
    allowed: &Allowed,
    project: &Project,
) -> Result<Vec<Finding>> {
    let pe = PeFile64::parse(bytes).context(
        "not a 64-bit PE image (truncated or corrupted?); build it with `cargo xtask build`",
    )?;
    let mut all = headers::check(&pe, bytes);
    all.push(imports::check(name, &pe, allowed)?);
    all.push(match headers::arch(&pe) {
        // The rule is about state of the x86 that nobody saves; ARM64 has none of it.
        Some(Arch::Arm64) => Finding::new("instructions", Vec::new(), "ARM64: not decoded"),
        _ => code::check(&pe)?,
    });
    all.push(strings::check(bytes, project));
    Ok(all)
}

/// Audits the images named, or ferry and pier; prints a table; gives the number of checks.
pub fn run(project: &Project, images: &[PathBuf]) -> Result<usize> {
    let allowed = Allowed::read(&project.path("cross/imports.toml"))?;
    let images: Vec<PathBuf> = if images.is_empty() {
        let sys = |d| project.images().join(format!("{d}.sys"));
        drivers::DRIVERS.iter().map(sys).collect()
    } else {
        images.to_vec()
    };
    let (mut checks, mut failed) = (0, 0);
    for image in &images {
        let bytes = fs::read(image)
            .with_context(|| format!("{} (run `cargo xtask build` first)", image.display()))?;
        let name = image.file_stem().unwrap_or_default().to_string_lossy();
        println!(
            "{}",
            image
                .strip_prefix(project.root())
                .unwrap_or(image)
                .display()
        );
        let all = findings(&name, &bytes, &allowed, project)
            .with_context(|| image.display().to_string())?;
        checks += all.len();
        for finding in all {
            match finding.result {
                Ok(good) => println!("  ok    {:<16} {good}", finding.check),
                Err(bad) => {
                    failed += 1;
                    for line in bad {
                        println!("  FAIL  {:<16} {line}", finding.check);
                    }
                }
            }
        }
    }
    if failed > 0 {
        bail!("audit: {failed} of {checks} checks failed");
    }
    Ok(checks)
}

#[cfg(test)]
mod tests;
