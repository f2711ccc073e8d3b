//! Owned requests that outlive a callback.

use core::{marker::PhantomData, mem::ManuallyDrop, ptr::NonNull};

use wdk_sys::WDFREQUEST__;

use super::{Canceled, Disposition, Kind, Request, complete::finish};
use crate::{
    FinalStatus, Status,
    cx::{CanComplete, Cx},
};

/// A request the driver owns outside any callback: not cancelable, not sent, in nobody else's hands.
///
/// `Send + Sync + 'static`; keep it anywhere, [`Slot`](super::Slot) for one. Its originator waits until it is completed whatever happens
/// (R-REQ-04), removal too, so the queue it came from has a stop handler (this crate creates no other) that sees to it. Prefer
/// [`park`](Request::park) for anything that waits long. Forgetting it loses the request: the one hole no type can close.
/// Invariant: as [`Request`]. Dropping it completes with `STATUS_UNSUCCESSFUL` and counts a fault.
#[must_use]
pub struct Held<K: Kind> {
    request: NonNull<WDFREQUEST__>,
    kind: PhantomData<fn() -> K>,
}

// SAFETY: an owned request may be used from any thread (R-REQ-13).
unsafe impl<K: Kind> Send for Held<K> {}
// SAFETY: `&Held` gives nothing away.
unsafe impl<K: Kind> Sync for Held<K> {}

/// A canceled request the driver owns outside any callback: it can only be completed (R-CAN-46).
///
/// As [`Held`]; dropping it completes with `STATUS_CANCELLED` and counts a fault.
#[must_use]
pub struct HeldCanceled<K: Kind> {
    request: NonNull<WDFREQUEST__>,
    kind: PhantomData<fn() -> K>,
}

// SAFETY: as for Held.
unsafe impl<K: Kind> Send for HeldCanceled<K> {}
// SAFETY: as for Held.
unsafe impl<K: Kind> Sync for HeldCanceled<K> {}

/// An owned request's handle is never null.
fn handle(request: wdk_sys::WDFREQUEST) -> NonNull<WDFREQUEST__> {
    // SAFETY: the framework presents no null request, and values are made of presented ones only.
    unsafe { NonNull::new_unchecked(request) }
}

impl<'r, K: Kind> Request<'r, K> {
    /// Keeps the request beyond this callback. Ownership moves to the [`Held`].
    pub fn hold(self) -> (Disposition<'r>, Held<K>) {
        let request = handle(self.into_raw());
        (
            Disposition::gone(),
            Held {
                request,
                kind: PhantomData,
            },
        )
    }
}

impl<'r, K: Kind> Canceled<'r, K> {
    /// Keeps the request beyond this callback, to be completed later (R-CAN-44). Ownership moves to the [`HeldCanceled`].
    pub fn hold(self) -> (Disposition<'r>, HeldCanceled<K>) {
        let request = handle(self.into_raw());
        (
            Disposition::gone(),
            HeldCanceled {
                request,
                kind: PhantomData,
            },
        )
    }
}

impl<K: Kind> Held<K> {
    /// Goes on with the request: `f` owns it. IRQL <= `DISPATCH_LEVEL`.
    pub fn resume<P: CanComplete>(
        self,
        cx: &mut Cx<'_, P>,
        f: impl for<'r> FnOnce(&mut Cx<'_, P>, Request<'r, K>) -> Disposition<'r>,
    ) {
        let request = ManuallyDrop::new(self).request.as_ptr();
        // SAFETY: owned by the type's invariant, and this value has ended; 'r is minted by `f`.
        let _gone = f(cx, unsafe { Request::present(request) });
    }

    /// Completes it with Information 0. Stands for `WdfRequestCompleteWithInformation`. IRQL <= `DISPATCH_LEVEL`.
    pub fn complete<P: CanComplete>(self, cx: &mut Cx<'_, P>, status: impl Into<FinalStatus>) {
        self.resume(cx, |cx, request| request.complete_empty(cx, status));
    }
}

impl<K: Kind> HeldCanceled<K> {
    /// Completes it with Information 0, normally with `STATUS_CANCELLED` (R-CAN-47). IRQL <= `DISPATCH_LEVEL`.
    pub fn complete(self, cx: &Cx<'_, impl CanComplete>, status: impl Into<FinalStatus>) {
        let request = ManuallyDrop::new(self).request.as_ptr();
        // SAFETY: owned and canceled by the type's invariant, and this value has ended.
        let request: Canceled<'_, K> = unsafe { Canceled::present(request) };
        let _gone = request.complete(cx, status);
    }
}

impl<K: Kind> Drop for Held<K> {
    fn drop(&mut self) {
        // SAFETY: owned by the type's invariant.
        unsafe { finish(self.request.as_ptr(), Status::UNSUCCESSFUL) };
    }
}

impl<K: Kind> Drop for HeldCanceled<K> {
    fn drop(&mut self) {
        // SAFETY: owned by the type's invariant.
        unsafe { finish(self.request.as_ptr(), Status::CANCELLED) };
    }
}
