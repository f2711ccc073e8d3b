//! Runs a test machine's checklist step by step, over restarts, and writes the report.
//!
//! The checklist is a file (`scripts/verify.toml`), so that it can be read, reviewed and checked without a machine; this
//! program knows nothing of drivers. `scripts/verify.ps1` starts it and has Windows start it again after each restart.

mod command;
mod journal;
mod operator;
mod plan;
mod report;
mod trial;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::Parser;

use crate::{
    journal::{Entry, Journal, Outcome},
    operator::Operator,
    plan::Plan,
    trial::{End, Trial},
};

/// Runs a test machine's checklist step by step, over restarts, and writes the report.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 every step is done; 1 a step failed; 2 the command line or the plan is wrong; 3 the machine is restarting."
)]
struct Cli {
    /// The checklist.
    plan: PathBuf,
    /// Where journal, logs and report go.
    #[arg(long, default_value = "trial")]
    folder: PathBuf,
    /// What a {name} of the plan stands for, as name=value.
    #[arg(long = "set", value_name = "NAME=VALUE")]
    names: Vec<String>,
    /// Forget what was done and start at the first step.
    #[arg(long)]
    again: bool,
    /// Leave this step out; the report says so.
    #[arg(long, value_name = "STEP")]
    skip: Vec<String>,
    /// Nobody is at the machine: leave out what only a person can do.
    #[arg(long)]
    unattended: bool,
    /// Show the steps and their commands; run nothing.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match prepare(&cli) {
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
        Ok(plan) if cli.list => {
            list(&plan);
            ExitCode::SUCCESS
        }
        Ok(plan) => match run(&cli, &plan) {
            Ok(End::Finished) => ExitCode::SUCCESS,
            Ok(End::Failed) => ExitCode::from(1),
            Ok(End::Restarting) => ExitCode::from(3),
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::from(2)
            }
        },
    }
}

fn prepare(cli: &Cli) -> Result<Plan> {
    let mut plan = Plan::read(&cli.plan)?;
    for setting in &cli.names {
        let (name, value) = setting
            .split_once('=')
            .with_context(|| format!("--set {setting}: write it as name=value"))?;
        if !plan.names.contains_key(name) {
            let known: Vec<&str> = plan.names.keys().map(String::as_str).collect();
            bail!("--set {name}: the plan's names are {}", known.join(", "));
        }
        plan.names.insert(name.into(), value.into());
    }
    for id in &cli.skip {
        if !plan.steps.iter().any(|s| s.id == *id) {
            bail!("--skip {id}: no step is called that; --list shows them");
        }
    }
    Ok(plan)
}

fn list(plan: &Plan) {
    for step in &plan.steps {
        println!("{:<28} {}", step.id, step.title);
        for command in step.commands() {
            println!("    {}", plan.expand(command).join(" "));
        }
    }
}

fn run(cli: &Cli, plan: &Plan) -> Result<End> {
    if cli.again {
        Journal::clear(&cli.folder)?;
    }
    let mut journal = Journal::open(&cli.folder)?;
    for id in &cli.skip {
        journal.end(Entry {
            step: id.clone(),
            outcome: Outcome::NotRun("left out by --skip".into()),
            seconds: 0,
            log: None,
        })?;
    }
    let operator = if cli.unattended {
        Operator::Absent
    } else {
        Operator::AtTheTerminal
    };
    let end = Trial {
        plan,
        journal: &mut journal,
        folder: &cli.folder,
        operator,
    }
    .run()?;
    report::write(plan, &journal, &cli.folder)?;
    Ok(end)
}
