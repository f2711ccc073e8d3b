//! Counters.

use core::sync::atomic::{AtomicU64, Ordering};

use ferry_abi::{Message, control::Stats};

/// One counter. A request is counted before it passes the point, so that whoever has seen it pass finds it counted.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// It did not pass after all.
    pub(crate) fn uncount(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of a device. [`Stats`] says what each means.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) reads: Counter,
    pub(crate) writes: Counter,
    pub(crate) controls: Counter,
    pub(crate) internal: Counter,
    pub(crate) forwarded: Counter,
    pub(crate) skipped: Counter,
    pub(crate) completed: Counter,
    pub(crate) canceled: Counter,
    pub(crate) held: Counter,
    pub(crate) delayed: Counter,
    pub(crate) failed: Counter,
}

impl Counters {
    /// All of them, and what follows: presented and not yet ended is in flight.
    pub(crate) fn stats(&self) -> Stats {
        // Ends first: a request that ends between the readings is counted as in flight, never as a negative number.
        let ended = [&self.completed, &self.canceled, &self.failed].map(Counter::get);
        let presented =
            [&self.reads, &self.writes, &self.controls, &self.internal].map(Counter::get);
        let ([completed, canceled, failed], [reads, writes, controls, internal]) =
            (ended, presented);
        Stats {
            header: Stats::expected(),
            reads,
            writes,
            controls,
            internal,
            forwarded: self.forwarded.get(),
            skipped: self.skipped.get(),
            completed,
            canceled,
            held: self.held.get(),
            delayed: self.delayed.get(),
            failed,
            in_flight: sum(presented).saturating_sub(sum(ended)),
            forgotten: 0,
            backlogged: 0,
            dropped: 0,
            split: 0,
            chunks: 0,
            timed_out: 0,
            aborted: 0,
        }
    }
}

fn sum<const N: usize>(counts: [u64; N]) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}
