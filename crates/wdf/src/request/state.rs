//! Who may end a request: the one atomic in its cell, and every step it takes.
//!
//! Nothing here calls the framework. The same source is explored under loom, its atomics visible (`host/races`): the module above
//! says which `atomic` that is.

use super::atomic::{AtomicU64, Ordering};

/// A `Request` value, a handler or a finisher owns it.
const IDLE: u64 = 0;
/// `park` is between its reference and the return of mark.
const FILLING: u64 = 1;
/// Marked cancelable; nobody has claimed it.
const PARKED: u64 = 2;
/// A finisher is inside unmark.
const CLAIMED: u64 = 3;
/// The cancel callback came while FILLING or CLAIMED and left the request to that party.
const ARRIVED: u64 = 4;
/// Unmark said canceled before the callback came: the callback takes it.
const LOST: u64 = 5;
/// The cancel callback took it.
const TAKEN: u64 = 6;
/// At an I/O target; the completion routine takes it.
const SENT: u64 = 7;
/// The completion routine came while a canceller was inside the cancel call, and writes down what it came with.
const RETURNED: u64 = 8;
/// That canceller has left before the completion routine was done writing: the routine takes the request after all.
const RELEASED: u64 = 9;
/// The completion routine has left the request to that canceller.
const LEFT: u64 = 10;
/// At an I/O target, and a canceller is inside the cancel call. `SENT` less than this is `RETURNED`: see [`State::returned`].
const CANCELING: u64 = 15;

/// The low bits of the word are one of these; the others count parkings and returns.
const PHASE: u64 = 0xF;
/// They are counted in steps of this.
const STEP: u64 = PHASE.wrapping_add(1);
/// What a return adds to the word: the next generation, and from `SENT` to `IDLE`, from `CANCELING` to `RETURNED`.
const RETURN: u64 = STEP.wrapping_sub(SENT);
const _: () = assert!(CANCELING.wrapping_sub(SENT) == RETURNED);

/// Which parking or sending of its request: the next one is another, however alike.
///
/// Sixty bits: they do not come round in the life of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Generation(u64);

impl Generation {
    /// For all-zero places; no parking has it.
    pub(crate) const NONE: Self = Self(0);

    const fn of(word: u64) -> Self {
        Self(word & !PHASE)
    }

    const fn in_phase(self, phase: u64) -> u64 {
        self.0 | phase
    }

    const fn next(self) -> Self {
        Self(self.0.wrapping_add(STEP))
    }
}

/// What an attempt to claim a parked request gave.
pub(crate) enum Claimed {
    /// Unmarked: owned, not canceled.
    Owned,
    /// The callback came first and left it to the claimer.
    Canceled,
    /// Somebody else has it, or the callback will.
    No,
}

/// Invariant: its phase goes the ways drawn in the module above, and no others; of all parties at it exactly one may end the request.
/// Its generation changes in [`filling`](Self::filling) and [`returned`](Self::returned) only, so a token of an earlier parking or sending
/// matches nothing ever after. All zero is valid.
#[derive(Default)]
#[repr(transparent)]
pub(crate) struct State(AtomicU64);

impl State {
    /// The generation, for its owner: nobody else changes it.
    fn generation(&self) -> Generation {
        Generation::of(self.0.load(Ordering::Relaxed))
    }

    fn exchange(&self, from: u64, to: u64) -> bool {
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The caller owns the request: nothing else is going on.
    pub(crate) fn idle(&self) {
        let idle = self.generation().in_phase(IDLE);
        self.0.store(idle, Ordering::Release);
    }

    /// The owner is about to mark it cancelable: a parking of its own begins.
    pub(crate) fn filling(&self) -> Generation {
        let next = self.generation().next();
        self.0.store(next.in_phase(FILLING), Ordering::Release);
        next
    }

    /// Mark succeeded. False: the callback came in between and has left the request, canceled, to the caller.
    pub(crate) fn marked(&self, parking: Generation) -> bool {
        self.exchange(parking.in_phase(FILLING), parking.in_phase(PARKED)) || {
            self.idle();
            false
        }
    }

    /// Claims a parked request, if this is still the parking that is meant: `unmark` is called by the one winner only, and says
    /// whether the framework took the mark off.
    pub(crate) fn claim(&self, parking: Generation, unmark: impl FnOnce() -> bool) -> Claimed {
        if !self.exchange(parking.in_phase(PARKED), parking.in_phase(CLAIMED)) {
            return Claimed::No;
        }
        if unmark() {
            // The callback has not been and will not be called (R-CAN-30).
            self.idle();
            return Claimed::Owned;
        }
        // The callback has come or will (R-CAN-31): whoever is second here takes the request.
        if self.exchange(parking.in_phase(CLAIMED), parking.in_phase(LOST)) {
            return Claimed::No;
        }
        self.idle();
        Claimed::Canceled
    }

    /// Claims whatever parking there is: for a party that means the request and not a parking of it.
    pub(crate) fn claim_any(&self, unmark: impl FnOnce() -> bool) -> Claimed {
        self.claim(self.current(), unmark)
    }

    /// The cancel callback came. True: it takes the request; false: it has left it to the party that is at it.
    pub(crate) fn callback(&self) -> bool {
        loop {
            let word = self.0.load(Ordering::Acquire);
            let next = match word & PHASE {
                FILLING | CLAIMED => ARRIVED,
                PARKED | LOST => TAKEN,
                _ => return false,
            };
            if self.exchange(word, Generation::of(word).in_phase(next)) {
                return next == TAKEN;
            }
        }
    }

    /// Whether this parking lasts and nobody has claimed it.
    pub(crate) fn is_parked(&self, parking: Generation) -> bool {
        self.0.load(Ordering::Acquire) == parking.in_phase(PARKED)
    }

    /// The owner is about to send it.
    pub(crate) fn sent(&self) -> Generation {
        // An owner that can send finds it IDLE: one instruction sets the phase.
        let word = self.0.load(Ordering::Relaxed);
        self.0.store(word | SENT, Ordering::Release);
        Generation::of(word)
    }

    /// Whether it is at an I/O target.
    pub(crate) fn is_sent(&self) -> bool {
        matches!(self.0.load(Ordering::Acquire) & PHASE, SENT | CANCELING)
    }

    /// The completion routine came. True: it owns the request. False: a canceller is inside the cancel call, and a request that
    /// goes on now could be tagged canceled in its next sending (R-CAN-74): [`leave`](Self::leave) decides.
    #[inline]
    pub(crate) fn returned(&self) -> bool {
        // One instruction: every request that is carried comes this way.
        self.0.fetch_add(RETURN, Ordering::AcqRel) & PHASE == SENT
    }

    /// The completion routine, after a `returned` that was false and after writing down what it came with, leaves the request to the
    /// canceller. False: the canceller has gone meanwhile, and the routine owns the request.
    pub(crate) fn leave(&self) -> bool {
        let generation = self.generation();
        self.exchange(generation.in_phase(RETURNED), generation.in_phase(LEFT)) || {
            self.idle();
            false
        }
    }

    /// A synchronous send has come back, on the sender's own thread: it is the owner whoever else is there.
    pub(crate) fn returned_to_sender(&self) {
        let next = self.generation().next();
        self.0.store(next.in_phase(IDLE), Ordering::Release);
    }

    /// Cancels this sending, unless the request has come back or is being canceled already: `cancel` is called where neither its
    /// completion routine nor anybody else goes on with the request. True: the request came back meanwhile and is the caller's.
    pub(crate) fn cancel_sent(&self, sending: Generation, cancel: impl FnOnce()) -> bool {
        if !self.exchange(sending.in_phase(SENT), sending.in_phase(CANCELING)) {
            return false;
        }
        cancel();
        if self.exchange(sending.in_phase(CANCELING), sending.in_phase(SENT)) {
            return false;
        }
        let back = sending.next();
        if self.exchange(back.in_phase(RETURNED), back.in_phase(RELEASED)) {
            return false;
        }
        self.exchange(back.in_phase(LEFT), back.in_phase(IDLE))
    }

    /// The sending there is, for a party that means the request and not a sending of it.
    pub(crate) fn current(&self) -> Generation {
        Generation::of(self.0.load(Ordering::Acquire))
    }
}
