//! Sent requests, and the right to cancel one.
//!
//! Nothing in the driver owns a request that is below, but somebody may want it back: a [`SentToken`] cancels that one sending and no other
//! (P-03, R-CAN-74). A completion routine that comes while a canceller is inside the cancel call leaves the request to it, and the
//! canceller runs the handler: a request never goes on while a cancellation meant for its last sending can still reach it.

use core::{cell::UnsafeCell, mem::MaybeUninit, ptr::NonNull};

use wdk_sys::{WDFDEVICE, WDFREQUEST, call_unsafe_wdf_function_binding};

use super::{cell::Cell, state::Generation};
use crate::{
    cx::{CanComplete, Cx},
    object::ObjectRef,
    target::Completion,
};

/// How a completion routine's work is done by somebody else.
#[derive(Clone, Copy)]
pub(crate) struct Leaving {
    /// Runs the handler the request was sent with.
    ///
    /// # Safety
    /// The caller owns the request and gives it up; `device` is a live device.
    pub(crate) handler: unsafe fn(WDFREQUEST, WDFDEVICE, *mut core::ffi::c_void, Completion),
    pub(crate) device: WDFDEVICE,
    pub(crate) context: *mut core::ffi::c_void,
    pub(crate) completion: Completion,
}

/// Room for what a completion routine leaves. All zero is valid: nothing.
///
/// Invariant: written by the completion routine between `returned` and `leave` of the cell's state, read by the canceller `cancel_sent`
/// made the owner; `device` in it carries a reference of its own.
pub(crate) struct Left(UnsafeCell<MaybeUninit<Leaving>>);

/// The completion routine of `request` came. True: it goes on with it. False: it has left it to a canceller, and must not touch it.
///
/// # Safety
/// Within the completion routine of `request`, whose cell is `cell`; `leaving` says what to do with it.
#[inline]
pub(crate) unsafe fn came_back(cell: &Cell, leaving: impl FnOnce() -> Option<Leaving>) -> bool {
    // SAFETY: contract of this function.
    cell.state.returned() || unsafe { meets_canceller(cell, leaving()) }
}

/// The rest of [`came_back`].
///
/// # Safety
/// As there, after a `returned` that was false.
#[cold]
pub(crate) unsafe fn meets_canceller(cell: &Cell, leaving: Option<Leaving>) -> bool {
    let Some(leaving) = leaving else {
        // Nobody could run the handler: the canceller is not waited for.
        cell.state.idle();
        return true;
    };
    // The device outlives the handler wherever that runs: a target waits for its completion routines only, and this one returns.
    // SAFETY: the target's device exists during the completion routine.
    let Some(device) = (unsafe { ObjectRef::acquire(leaving.device.cast()) }) else {
        cell.state.idle();
        return true;
    };
    // SAFETY: between `returned` and `leave` this place is the completion routine's (type invariant).
    let place = unsafe { &mut *cell.left.0.get() };
    place.write(leaving);
    if cell.state.leave() {
        core::mem::forget(device);
        return false;
    }
    true
}

/// Cancels what `request`'s sending `sending` still has below, if it has not come back. Stands for `WdfRequestCancelSentRequest`.
///
/// # Safety
/// The request's object exists during the call, `cell` is its cell; no lock is held: a completion handler may run inside (R-CAN-73).
pub(crate) unsafe fn cancel(request: WDFREQUEST, cell: &Cell, sending: Generation) {
    let back = cell.state.cancel_sent(sending, || {
        // SAFETY: the object exists; legal concurrently with completion (R-CAN-77). What it returns says nothing about the
        // outcome (R-CAN-71).
        let _ = unsafe { call_unsafe_wdf_function_binding!(WdfRequestCancelSentRequest, request) };
    });
    if back {
        // SAFETY: the completion routine has left, and this caller is the one that reads it (type invariant of Left).
        let place = unsafe { &*cell.left.0.get() };
        // SAFETY: written before the request was left here (type invariant of Left).
        let leaving = unsafe { place.assume_init() };
        // SAFETY: left here: this caller owns it, once; the device is referenced.
        unsafe { (leaving.handler)(request, leaving.device, leaving.context, leaving.completion) };
        if let Some(device) = NonNull::new(leaving.device.cast()) {
            // SAFETY: the reference taken when it was left, given back once.
            drop(unsafe { ObjectRef::adopt(device) });
        }
    }
}

/// The right to cancel one sending of a request. Says nothing about its completion, which always comes to the handler it was sent with.
///
/// `Send + Sync + 'static`; keep it anywhere. Once the request has come back it cancels nothing, sent again or not.
/// Invariant: owns one reference on the request object, whose cell therefore exists.
#[must_use = "without the token nobody can cancel the request; `send` is for those nobody will"]
pub struct SentToken {
    request: ObjectRef,
    sending: Generation,
}

impl SentToken {
    /// A token for the sending that is about to begin: the reference comes before the send (R-CAN-75).
    pub(crate) fn new(request: ObjectRef, sending: Generation) -> Self {
        Self { request, sending }
    }

    /// Asks whoever has the request below to give it up. Stands for `WdfRequestCancelSentRequest`. IRQL <= `DISPATCH_LEVEL`.
    ///
    /// The handler the request was sent with may run inside the call (R-CAN-73), which is why no lock may be held, and why surprise removal
    /// is no place for it (R-CAN-82). Does nothing if the request has come back, or if somebody is canceling it already.
    pub fn cancel(&self, _cx: &Cx<'_, impl CanComplete>) {
        let request = self.request.raw().cast();
        // SAFETY: this value's reference keeps the object.
        if let Some(cell) = unsafe { Cell::of(request) } {
            // SAFETY: referenced; the token says that no lock is held.
            unsafe { cancel(request, cell, self.sending) };
        }
    }

    /// Whether the request is still below. Stale at once.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        // SAFETY: this value's reference keeps the object.
        let cell = unsafe { Cell::of(self.request.raw().cast()) };
        cell.is_some_and(|cell| cell.state.is_sent() && cell.state.current() == self.sending)
    }
}
