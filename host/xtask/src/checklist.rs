//! One step of the test machine's checklist, carried out by seatrial with the real ferryctl over the real drivers.
//!
//! Its tests stub every command. This shows that the words the checklist puts into ferryctl's mouth are ferryctl's: a
//! request is parked by them, seen to be parked, released, and comes back.

use std::{fs, process::Command};

use anyhow::{Context, Result};

use crate::{dock::Dock, lint, process, project::Project};

/// The step whose request stays parked over what the step does.
const STEP: &str = "sleep-parked";

/// Runs that step, with a command that does nothing in place of the one that would put the machine to sleep.
pub fn parked_step(project: &Project, dock: &Dock) -> Result<()> {
    process::run(lint::host_cargo(project, "build").args(["--package", "seatrial"]))?;
    let folder = project.path("target/checklist");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let plan = folder.join("plan.toml");
    fs::write(
        &plan,
        one_step(&fs::read_to_string(project.path("scripts/verify.toml"))?)?,
    )?;
    let programs = project.path("host/target/debug");
    let mut seatrial = Command::new(programs.join("seatrial"));
    seatrial
        .arg(&plan)
        .arg("--folder")
        .arg(&folder)
        .arg("--set")
        .arg(format!("ferryctl={}", programs.join("ferryctl").display()))
        .env("FERRY_SOCKET", dock.socket());
    process::run(&mut seatrial)
}

/// The checklist with nothing but that step in it.
fn one_step(checklist: &str) -> Result<String> {
    let mut plan: toml::Table = toml::from_str(checklist)?;
    let steps = plan.get_mut("step").and_then(toml::Value::as_array_mut);
    let steps = steps.context("the checklist has steps")?;
    steps.retain(|step| step.get("id").and_then(toml::Value::as_str) == Some(STEP));
    let step = steps.first_mut().and_then(toml::Value::as_table_mut);
    let step = step.with_context(|| format!("the checklist has a step {STEP}"))?;
    step.remove("only_if");
    step.insert("run".into(), toml::Value::Array(vec!["true".into()]));
    Ok(toml::to_string(&plan)?)
}
