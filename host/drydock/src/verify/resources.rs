//! Low resources: calls that can fail are made to fail.
//!
//! Whatever a driver must expect to fail for want of memory passes [`failable`]: allocations of pool, creation of
//! objects of the kernel and of the framework, mappings. The calls are numbered in the order they are made, so a
//! systematic run (each number in turn, a run of its own for each) reaches every error path of a start-up, and a random
//! one is repeated by its seed.

use super::settings;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which calls that may fail are made to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LowResources {
    /// None.
    #[default]
    Never,
    /// None, but they are counted.
    Count,
    /// The one with this number, counted from 1.
    Nth(u64),
    /// One in so many, chosen by the seed.
    Random {
        /// The same seed chooses the same numbers.
        seed: u64,
        /// At least 1.
        one_in: u32,
        /// Calls up to this number succeed: a driver that does not start shows little.
        spare: u64,
    },
}

/// A call that was made to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its number, counted from 1.
    pub number: u64,
    /// The function that failed.
    pub site: &'static str,
    /// Who called it: symbolised frames, innermost first.
    pub stack: Vec<String>,
}

static CALLS: AtomicU64 = AtomicU64::new(0);
static FAILURES: Mutex<Vec<Failure>> = Mutex::new(Vec::new());
/// Failures that are remembered; a random run makes very many.
const REMEMBERED: usize = 64;

/// The one gate for calls that can fail for want of resources: true if this call of `site` must fail.
///
/// Called once per call, before it has done anything.
#[inline]
pub fn failable(site: &'static str) -> bool {
    match settings().low_resources {
        LowResources::Never => false,
        plan => decide(plan, site),
    }
}

#[cold]
fn decide(plan: LowResources, site: &'static str) -> bool {
    let number = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    let fails = match plan {
        LowResources::Never | LowResources::Count => false,
        LowResources::Nth(wanted) => number == wanted,
        LowResources::Random {
            seed,
            one_in,
            spare,
        } => number > spare && mix(seed ^ number).is_multiple_of(u64::from(one_in.max(1))),
    };
    if fails {
        let stack = super::section_of("image stack");
        let mut failures = FAILURES.lock();
        if failures.len() < REMEMBERED {
            failures.push(Failure {
                number,
                site,
                stack,
            });
        }
    }
    fails
}

/// SplitMix64's output function.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// How many calls could have failed so far; 0 unless the settings have them counted or failed.
pub fn failable_calls() -> u64 {
    CALLS.load(Ordering::Relaxed)
}

/// The calls that were made to fail so far, the first of them if there were many.
pub fn failures() -> Vec<Failure> {
    FAILURES.lock().clone()
}

/// For reports: what was made to fail, which is where an error path began.
pub(super) fn describe() -> Vec<String> {
    // The report may come from within `decide`.
    let Some(failures) = FAILURES.try_lock() else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for failure in failures.iter().rev().take(4) {
        lines.push(format!("call {}: {}", failure.number, failure.site));
        lines.extend(failure.stack.iter().map(|frame| format!("    {frame}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusty_fork::rusty_fork_test;

    fn low(plan: LowResources) {
        let mut wanted = settings().clone();
        wanted.low_resources = plan;
        super::super::configure(wanted);
    }

    rusty_fork_test! {
        #[test]
        fn the_chosen_call_fails_once_and_is_named() {
            low(LowResources::Nth(3));
            let results: Vec<bool> = (0..6).map(|_| failable("IoAllocateIrp")).collect();
            assert_eq!(results, [false, false, true, false, false, false]);
            assert_eq!(failable_calls(), 6);
            assert_eq!((failures()[0].number, failures()[0].site), (3, "IoAllocateIrp"));
        }

        #[test]
        fn random_failures_spare_the_first_calls_and_hit_about_one_in_so_many() {
            low(LowResources::Random { seed: 7, one_in: 10, spare: 100 });
            let results: Vec<bool> = (0..10_100).map(|_| failable("pool")).collect();
            assert!(results[..100].iter().all(|failed| !failed));
            let failed = results.iter().filter(|failed| **failed).count();
            assert!((800..1200).contains(&failed), "{failed}");
        }

        #[test]
        fn nothing_is_counted_where_nothing_is_to_fail() {
            assert!(!failable("pool"));
            assert_eq!(failable_calls(), 0);
        }
    }
}
