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

    /// So many more.
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// It did not pass after all.
    pub(crate) fn uncount(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// One more, if `may` says so of the count as it is.
    pub(crate) fn count_if(&self, may: impl Fn(u64) -> bool) -> bool {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                may(count).then_some(count.wrapping_add(1))
            })
            .is_ok()
    }

    pub(crate) fn get(&self) -> u64 {
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
    pub(crate) forgotten: Counter,
    pub(crate) backlogged: Counter,
    pub(crate) dropped: Counter,
    pub(crate) split: Counter,
    pub(crate) chunks: Counter,
    pub(crate) timed_out: Counter,
    pub(crate) aborted: Counter,
}

impl Counters {
    /// Sent and not back.
    pub(crate) fn below(&self) -> u64 {
        let completed = self.completed.get();
        self.forwarded.get().saturating_sub(completed)
    }

    /// All of them, and what follows: presented and not yet ended is in flight.
    pub(crate) fn stats(&self) -> Stats {
        // Ends first: a request that ends between the readings is counted as in flight, never as a negative number.
        let ended = [
            &self.completed,
            &self.canceled,
            &self.failed,
            &self.forgotten,
        ]
        .map(Counter::get);
        let presented =
            [&self.reads, &self.writes, &self.controls, &self.internal].map(Counter::get);
        let ([completed, canceled, failed, forgotten], [reads, writes, controls, internal]) =
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
            forgotten,
            backlogged: self.backlogged.get(),
            dropped: self.dropped.get(),
            split: self.split.get(),
            chunks: self.chunks.get(),
            timed_out: self.timed_out.get(),
            aborted: self.aborted.get(),
        }
    }
}

fn sum<const N: usize>(counts: [u64; N]) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}
