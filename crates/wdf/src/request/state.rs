//! Who may end a request: the one atomic in its cell, and every step it takes.
//!
//! Nothing here calls the framework. The same source is explored under loom, its atomics visible (`host/races`): the module above
//! says which `atomic` that is.

use super::atomic::{AtomicU8, Ordering};

/// A `Request` value, a handler or a finisher owns it.
const IDLE: u8 = 0;
/// `park` is between its reference and the return of mark.
const FILLING: u8 = 1;
/// Marked cancelable; nobody has claimed it.
const PARKED: u8 = 2;
/// A finisher is inside unmark.
const CLAIMED: u8 = 3;
/// The cancel callback came while FILLING or CLAIMED and left the request to that party.
const ARRIVED: u8 = 4;
/// Unmark said canceled before the callback came: the callback takes it.
const LOST: u8 = 5;
/// The cancel callback took it.
const TAKEN: u8 = 6;
/// At an I/O target; the completion routine takes it.
const SENT: u8 = 7;

/// What an attempt to claim a parked request gave.
pub(crate) enum Claimed {
    /// Unmarked: owned, not canceled.
    Owned,
    /// The callback came first and left it to the claimer.
    Canceled,
    /// Somebody else has it, or the callback will.
    No,
}

/// Invariant: it goes the ways drawn in the module above, and no others; of all parties at it exactly one may end the request. All zero is valid.
#[derive(Default)]
#[repr(transparent)]
pub(crate) struct State(AtomicU8);

impl State {
    fn exchange(&self, from: u8, to: u8) -> bool {
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The caller owns the request: nothing else is going on.
    pub(crate) fn idle(&self) {
        self.0.store(IDLE, Ordering::Release);
    }

    /// The owner is about to mark it cancelable.
    pub(crate) fn filling(&self) {
        self.0.store(FILLING, Ordering::Release);
    }

    /// Mark succeeded. False: the callback came in between and has left the request, canceled, to the caller.
    pub(crate) fn marked(&self) -> bool {
        self.exchange(FILLING, PARKED) || {
            self.idle();
            false
        }
    }

    /// Claims a parked request: `unmark` is called by the one winner only, and says whether the framework took the mark off.
    pub(crate) fn claim(&self, unmark: impl FnOnce() -> bool) -> Claimed {
        if !self.exchange(PARKED, CLAIMED) {
            return Claimed::No;
        }
        if unmark() {
            // The callback has not been and will not be called (R-CAN-30).
            self.idle();
            return Claimed::Owned;
        }
        // The callback has come or will (R-CAN-31): whoever is second here takes the request.
        if self.exchange(CLAIMED, LOST) {
            return Claimed::No;
        }
        self.idle();
        Claimed::Canceled
    }

    /// The cancel callback came. True: it takes the request; false: it has left it to the party that is at it.
    pub(crate) fn callback(&self) -> bool {
        loop {
            let state = self.0.load(Ordering::Acquire);
            let next = match state {
                FILLING | CLAIMED => ARRIVED,
                PARKED | LOST => TAKEN,
                _ => return false,
            };
            if self.exchange(state, next) {
                return next == TAKEN;
            }
        }
    }

    /// Whether it is parked and nobody has claimed it.
    pub(crate) fn is_parked(&self) -> bool {
        self.0.load(Ordering::Acquire) == PARKED
    }

    /// The owner is about to send it.
    pub(crate) fn sent(&self) {
        self.0.store(SENT, Ordering::Release);
    }

    /// Whether it is at an I/O target.
    pub(crate) fn is_sent(&self) -> bool {
        self.0.load(Ordering::Acquire) == SENT
    }
}
