//! The test app: a table of cases, each a life-cycle behaviour of the drivers by name.
//!
//! A case gets a [`bed::Bed`], drives the drivers as any program could, and fails with a sentence. After each
//! case nothing may be outstanding in ferry or pier; a case that leaves something failed, whatever it said.

pub mod bed;
mod cases;
#[cfg(test)]
mod mission;
mod report;
pub mod victim;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::cli::Exercise;
use crate::output::Output;
use crate::platform::{Platform, Result};
use bed::{Bed, Skipped};
use report::{Outcome, Report, Verdict};

/// One behaviour.
pub struct Case {
    /// `group/behaviour`.
    pub name: &'static str,
    /// What it shows, as a sentence.
    pub shows: &'static str,
    /// Drives the drivers; an error is the reason why it failed.
    pub run: fn(&Bed<'_>) -> Result<()>,
}

/// All cases, in the order they run.
fn table() -> Vec<&'static Case> {
    cases::ALL.iter().flat_map(|group| group.iter()).collect()
}

fn selected(options: &Exercise) -> Vec<&'static Case> {
    let wanted = options.filter.as_deref().unwrap_or("");
    table()
        .into_iter()
        .filter(|case| case.name.contains(wanted))
        .collect()
}

/// `exercise --list`.
///
/// # Errors
/// Standard output is gone.
pub fn list(out: Output, options: &Exercise) -> Result<()> {
    out.say(&report::Listed(selected(options)))
}

/// `exercise`. False if a case failed.
///
/// # Errors
/// The drivers cannot be reached at all, or no case was selected.
pub fn run(platform: &dyn Platform, out: Output, options: &Exercise) -> Result<bool> {
    let cases = selected(options);
    if cases.is_empty() {
        bail!(
            "no case has {:?} in its name; `exercise --list` shows all",
            options.filter.as_deref().unwrap_or("")
        );
    }
    let bed = Bed::new(platform, &options.device).context("the drivers cannot be exercised")?;
    let start = Instant::now();
    let bar = out.bar(cases.len() as u64, "{bar:30} {pos}/{len}  {elapsed}  {msg}");
    bar.enable_steady_tick(Duration::from_millis(100));
    let mut report = Report::default();
    for case in cases {
        bar.set_message(case.name);
        let outcome = run_one(&bed, case);
        if !out.json {
            bar.suspend(|| println!("{outcome}"));
        }
        report.outcomes.push(outcome);
        bar.inc(1);
    }
    bar.finish_and_clear();
    report.took = start.elapsed();
    out.say(&report)?;
    Ok(report.failed() == 0 && !(options.none_skipped && report.skipped() > 0))
}

fn run_one(bed: &Bed<'_>, case: &'static Case) -> Outcome {
    let start = Instant::now();
    let result = (case.run)(bed);
    let settled = bed.settle().context("after the case");
    let verdict = match result.and(settled) {
        Ok(()) => Verdict::Passed,
        Err(error) => match error.downcast_ref::<Skipped>() {
            Some(Skipped(why)) => Verdict::Skipped(why),
            None => Verdict::Failed(format!("{error:#}")),
        },
    };
    Outcome {
        case,
        verdict,
        took: start.elapsed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_case_has_its_own_name_and_says_what_it_shows() {
        let cases = table();
        let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), cases.len());
        for case in cases {
            assert!(case.name.contains('/'), "{}", case.name);
            assert!(case.shows.len() > 10, "{}", case.name);
        }
    }
}
