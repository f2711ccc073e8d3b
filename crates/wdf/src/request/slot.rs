//! One place for one value, shared, without a lock.

use core::{cell::UnsafeCell, mem::MaybeUninit};

use super::atomic::{AtomicU8, Ordering};

const EMPTY: u8 = 0;
/// Somebody is moving a value in or out.
const BUSY: u8 = 1;
const FULL: u8 = 2;

/// Room for one token: a [`Held`](super::Held), a [`Parked`](super::Parked), a [`SentToken`](super::SentToken), whatever is `Send`.
///
/// Never waits, never drops what it is given: what does not fit comes back. Lives anywhere, request contexts included; any IRQL.
/// Invariant: `value` is initialised if and only if `state` is `FULL`; only the party that made it `BUSY` touches it.
pub struct Slot<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: one party at a time touches the value (type invariant), which moves between threads.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slot<T> {
    /// An empty slot.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: AtomicU8::new(EMPTY),
            value: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    fn exchange(&self, from: u8, to: u8) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Puts a value in.
    ///
    /// # Errors
    /// The value comes back if there is one in the slot, or just being moved in or out.
    pub fn put(&self, value: T) -> Result<(), T> {
        if !self.exchange(EMPTY, BUSY) {
            return Err(value);
        }
        // SAFETY: BUSY by this call: nobody else touches the place.
        let place = unsafe { &mut *self.value.get() };
        place.write(value);
        self.state.store(FULL, Ordering::Release);
        Ok(())
    }

    /// Takes the value out, if there is one; one that is just being put in is not there yet.
    pub fn take(&self) -> Option<T> {
        if !self.exchange(FULL, BUSY) {
            return None;
        }
        // SAFETY: BUSY by this call: nobody else touches the place.
        let place = unsafe { &*self.value.get() };
        // SAFETY: it was FULL: initialised, and EMPTY from here on.
        let value = unsafe { place.assume_init_read() };
        self.state.store(EMPTY, Ordering::Release);
        Some(value)
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}
