//! Parking: a request that waits, cancelable, until somebody takes it back.
//!
//! Stands for `WdfRequestMarkCancelableEx`, `WdfRequestUnmarkCancelable` and `EvtRequestCancel`; the plain mark call is not offered
//! (R-CAN-24). The races between the three are decided by one atomic in the request's cell, drawn in [`super`]: unmark is only
//! called from CLAIMED, where the callback does not complete, so R-CAN-32 and R-CAN-34 hold.

use core::{marker::PhantomData, mem::ManuallyDrop, ptr::NonNull};

use wdk_sys::{WDFREQUEST, WDFREQUEST__, call_unsafe_wdf_function_binding};

use super::{
    Canceled, Disposition, Kind, Request, RequestContext,
    cell::Cell,
    complete::finish,
    state::{Claimed, Generation},
};
use crate::{
    Status,
    cx::{self, CanComplete, Cancel, Cx},
    device::{self, Device, DeviceContext},
    object::ObjectRef,
};

/// Who gets a parked request when its originator cancels it. Stands for `EvtRequestCancel`.
pub trait OnCancel<K: Kind>: 'static {
    /// The context type of the device the request was presented on.
    type Device: DeviceContext;

    /// The cancellation won: the handler owns the request and must complete it. Runs at most once per parking (R-CAN-41), IRQL <=
    /// `DISPATCH_LEVEL`, possibly before the code that parked the request has seen [`Request::park`] return.
    fn canceled<'r>(
        cx: &mut Cx<'_, Cancel>,
        device: &Device<Self::Device>,
        request: Canceled<'r, K>,
    ) -> Disposition<'r>;
}

/// Why a request could not be parked; the request comes back.
pub enum ParkError<'r, K: Kind> {
    /// It is canceled already: complete it (R-CAN-23).
    Canceled(Canceled<'r, K>),
    /// The framework refused.
    NotParkable(Request<'r, K>, Status),
}

/// A reference to a parked request: the right to try to take it back, not ownership.
///
/// `Send + Sync + 'static`; keep it anywhere. Dropping it leaves the request parked: only its cancellation or a purge will end it.
/// It is good for its own parking: once a stop handler has requeued the request, it takes nothing back, parked again or not.
/// Invariant: owns one reference on the request object, whose cell therefore exists; `parking` is this one's, and one token exists per parking.
#[must_use]
pub struct Parked<K: Kind> {
    request: ObjectRef,
    parking: Generation,
    kind: PhantomData<fn() -> K>,
}

/// What a [`Parked`] is made of, for a list that keeps it in the request's own cell. All zero is valid: none.
#[derive(Clone, Copy)]
pub(crate) struct RawParked {
    request: *mut WDFREQUEST__,
    parking: Generation,
}

impl RawParked {
    pub(crate) const NONE: Self = Self {
        request: core::ptr::null_mut(),
        parking: Generation::NONE,
    };

    /// The driver's context on the request.
    ///
    /// # Safety
    /// The token this was made of has not been dropped: its reference keeps the object for `'a`.
    pub(crate) unsafe fn context<'a, T: RequestContext>(self) -> Option<&'a T> {
        if self.request.is_null() {
            return None;
        }
        // SAFETY: contract of this function.
        unsafe { super::request_context::<T>(self.request) }
    }
}

/// A request taken back.
pub enum Unparked<'r, K: Kind> {
    /// Not canceled: owned as before it was parked.
    Owned(Request<'r, K>),
    /// The cancellation arrived in between: complete it.
    Canceled(Canceled<'r, K>),
}

impl<'r, K: Kind> Request<'r, K> {
    /// Parks the request: it stays the driver's, cancelable, in nobody's hands. Stands for `WdfRequestMarkCancelableEx`.
    ///
    /// From now on exactly one of [`Parked::unpark`] and `C` gets it. `C` may already have run when this returns `Ok`.
    /// Start whatever will unpark it after this returned (P-04). IRQL <= `DISPATCH_LEVEL`.
    ///
    /// # Errors
    /// [`ParkError`] gives the request back.
    pub fn park<C: OnCancel<K>>(self) -> Result<(Disposition<'r>, Parked<K>), ParkError<'r, K>> {
        // SAFETY: owned: the object exists.
        let Some(cell) = (unsafe { Cell::of(self.handle()) }) else {
            return Err(ParkError::NotParkable(self, Status::INVALID_DEVICE_STATE));
        };
        // SAFETY: owned. The token's reference comes before anybody can end the request.
        let Some(reference) = (unsafe { ObjectRef::acquire(self.handle().cast()) }) else {
            return Err(ParkError::NotParkable(self, Status::INVALID_PARAMETER));
        };
        let request = self.into_raw();
        let parking = cell.state.filling();
        // SAFETY: owned, not cancelable, with a queue or refused (R-CAN-20, R-CAN-21); the callback is for this kind.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestMarkCancelableEx,
                request,
                Some(evt_request_cancel::<K, C>)
            )
        };
        let status = Status::from_raw(status);
        if let Err(status) = status.ok() {
            // Not marked and the callback will never come: still ours.
            cell.state.idle();
            drop(reference);
            return Err(if status == Status::CANCELLED {
                // SAFETY: ownership came back under the same brand, canceled (R-CAN-23).
                ParkError::Canceled(unsafe { Canceled::present(request) })
            } else {
                // SAFETY: ownership came back under the same brand.
                ParkError::NotParkable(unsafe { Request::present(request) }, status)
            });
        }
        if cell.state.marked(parking) {
            // INVARIANT: `reference` is the token's own; this is the one token of this parking.
            return Ok((
                Disposition::gone(),
                Parked {
                    request: reference,
                    parking,
                    kind: PhantomData,
                },
            ));
        }
        // The callback came while we were filling and left the request to us. The framework keeps it alive until we complete it.
        drop(reference);
        // SAFETY: the callback has come and gone without completing (`State::marked`), so ownership is here.
        Err(ParkError::Canceled(unsafe { Canceled::present(request) }))
    }
}

/// Claims a request in whatever parking it is for the caller, who then owns it unless the result is `No`.
///
/// # Safety
/// The request's object exists during the call.
pub(super) unsafe fn claim_any(request: WDFREQUEST) -> Claimed {
    // SAFETY: contract of this function.
    let Some(cell) = (unsafe { Cell::of(request) }) else {
        return Claimed::No;
    };
    cell.state.claim_any(|| {
        // SAFETY: inside `claim_any`, which calls this from CLAIMED.
        unsafe { unmark(request) }
    })
}

/// `WdfRequestUnmarkCancelable`: true if the mark was taken off.
///
/// # Safety
/// `request` is marked, and its cell is CLAIMED by the caller: neither the callback nor anybody else completes it (R-CAN-32).
unsafe fn unmark(request: WDFREQUEST) -> bool {
    // SAFETY: contract of this function.
    let status = unsafe { call_unsafe_wdf_function_binding!(WdfRequestUnmarkCancelable, request) };
    Status::from_raw(status).is_success()
}

impl<K: Kind> Parked<K> {
    /// Takes the request back and runs `f` with it, or returns false: its cancel handler has it or will get it.
    /// Stands for `WdfRequestUnmarkCancelable`. IRQL <= `DISPATCH_LEVEL`.
    pub fn unpark<P: CanComplete>(
        self,
        cx: &mut Cx<'_, P>,
        f: impl for<'r> FnOnce(&mut Cx<'_, P>, Unparked<'r, K>) -> Disposition<'r>,
    ) -> bool {
        let request: WDFREQUEST = self.request.raw().cast();
        // SAFETY: this value's reference keeps the object.
        let Some(cell) = (unsafe { Cell::of(request) }) else {
            return false;
        };
        let claimed = cell.state.claim(self.parking, || {
            // SAFETY: inside `claim`, which calls this from CLAIMED.
            unsafe { unmark(request) }
        });
        let unparked = match claimed {
            Claimed::No => return false,
            // SAFETY: claimed: this call owns it; 'r is minted by `f`.
            Claimed::Owned => Unparked::Owned(unsafe { Request::present(request) }),
            // SAFETY: as above, canceled.
            Claimed::Canceled => Unparked::Canceled(unsafe { Canceled::present(request) }),
        };
        let _gone: Disposition<'_> = f(cx, unparked);
        // `self` drops here: the reference outlives everything above.
        true
    }

    /// The cell, for the list the token may be put on.
    pub(crate) fn cell(&self) -> Option<NonNull<Cell>> {
        // SAFETY: this value's reference keeps the object; the cell lives as long as that.
        unsafe { Cell::of(self.request.raw().cast()) }.map(NonNull::from)
    }

    /// Whether it can still take its request back.
    pub(crate) fn lasts(&self, cell: &Cell) -> bool {
        cell.state.is_parked(self.parking)
    }

    /// Gives the reference up to the list that takes the token.
    pub(crate) fn into_raw(self) -> RawParked {
        let this = ManuallyDrop::new(self);
        RawParked {
            request: this.request.raw().cast(),
            parking: this.parking,
        }
    }

    /// # Safety
    /// `raw` is [`RawParked::NONE`], or came from [`into_raw`](Self::into_raw) of a token of kind `K`, and this is done once.
    pub(crate) unsafe fn from_raw(raw: RawParked) -> Option<Self> {
        let request = NonNull::new(raw.request)?;
        // SAFETY: the reference given up by `into_raw`.
        let request = unsafe { ObjectRef::adopt(request.cast()) };
        Some(Self {
            request,
            parking: raw.parking,
            kind: PhantomData,
        })
    }
}

unsafe extern "C" fn evt_request_cancel<K: Kind, C: OnCancel<K>>(request: WDFREQUEST) {
    // SAFETY: the framework keeps the object across this callback (R-CAN-45).
    let Some(cell) = (unsafe { Cell::of(request) }) else {
        return;
    };
    if cell.state.callback() {
        // SAFETY: nobody else will touch it (type invariant of State).
        unsafe { hand_over::<K, C>(request) };
    }
}

/// # Safety
/// The caller, a cancel callback, owns `request`.
unsafe fn hand_over<K: Kind, C: OnCancel<K>>(request: WDFREQUEST) {
    // SAFETY: owned, and it has a queue: only such requests can be marked (R-CAN-21).
    let Some(device) = (unsafe { device::of_request::<C::Device>(request) }) else {
        // SAFETY: owned.
        unsafe { finish(request, Status::CANCELLED) };
        return;
    };
    cx::enter::<Cancel, _>(|cx| {
        // SAFETY: owned and canceled; the only value for it; 'r is minted by `canceled`.
        let _gone = C::canceled(cx, &device, unsafe { Canceled::present(request) });
    });
}
