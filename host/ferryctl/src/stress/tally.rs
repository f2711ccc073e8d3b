//! What was sent and what came back, and whether ferry counted the same.

use anyhow::{bail, ensure};
use ferry_abi::control::Stats;
use serde::Serialize;

use crate::platform::Result;

/// Requests by kind and by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Reads sent.
    pub reads: u64,
    /// Writes sent.
    pub writes: u64,
    /// Controls sent.
    pub controls: u64,
    /// Of the controls, those ferry passes down without queuing them.
    pub neither: u64,
    /// Requests a cancellation was asked for.
    pub cancels: u64,
    /// Requests that came back and were checked.
    pub answered: u64,
    /// Of these, canceled.
    pub canceled: u64,
    /// Of these, failed as a rule said.
    pub failed: u64,
    /// Of these, transfers a rule made shorter.
    pub short: u64,
    /// Stamps that reached the device, each in its turn.
    pub stamps: u64,
    /// Writes that filled the device beforehand; not part of the mixture.
    pub filling: u64,
    /// Controls that made the device slow or quick meanwhile; not part of the mixture.
    pub aside: u64,
}

impl Tally {
    /// Requests sent, filling apart.
    pub const fn total(&self) -> u64 {
        self.reads + self.writes + self.controls
    }

    /// Both.
    pub const fn add(&mut self, other: &Self) {
        self.reads += other.reads;
        self.writes += other.writes;
        self.controls += other.controls;
        self.neither += other.neither;
        self.cancels += other.cancels;
        self.answered += other.answered;
        self.canceled += other.canceled;
        self.failed += other.failed;
        self.short += other.short;
        self.stamps += other.stamps;
        self.filling += other.filling;
        self.aside += other.aside;
    }
}

/// What came into ferry is what was sent, and all of it went out again.
///
/// # Errors
/// What does not add up.
pub fn agrees(before: &[Stats], after: &[Stats], sent: &Tally) -> Result<()> {
    let sum = |stats: &[Stats], of: fn(&Stats) -> u64| stats.iter().map(of).sum::<u64>();
    let moved = |of| sum(after, of) - sum(before, of);
    let came = (
        moved(|s| s.reads),
        moved(|s| s.writes),
        moved(|s| s.controls),
        moved(|s| s.skipped),
    );
    let want = (
        sent.reads,
        sent.writes + sent.filling,
        sent.controls - sent.neither + sent.aside,
        sent.neither,
    );
    if came == (0, 0, 0, 0) {
        bail!("no filter device of ferry sits above this device: ferry carried nothing");
    }
    ensure!(
        came == want,
        "ferry counted {came:?} reads, writes, controls, skipped of {want:?}"
    );
    let ended = moved(|s| s.completed + s.canceled + s.failed);
    let presented = sent.total() + sent.filling + sent.aside - sent.neither;
    ensure!(ended == presented, "ferry completed {ended} of {presented}");
    let in_flight = sum(after, |s| s.in_flight);
    ensure!(in_flight == 0, "ferry still has {in_flight} in flight");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    #[test]
    fn counters_that_miss_a_request_are_found() {
        let mut stats = Stats::new_zeroed();
        let before = stats;
        (stats.reads, stats.completed) = (9, 9);
        let sent = |reads| Tally {
            reads,
            ..Tally::default()
        };
        assert!(agrees(&[before], &[stats], &sent(9)).is_ok());
        assert!(agrees(&[before], &[stats], &sent(10)).is_err());
        stats.completed = 8;
        assert!(agrees(&[before], &[stats], &sent(9)).is_err());
        // What filled the device beforehand went through ferry too.
        (stats.reads, stats.writes, stats.completed) = (0, 3, 3);
        let filled = Tally {
            writes: 1,
            filling: 2,
            ..Tally::default()
        };
        assert!(agrees(&[before], &[stats], &filled).is_ok());
    }
}
