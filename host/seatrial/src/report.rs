//! The report: one Markdown page that says of every step what was run, how it ended, and what was not run.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    journal::{Journal, Outcome},
    plan::{Plan, Step},
};

/// Lines of a failed step's output that the page shows.
const TAIL: usize = 40;

/// Writes `report.md` into `folder`.
///
/// # Errors
/// If it cannot be written.
pub fn write(plan: &Plan, journal: &Journal, folder: &Path) -> Result<()> {
    let path = folder.join("report.md");
    fs::write(&path, text(plan, journal)).with_context(|| path.display().to_string())?;
    println!("report: {}", path.display());
    Ok(())
}

fn text(plan: &Plan, journal: &Journal) -> String {
    let count = |wanted: fn(Option<&Outcome>) -> bool| {
        let steps = plan.steps.iter();
        steps.filter(|s| wanted(journal.outcome(&s.id))).count()
    };
    let mut page = format!(
        "# Report of a test machine\n\n{} passed, {} failed, {} not run, {} still to come.\n\n",
        count(|o| matches!(o, Some(Outcome::Passed))),
        count(|o| matches!(o, Some(Outcome::Failed(_)))),
        count(|o| matches!(o, Some(Outcome::NotRun(_)))),
        count(|o| o.is_none()),
    );
    page += "| step | outcome | seconds | shows |\n|---|---|---|---|\n";
    for step in &plan.steps {
        let entry = journal.last(&step.id);
        let outcome = match entry.map(|e| &e.outcome) {
            None => "still to come".into(),
            Some(Outcome::Passed) => "passed".into(),
            Some(Outcome::Failed(_)) => "**failed**".into(),
            Some(Outcome::NotRun(reason)) => format!("not run: {reason}"),
        };
        let seconds = entry.map(|e| e.seconds.to_string()).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| {} | {outcome} | {seconds} | {} |",
            step.title, step.shows
        );
    }
    for step in &plan.steps {
        if let Some(Outcome::Failed(why)) = journal.outcome(&step.id) {
            failure(&mut page, step, why, journal);
        }
    }
    let retried: Vec<&str> = plan
        .steps
        .iter()
        .map(|s| s.id.as_str())
        .filter(|id| {
            journal
                .record
                .entries
                .iter()
                .filter(|e| e.step == *id)
                .count()
                > 1
        })
        .collect();
    if !retried.is_empty() {
        let _ = writeln!(page, "\nTried more than once: {}.", retried.join(", "));
    }
    page
}

fn failure(page: &mut String, step: &Step, why: &str, journal: &Journal) {
    let log = journal.last(&step.id).and_then(|e| e.log.as_ref());
    let output = log
        .and_then(|l| fs::read_to_string(l).ok())
        .unwrap_or_default();
    let lines: Vec<&str> = output.lines().collect();
    let tail = lines
        .get(lines.len().saturating_sub(TAIL)..)
        .unwrap_or_default();
    let _ = writeln!(
        page,
        "\n## {} failed\n\n{why}\n\nWhat to do: {}\n\n```text\n{}\n```",
        step.title,
        step.if_it_fails,
        tail.join("\n")
    );
}
