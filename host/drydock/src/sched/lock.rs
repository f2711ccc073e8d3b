//! Short locks around model state.

#[cfg(debug_assertions)]
use std::cell::Cell;
use std::ops::{Deref, DerefMut};

#[cfg(debug_assertions)]
thread_local! {
    /// How many locks this OS thread holds. A lock is never held where threads change turns, so the count is right
    /// even where many driver threads share one OS thread.
    static HELD: Cell<u32> = const { Cell::new(0) };
}

/// A lock for model state, held for a few instructions only: never across a call into an image, a scheduling point or
/// a wait.
#[derive(Debug, Default)]
pub struct Lock<T>(parking_lot::Mutex<T>);

/// Access to what a [`Lock`] guards; releases it when dropped.
pub struct LockGuard<'a, T>(parking_lot::MutexGuard<'a, T>);

impl<T> Lock<T> {
    /// Makes a lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(parking_lot::const_mutex(value))
    }

    /// Waits until no other thread holds the lock, and takes it.
    pub fn lock(&self) -> LockGuard<'_, T> {
        let guard = self.0.lock();
        #[cfg(debug_assertions)]
        HELD.with(|held| held.set(held.get() + 1));
        LockGuard(guard)
    }

    /// Takes the lock if nobody holds it.
    pub fn try_lock(&self) -> Option<LockGuard<'_, T>> {
        let guard = self.0.try_lock()?;
        #[cfg(debug_assertions)]
        HELD.with(|held| held.set(held.get() + 1));
        Some(LockGuard(guard))
    }

    /// The value, without locking: nobody else can have it.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut()
    }

    /// The value, out of the lock.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}

impl<T> Deref for LockGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for LockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

#[cfg(debug_assertions)]
impl<T> Drop for LockGuard<'_, T> {
    fn drop(&mut self) {
        HELD.with(|held| held.set(held.get() - 1));
    }
}

/// The world was rewound: whatever was held is not.
pub(super) fn forget_held() {
    #[cfg(debug_assertions)]
    HELD.with(|held| held.set(0));
}

pub(super) fn assert_none_held(place: &str) {
    #[cfg(debug_assertions)]
    HELD.with(|held| {
        assert!(
            held.get() == 0,
            "drydock holds {} of its own locks at {place}: another thread could wait for them forever",
            held.get()
        );
    });
    #[cfg(not(debug_assertions))]
    let _ = place;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "holds 1 of its own locks at sched::point()")]
    fn a_scheduling_point_under_a_lock_is_refused() {
        let lock = Lock::new(());
        let _guard = lock.lock();
        crate::sched::point();
    }
}
