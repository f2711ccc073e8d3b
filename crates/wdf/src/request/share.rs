//! Lending a request's memory to requests of the driver's own (P-05, as `Arc` and `Arc::into_inner`).
//!
//! A request cannot be completed while anything still works on its memory (R-REQ-21, R-REQ-22): [`Request::share`] turns it into
//! [`Share`]s, a request of the driver's own that uses the memory carries one, and the last share to come back gives the request back.
//! A cancelable one counts its mark as one share more: its cancel callback is told, does not own it, and gives the mark's share back.

use core::{marker::PhantomData, mem::ManuallyDrop, ptr::NonNull};

use wdk_sys::{WDFREQUEST, WDFREQUEST__, call_unsafe_wdf_function_binding};

use super::{
    Canceled, Disposition, Kind, ParkError, Request, RequestContext, Transfer, TransferParameters,
    Unparked, cell,
    cell::Cell,
    complete::{complete_counted, finish},
    parameters, piece,
    shares::Back,
};
use crate::{
    FinalStatus, Status,
    cx::{self, CanComplete, Cancel, Cx},
    device::{self, Device, DeviceContext},
};

/// Who hears of the cancellation of a shared request. Stands for `EvtRequestCancel`.
pub trait OnShareCancel<K: Kind>: 'static {
    /// The context type of the device the request was presented on.
    type Device: DeviceContext;

    /// The request was canceled while it is lent: cancel what works for it ([`SentToken::cancel`](super::SentToken::cancel)), whose shares
    /// then come back. Runs at most once, IRQL <= `DISPATCH_LEVEL`, possibly before [`Request::share_cancelable`] has returned.
    ///
    /// Nobody can complete the request before this returns; ownership is with the shares.
    fn canceled(cx: &mut Cx<'_, Cancel>, device: &Device<Self::Device>, parent: &Parent<'_, K>);

    /// All shares came back while [`canceled`](Self::canceled) ran: the handler owns the request.
    fn last<'r>(
        cx: &mut Cx<'_, Cancel>,
        device: &Device<Self::Device>,
        request: Returned<'r, K>,
    ) -> Disposition<'r>;
}

/// A shared request somebody looks at without owning it.
pub struct Parent<'p, K: Kind> {
    request: WDFREQUEST,
    of: PhantomData<&'p K>,
}

impl<K: Kind> Parent<'_, K> {
    /// The driver's context on it.
    #[must_use]
    pub fn context<T: RequestContext>(&self) -> Option<&T> {
        // SAFETY: a share is outstanding while this value exists, so the request is.
        unsafe { cell::context::<T>(self.request) }
    }

    /// Whether `share` is of this request.
    #[must_use]
    pub fn is_of(&self, share: &Share<K>) -> bool {
        self.request == share.request.as_ptr()
    }
}

/// A share of a lent request: its memory stays, and it cannot be completed, as long as there is one.
///
/// `Send + Sync + 'static`; keep it anywhere but in the request's own context, where it would keep itself. Give it back with
/// [`finish`](Self::finish). Dropping the last one completes the request with `STATUS_UNSUCCESSFUL` and counts a fault.
/// Invariant: one of the shares counted in the cell of `request`, which is driver-owned and neither sent nor in anybody else's hands.
#[must_use]
pub struct Share<K: Kind> {
    request: NonNull<WDFREQUEST__>,
    kind: PhantomData<fn() -> K>,
}

// SAFETY: a counted right; everything it does is legal on any thread.
unsafe impl<K: Kind> Send for Share<K> {}
// SAFETY: as above.
unsafe impl<K: Kind> Sync for Share<K> {}

/// A lent request that has come back: nobody works on its memory any more, and the callback owns it.
#[must_use]
pub struct Returned<'r, K: Kind>(Unparked<'r, K>);

impl<'r, K: Kind> Request<'r, K> {
    /// Lends the request; it is not cancelable meanwhile. Ownership is with the shares. IRQL <= `DISPATCH_LEVEL`.
    ///
    /// # Errors
    /// The request comes back, still owned, if it is of a device of somebody else's making.
    pub fn share(self) -> Result<(Disposition<'r>, Share<K>), (Self, Status)> {
        // SAFETY: owned: the object exists.
        let cell = unsafe { Cell::of(self.handle()) };
        let (Some(cell), Some(request)) = (cell, NonNull::new(self.handle())) else {
            return Err((self, Status::INVALID_DEVICE_STATE));
        };
        piece::clear_unwritten(&self);
        cell.shares.lend(false);
        let _ = self.into_raw();
        // INVARIANT: the one share just counted; the value that owned the request has ended.
        Ok((Disposition::gone(), Share::of(request)))
    }

    /// Lends the request and makes it cancelable: `C` hears of its cancellation. Stands for `WdfRequestMarkCancelableEx`.
    /// Ownership is with the shares. IRQL <= `DISPATCH_LEVEL`.
    ///
    /// # Errors
    /// [`ParkError`] gives the request back.
    pub fn share_cancelable<C: OnShareCancel<K>>(
        self,
    ) -> Result<(Disposition<'r>, Share<K>), ParkError<'r, K>> {
        // SAFETY: owned: the object exists.
        let cell = unsafe { Cell::of(self.handle()) };
        let (Some(cell), Some(handle)) = (cell, NonNull::new(self.handle())) else {
            return Err(ParkError::NotParkable(self, Status::INVALID_DEVICE_STATE));
        };
        piece::clear_unwritten(&self);
        // Before the mark: the callback may come at once.
        cell.shares.lend(true);
        let request = self.into_raw();
        // SAFETY: owned, not cancelable, with a queue or refused (R-CAN-20, R-CAN-21); the callback is for this kind. The share just
        // counted keeps the request from being completed.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestMarkCancelableEx,
                request,
                Some(evt_shared_cancel::<K, C>)
            )
        };
        let status = Status::from_raw(status);
        if status.is_success() {
            // INVARIANT: the one share beside the mark's.
            return Ok((Disposition::gone(), Share::of(handle)));
        }
        // Not marked and the callback will never come: still ours.
        cell.shares.take_back();
        Err(if status == Status::CANCELLED {
            // SAFETY: ownership came back under the same brand, canceled (R-CAN-23).
            ParkError::Canceled(unsafe { Canceled::present(request) })
        } else {
            // SAFETY: ownership came back under the same brand.
            ParkError::NotParkable(unsafe { Request::present(request) }, status)
        })
    }
}

/// Gives one share of `request` back.
///
/// # Safety
/// The caller holds a share, and gives it up.
unsafe fn give_back(request: WDFREQUEST) -> Back {
    // SAFETY: the share keeps the request.
    let Some(cell) = (unsafe { Cell::of(request) }) else {
        return Back::No;
    };
    cell.shares.give_back(|| {
        // SAFETY: marked, and until this has returned neither the callback nor anybody else completes it: unmark is legal (R-CAN-32).
        let status =
            unsafe { call_unsafe_wdf_function_binding!(WdfRequestUnmarkCancelable, request) };
        Status::from_raw(status).is_success()
    })
}

impl<K: Kind> Share<K> {
    const fn of(request: NonNull<WDFREQUEST__>) -> Self {
        Self {
            request,
            kind: PhantomData,
        }
    }

    pub(crate) const fn handle(&self) -> WDFREQUEST {
        self.request.as_ptr()
    }

    /// Ends this value without giving the share back.
    pub(crate) fn into_raw(self) -> NonNull<WDFREQUEST__> {
        ManuallyDrop::new(self).request
    }

    /// # Safety
    /// `request` came from [`into_raw`](Self::into_raw) of a share of kind `K`, and this is done once.
    pub(crate) const unsafe fn from_raw(request: NonNull<WDFREQUEST__>) -> Self {
        Self::of(request)
    }

    /// One share more; none if there are as many as can be counted.
    #[must_use]
    pub fn another(&self) -> Option<Self> {
        // SAFETY: this share keeps the request.
        let cell = unsafe { Cell::of(self.handle()) }?;
        // INVARIANT: counted.
        cell.shares.another().then(|| Self::of(self.request))
    }

    /// The driver's context on the request.
    #[must_use]
    pub fn context<T: RequestContext>(&self) -> Option<&T> {
        // SAFETY: this share keeps the request.
        unsafe { cell::context::<T>(self.handle()) }
    }

    /// Whether `other` is a share of the same request.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.request == other.request
    }

    /// Gives the share back and, if it was the last, runs `f` with the request. False: other shares are out, or its cancellation has it.
    /// Stands for `WdfRequestUnmarkCancelable` where the request is cancelable. IRQL <= `DISPATCH_LEVEL`.
    pub fn finish<P: CanComplete>(
        self,
        cx: &mut Cx<'_, P>,
        f: impl for<'r> FnOnce(&mut Cx<'_, P>, Returned<'r, K>) -> Disposition<'r>,
    ) -> bool {
        let request = self.into_raw().as_ptr();
        // SAFETY: the share this value was.
        let returned = match unsafe { give_back(request) } {
            Back::No => return false,
            // SAFETY: the last share: this call owns the request; 'r is minted by `f`.
            Back::Owned => Unparked::Owned(unsafe { Request::present(request) }),
            // SAFETY: as above, canceled.
            Back::Canceled => Unparked::Canceled(unsafe { Canceled::present(request) }),
        };
        let _gone: Disposition<'_> = f(cx, Returned(returned));
        true
    }
}

impl<K: Transfer> Share<K> {
    /// Length and position of the read or write.
    #[must_use]
    pub fn parameters(&self) -> TransferParameters {
        // SAFETY: this share keeps the request driver-owned, with its IRP.
        unsafe { parameters::transfer(self.handle()) }
    }
}

impl<K: Kind> Drop for Share<K> {
    fn drop(&mut self) {
        // SAFETY: the share this value was.
        if !matches!(unsafe { give_back(self.handle()) }, Back::No) {
            // SAFETY: the last share: owned here.
            unsafe { finish(self.handle(), Status::UNSUCCESSFUL) };
        }
    }
}

impl<'r, K: Kind> Returned<'r, K> {
    /// Whether its cancellation has been told.
    #[must_use]
    pub const fn is_canceled(&self) -> bool {
        matches!(self.0, Unparked::Canceled(_))
    }

    /// The driver's context on it.
    #[must_use]
    pub fn context<T: RequestContext>(&self) -> Option<&T> {
        match &self.0 {
            Unparked::Owned(request) => request.context(),
            Unparked::Canceled(request) => request.context(),
        }
    }

    /// The request as it is: owned, or canceled and to be completed only.
    #[must_use]
    pub fn into_unparked(self) -> Unparked<'r, K> {
        self.0
    }

    /// Completes it with Information 0.
    pub fn complete(
        self,
        cx: &Cx<'_, impl CanComplete>,
        status: impl Into<FinalStatus>,
    ) -> Disposition<'r> {
        match self.0 {
            Unparked::Owned(request) => request.complete_empty(cx, status),
            Unparked::Canceled(request) => request.complete(cx, status),
        }
    }
}

impl<'r, K: Transfer> Returned<'r, K> {
    /// Completes it with the bytes that were moved, cut to its length. Stands for `WdfRequestCompleteWithInformation`. A canceled request may
    /// have moved some too (R-CAN-47).
    ///
    /// What of a buffered read nobody wrote is zero: lending it cleared the buffer.
    pub fn complete_moved(
        self,
        _cx: &Cx<'_, impl CanComplete>,
        status: impl Into<FinalStatus>,
        bytes: usize,
    ) -> Disposition<'r> {
        let request = match self.0 {
            Unparked::Owned(request) => request.into_raw(),
            Unparked::Canceled(request) => request.into_raw(),
        };
        // SAFETY: owned and not cancelable.
        let length = unsafe { parameters::transfer(request) }.length;
        // SAFETY: as above; at most its own length is claimed, and all of its buffer is initialised.
        unsafe { complete_counted(request, status.into(), bytes.min(length)) };
        Disposition::gone()
    }
}

unsafe extern "C" fn evt_shared_cancel<K: Kind, C: OnShareCancel<K>>(request: WDFREQUEST) {
    // SAFETY: the framework keeps the object across this callback (R-CAN-45).
    let Some(cell) = (unsafe { Cell::of(request) }) else {
        return;
    };
    // SAFETY: the mark's share keeps the request driver-owned, and it has a queue: only such requests can be marked (R-CAN-21).
    let device = unsafe { device::of_request::<C::Device>(request) };
    if let Some(device) = &device {
        let parent = Parent {
            request,
            of: PhantomData,
        };
        cx::enter::<Cancel, _>(|cx| C::canceled(cx, device, &parent));
    }
    if !cell.shares.told() {
        return;
    }
    let Some(device) = device else {
        // SAFETY: the mark's share was the last: owned here.
        unsafe { finish(request, Status::CANCELLED) };
        return;
    };
    cx::enter::<Cancel, _>(|cx| {
        // SAFETY: the mark's share was the last: owned, canceled, the only value for it; 'r is minted by `last`.
        let request = unsafe { Canceled::present(request) };
        let _gone = C::last(cx, &device, Returned(Unparked::Canceled(request)));
    });
}
