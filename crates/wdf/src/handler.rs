//! Handlers as zero-sized function items.
//!
//! The framework's callbacks carry no closure state, so a handler is a `fn` item or a closure that captures nothing: a type of size 0 whose value
//! can be recalled from the type alone inside the trampoline.

use core::ptr::NonNull;

/// A handler type: nothing to store, nothing to drop, callable from any thread.
pub trait Stateless: Copy + Sync + 'static {}
impl<F: Copy + Sync + 'static> Stateless for F {}

/// Accepts a handler by value: proof that a value of `F` exists.
pub(crate) fn hand_in<F: Stateless>(_handler: F) {
    const {
        assert!(
            size_of::<F>() == 0,
            "a handler is a fn item or a closure that captures nothing"
        );
    };
}

/// Makes the handler again.
///
/// # Safety
/// A value of `F` was given to [`hand_in`].
pub(crate) unsafe fn recall<F: Stateless>() -> F {
    const {
        assert!(
            size_of::<F>() == 0,
            "a handler is a fn item or a closure that captures nothing"
        );
    };
    // SAFETY: F has size 0 and is inhabited (contract): any aligned address holds a value of it; `Copy` allows another.
    unsafe { *NonNull::<F>::dangling().as_ref() }
}
