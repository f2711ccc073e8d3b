//! A program that dies with requests in flight.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use ferry_abi::control::ops;

use super::super::bed::Bed;
use super::super::{Case, victim};
use crate::platform::Result;

pub const CASES: &[Case] = &[Case {
    name: "process/killed",
    shows: "a program killed with 50 held, 25 delayed and 25 requests at pier leaves none outstanding",
    run: killed,
}];

/// No case waits for this.
const LONG: Duration = Duration::from_secs(60);

/// Kills its program whatever happens.
struct Victim(Child);

impl Drop for Victim {
    fn drop(&mut self) {
        // It may be dead already, which is what both are for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn killed(bed: &Bed<'_>) -> Result<()> {
    let ferry = bed.ferry()?;
    let before = ferry.stats(bed.filter)?;
    bed.latency(LONG)?;
    ferry.hold(bed.filter, ops::READ, LONG)?;
    ferry.delay(bed.filter, ops::WRITE, LONG)?;
    let mut victim = start(bed)?;
    let stdout = victim.0.stdout.take().context("the victim has no output")?;
    let mut line = String::new();
    BufReader::new(stdout)
        .read_line(&mut line)
        .context("cannot read what the victim says")?;
    ensure!(
        line.trim_end() == victim::READY,
        "the victim could not start its requests; it said {line:?}"
    );
    bed.until(
        &ferry,
        "50 held, 25 delayed and 25 requests at pier",
        |entry| (entry.held, entry.delayed, entry.in_flight) == (50, 25, 100),
    )?;
    drop(victim);
    bed.until_in_flight(&ferry, 0)?;
    let after = ferry.stats(bed.filter)?;
    let presented = |stats: &ferry_abi::control::Stats| stats.reads + stats.writes + stats.controls;
    let ended = |stats: &ferry_abi::control::Stats| stats.completed + stats.canceled + stats.failed;
    let (came, went) = (
        presented(&after) - presented(&before),
        ended(&after) - ended(&before),
    );
    ensure!(came == went, "{came} requests came and {went} ended");
    Ok(())
}

fn start(bed: &Bed<'_>) -> Result<Victim> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let child = Command::new(&program)
        .args(bed.platform.arguments())
        .args([
            "victim",
            "--reads",
            "50",
            "--writes",
            "25",
            "--controls",
            "25",
            "--device",
        ])
        .arg(&bed.path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {} a second time", program.display()))?;
    Ok(Victim(child))
}
