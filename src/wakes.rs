//! Whether the pump is scheduled, runs, and must look again: one atomic.
//!
//! Nothing here calls the framework. The same source is explored under loom, its atomic visible (`host/races`): the module above says which
//! `atomic` that is.

use super::atomic::{AtomicU8, Ordering};

/// Not scheduled.
const IDLE: u8 = 0;
/// Scheduled or running, and it has seen everything so far.
const RUNNING: u8 = 1;
/// Scheduled or running, with something to look at since.
const AGAIN: u8 = 2;

/// Invariant: whoever takes it from IDLE schedules one run, and only that run takes it back to IDLE: two runs never overlap.
#[derive(Default)]
pub(crate) struct Wakes(AtomicU8);

impl Wakes {
    /// There is something to look at, put down before this call. True: the caller schedules a run.
    pub(crate) fn wake(&self) -> bool {
        self.0.swap(AGAIN, Ordering::AcqRel) == IDLE
    }

    /// The run looks now. It reads what it overwrites: a store would let what was put down before a wake be overlooked with the wake.
    pub(crate) fn look(&self) {
        self.0.swap(RUNNING, Ordering::AcqRel);
    }

    /// The run has looked. True: nothing came meanwhile, and it is over.
    pub(crate) fn rest(&self) -> bool {
        self.0
            .compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}
