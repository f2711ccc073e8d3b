//! `cargo xtask lint-workflows`: the GitHub workflows, against GitHub's schema and a security linter.
//!
//! check-jsonschema and zizmor come from PyPI, at exact versions, into a virtual environment of their own under target/.
//! Both work without the network once they are there; what zizmor could ask GitHub about is not asked.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{process, project::Project, toolchain};

const TOOLS: [&str; 2] = ["zizmor==1.32.0", "check-jsonschema==0.39.0"];

/// Lints every workflow; gives the number of checks.
pub fn lint(project: &Project) -> Result<usize> {
    let tools = installed(project)?;
    let folder = project.path(".github/workflows");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        files.push(entry?.path());
    }
    files.sort();
    let mut schema = Command::new(tools.join("check-jsonschema"));
    schema
        .args(["--builtin-schema", "vendor.github-workflows"])
        .args(&files);
    process::run(&mut schema)?;
    let mut zizmor = Command::new(tools.join("zizmor"));
    zizmor
        .args(["--offline", "--no-progress", "--quiet"])
        .args(&files);
    process::run(&mut zizmor)?;
    println!("lint-workflows: {} files", files.len());
    Ok(2 * files.len())
}

/// The folder of both programs; installed if they are not there at these versions.
fn installed(project: &Project) -> Result<PathBuf> {
    let environment = project.path("target/tools/workflow-lint");
    let stamp = environment.join("installed");
    let wanted = TOOLS.join(" ");
    let programs = environment.join("bin");
    if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(programs);
    }
    eprintln!("installing {wanted}");
    if environment.exists() {
        fs::remove_dir_all(&environment)?;
    }
    process::output(
        Command::new(toolchain::python()?)
            .args(["-m", "venv"])
            .arg(&environment),
    )?;
    let mut pip = Command::new(programs.join("pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"])
        .args(TOOLS);
    process::output(&mut pip).context("these come from PyPI; is it within reach?")?;
    record(&stamp, &wanted)?;
    Ok(programs)
}

/// Last, so that an installation that was cut off is done again.
fn record(stamp: &Path, wanted: &str) -> Result<()> {
    fs::write(stamp, wanted).with_context(|| stamp.display().to_string())
}
