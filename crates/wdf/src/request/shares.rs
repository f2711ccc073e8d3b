//! How many hold a share of a lent request, and who gets it back: one atomic.
//!
//! Nothing here calls the framework. As `state`, explored under loom (`host/races`).

use super::atomic::{AtomicU32, Ordering};

/// It is marked cancelable: the mark is one share more.
const MARK: u32 = 1 << 31;
/// The cancel callback has come, told everybody and given the mark's share back.
const CANCELED: u32 = 1 << 30;
/// The last share is inside unmark.
const UNMARKING: u32 = 1 << 29;
/// Unmark said canceled before the callback was done telling: the callback takes the request when it is.
const LOST: u32 = 1 << 28;
/// The low bits count the shares outstanding, the mark's not included.
const COUNT: u32 = LOST - 1;

/// What became of a share that was given back.
pub(crate) enum Back {
    /// It was the last: the caller owns the request, which is not canceled.
    Owned,
    /// It was the last, and the cancellation has been told: the caller owns the request.
    Canceled,
    /// Others hold shares, or the callback has it.
    No,
}

/// Invariant: goes from 0 to at least one share by [`lend`](Self::lend), and back to 0 by exactly one party, which owns the request. All zero
/// is valid: not lent.
#[derive(Default)]
#[repr(transparent)]
pub(crate) struct Shares(AtomicU32);

impl Shares {
    /// The owner lends the request: one share, and the mark's if it is about to be marked.
    pub(crate) fn lend(&self, marked: bool) {
        self.0
            .store(if marked { MARK | 1 } else { 1 }, Ordering::Release);
    }

    /// Mark failed: no callback will come, and the only share is the caller's.
    pub(crate) fn take_back(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// One share more. False: there are as many as can be counted. The caller holds one.
    pub(crate) fn another(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                (word & COUNT < COUNT).then(|| word.wrapping_add(1))
            })
            .is_ok()
    }

    /// Gives a share back. `unmark` is called by the last one of a marked request only, before the callback can have been done with it.
    pub(crate) fn give_back(&self, unmark: impl FnOnce() -> bool) -> Back {
        loop {
            let word = self.0.load(Ordering::Acquire);
            let last = word & COUNT == 1;
            let next = match (last, word & MARK != 0) {
                (false, _) => word.wrapping_sub(1),
                (true, false) => 0,
                (true, true) => UNMARKING,
            };
            if !self.exchange(word, next) {
                continue;
            }
            return match next {
                0 if word & CANCELED != 0 => Back::Canceled,
                0 => Back::Owned,
                UNMARKING => self.unmarked(unmark()),
                _ => Back::No,
            };
        }
    }

    fn unmarked(&self, in_time: bool) -> Back {
        if in_time {
            // The callback has not been and will not be called (R-CAN-30).
            self.take_back();
            return Back::Owned;
        }
        // It has come or will (R-CAN-31): whoever is second here takes the request.
        if self.exchange(UNMARKING, LOST) {
            return Back::No;
        }
        self.take_back();
        Back::Canceled
    }

    /// The cancel callback has told everybody and gives the mark's share back. True: it was the last, and the callback owns the request.
    pub(crate) fn told(&self) -> bool {
        loop {
            let word = self.0.load(Ordering::Acquire);
            let next = match word {
                LOST => 0,
                UNMARKING => CANCELED,
                word => (word & !MARK) | CANCELED,
            };
            if self.exchange(word, next) {
                return word == LOST;
            }
        }
    }

    fn exchange(&self, from: u32, to: u32) -> bool {
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}
