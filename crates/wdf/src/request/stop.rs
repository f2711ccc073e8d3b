//! `EvtIoStop`: what becomes of requests the driver owns when the device leaves D0 or goes away.
//!
//! The owner may be a timer, a target or a handler at this very moment (R-QUE-127). A stop handler therefore claims the request
//! through its cell, and does nothing when somebody else has it: the framework waits for that party (R-QUE-122).

use core::marker::PhantomData;

use wdk_sys::{WDFREQUEST, call_unsafe_wdf_function_binding};

use super::{
    Any, Canceled, Disposition, FileKey, OnCancel, Owned, ParkError, Parked, Request,
    RequestContext, cell, cell::Cell, park::claim_any, sealed, sent, state::Claimed,
};
use crate::{
    FinalStatus, Status,
    cx::{Brand, CanComplete, Cx, Resume, Stop},
};

/// Why the framework stops the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The device leaves D0 and will come back.
    Suspend,
    /// The device is being removed (R-QUE-128).
    Purge,
}

/// What the handler did about the request. Only made by doing it.
#[must_use]
pub struct StopAction<'s>(Brand<'s>);

impl<'s> From<Disposition<'s>> for StopAction<'s> {
    fn from(_: Disposition<'s>) -> Self {
        StopAction(PhantomData)
    }
}

/// The queue has no resume handler: what its stop handler claims it cannot keep.
pub struct NoResume(PhantomData<()>);
/// The queue has a resume handler.
pub struct Resumes(PhantomData<()>);

/// One driver-owned request the framework asks about. It keeps the object alive during the callback (R-QUE-127).
///
/// The only way to an action is [`claim`](Self::claim): a request that waits in the driver cannot be overlooked.
#[must_use]
pub struct StopContext<'s, W = NoResume> {
    request: WDFREQUEST,
    reason: StopReason,
    brand: Brand<'s>,
    may: PhantomData<W>,
}

/// Who has the request.
pub enum Claim<'s, W = NoResume> {
    /// It was parked: the handler owns it now.
    Owned(StopOwned<'s, W>),
    /// It was parked and its cancellation came in between: complete it.
    Canceled(Canceled<'s, Any>),
    /// It is at an I/O target; its completion routine will own it.
    Sent(StopSent<'s>),
    /// A handler, a finisher or a cancel callback has it and will end it.
    Elsewhere(StopElsewhere<'s>),
}

impl<'s, W> StopContext<'s, W> {
    /// # Safety
    /// Within `EvtIoStop` for `request`; 's is minted for this call.
    pub(crate) unsafe fn present(request: WDFREQUEST, flags: u32) -> Self {
        let purge = flags
            & wdk_sys::_WDF_REQUEST_STOP_ACTION_FLAGS::WdfRequestStopActionPurge.cast_unsigned()
            != 0;
        let reason = if purge {
            StopReason::Purge
        } else {
            StopReason::Suspend
        };
        Self {
            request,
            reason,
            brand: PhantomData,
            may: PhantomData,
        }
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> StopReason {
        self.reason
    }

    /// The driver's context on it: what the driver noted there may tell who has it, a lent request's children for example.
    #[must_use]
    pub fn context<T: RequestContext>(&self) -> Option<&T> {
        // SAFETY: the framework keeps the object during the callback, which bounds `self`.
        unsafe { cell::context::<T>(self.request) }
    }

    /// Tries to become the owner. Stands for `WdfRequestUnmarkCancelable` where the request is parked.
    #[must_use]
    pub fn claim(self, _cx: &Cx<'_, Stop>) -> Claim<'s, W> {
        // SAFETY: the framework keeps the object during the callback.
        match unsafe { claim_any(self.request) } {
            Claimed::Owned => Claim::Owned(StopOwned {
                // SAFETY: claimed: owned by this callback alone, under its brand.
                request: unsafe { Request::present(self.request) },
                reason: self.reason,
                may: PhantomData,
            }),
            // SAFETY: as above, canceled.
            Claimed::Canceled => Claim::Canceled(unsafe { Canceled::present(self.request) }),
            Claimed::No => {
                // SAFETY: as above, the object exists.
                let cell = unsafe { Cell::of(self.request) };
                if cell.is_some_and(|cell| cell.state.is_sent()) {
                    Claim::Sent(StopSent {
                        request: self.request,
                        brand: PhantomData,
                    })
                } else {
                    Claim::Elsewhere(StopElsewhere(PhantomData))
                }
            }
        }
    }
}

/// A request a handler, a finisher or a cancel callback is at, met in `EvtIoStop`.
#[must_use]
pub struct StopElsewhere<'s>(Brand<'s>);

impl<'s> StopElsewhere<'s> {
    /// Does nothing: the framework waits until the owner has ended the request (R-QUE-122).
    pub const fn leave(self) -> StopAction<'s> {
        StopAction(PhantomData)
    }
}

/// A request claimed in `EvtIoStop`: complete or requeue it, or keep it if the queue has a resume handler. It has no buffers and no
/// parameters here.
#[must_use]
pub struct StopOwned<'s, W = NoResume> {
    request: Request<'s, Any>,
    reason: StopReason,
    may: PhantomData<W>,
}

impl<'s, W> StopOwned<'s, W> {
    /// Completes it with Information 0.
    pub fn complete(
        self,
        cx: &Cx<'_, impl CanComplete>,
        status: impl Into<FinalStatus>,
    ) -> StopAction<'s> {
        self.request.complete_empty(cx, status).into()
    }

    /// `WdfRequestStopAcknowledge(TRUE)`: back to the head of its queue, presented anew when power returns (R-QUE-124).
    ///
    /// # Errors
    /// The request comes back if the device is being removed: there is no later.
    pub fn requeue(self, _cx: &Cx<'_, Stop>) -> Result<StopAction<'s>, Self> {
        if self.reason == StopReason::Purge {
            return Err(self);
        }
        let request = self.request.into_raw();
        // SAFETY: owned, not cancelable, within EvtIoStop for this request (R-QUE-123).
        unsafe { call_unsafe_wdf_function_binding!(WdfRequestStopAcknowledge, request, 1) };
        Ok(StopAction(PhantomData))
    }

    /// The open instance it came through.
    #[must_use]
    pub fn file_key(&self) -> Option<FileKey> {
        self.request.file_key()
    }

    /// The driver's context on it.
    #[must_use]
    pub fn context<T: RequestContext>(&self) -> Option<&T> {
        self.request.context()
    }
}

impl<'s> StopOwned<'s, Resumes> {
    /// `WdfRequestStopAcknowledge(FALSE)`: the driver keeps the request, parked anew, while the device is in low power; the queue's resume
    /// handler is told when power is back (R-QUE-125). It stays cancelable meanwhile (R-QUE-132).
    ///
    /// # Errors
    /// The request comes back if the device is being removed (`STATUS_INVALID_DEVICE_STATE`), and as from [`Request::park`].
    pub fn keep<C: OnCancel<Any>>(
        self,
        _cx: &Cx<'_, Stop>,
    ) -> Result<(StopAction<'s>, Parked<Any>), ParkError<'s, Any>> {
        if self.reason == StopReason::Purge {
            return Err(ParkError::NotParkable(
                self.request,
                Status::INVALID_DEVICE_STATE,
            ));
        }
        // SAFETY: owned, within EvtIoStop for this request (R-QUE-123). Before it is parked: afterwards somebody else may end it.
        unsafe {
            call_unsafe_wdf_function_binding!(WdfRequestStopAcknowledge, self.request.handle(), 0);
        }
        let (parked, token) = self.request.park::<C>()?;
        Ok((parked.into(), token))
    }
}

impl<W> sealed::Sealed for StopOwned<'_, W> {}
impl<W> Owned for StopOwned<'_, W> {
    fn raw(&self) -> WDFREQUEST {
        self.request.handle()
    }
}

/// A request at an I/O target, met in `EvtIoStop`.
#[must_use]
pub struct StopSent<'s> {
    request: WDFREQUEST,
    brand: Brand<'s>,
}

impl<'s> StopSent<'s> {
    /// Asks whoever has it below to give it up, and leaves the rest to its completion routine, which may run inside this call
    /// (R-CAN-73). Stands for `WdfRequestCancelSentRequest`.
    pub fn cancel(self, _cx: &Cx<'_, Stop>) -> StopAction<'s> {
        // SAFETY: the framework keeps the object during the callback.
        if let Some(cell) = unsafe { Cell::of(self.request) } {
            // SAFETY: as above; the token says that no lock is held.
            unsafe { sent::cancel(self.request, cell, cell.state.current()) };
        }
        StopAction(self.brand)
    }

    /// Leaves it to the lower driver.
    pub const fn leave(self) -> StopAction<'s> {
        StopAction(self.brand)
    }
}

/// One request the driver kept over a time without power. Stands for `EvtIoResume`, whose request is driver-owned and not canceled (R-QUE-129).
///
/// The framework keeps the object alive during the callback, as in `EvtIoStop`. The request may be with somebody else by now.
#[must_use]
pub struct ResumeContext<'s> {
    request: WDFREQUEST,
    brand: Brand<'s>,
}

/// Who has a request that is resumed.
pub enum Resumed<'s> {
    /// It was parked: the handler owns it now, and ends it or parks it again. It has no buffers and no parameters here.
    Owned(ResumeOwned<'s>),
    /// It was parked and its cancellation came in between: complete it.
    Canceled(Canceled<'s, Any>),
    /// Somebody else has it and will end it.
    Elsewhere(StopElsewhere<'s>),
}

impl<'s> ResumeContext<'s> {
    /// # Safety
    /// Within `EvtIoResume` for `request`; 's is minted for this call.
    pub(crate) unsafe fn present(request: WDFREQUEST) -> Self {
        Self {
            request,
            brand: PhantomData,
        }
    }

    /// Tries to become the owner. Stands for `WdfRequestUnmarkCancelable` where the request is parked.
    #[must_use]
    pub fn claim(self, _cx: &Cx<'_, Resume>) -> Resumed<'s> {
        // SAFETY: the framework keeps the object during the callback.
        match unsafe { claim_any(self.request) } {
            Claimed::Owned => {
                // SAFETY: claimed: owned by this callback alone, under its brand.
                let request = unsafe { Request::present(self.request) };
                Resumed::Owned(ResumeOwned(request))
            }
            // SAFETY: as above, canceled.
            Claimed::Canceled => Resumed::Canceled(unsafe { Canceled::present(self.request) }),
            Claimed::No => Resumed::Elsewhere(StopElsewhere(PhantomData)),
        }
    }

    /// Leaves it where it is: parked, with whoever holds its token.
    pub const fn leave(self) -> StopAction<'s> {
        StopAction(self.brand)
    }
}

/// A request claimed in `EvtIoResume`.
#[must_use]
pub struct ResumeOwned<'s>(Request<'s, Any>);

impl<'s> ResumeOwned<'s> {
    /// Completes it with Information 0.
    pub fn complete(
        self,
        cx: &Cx<'_, impl CanComplete>,
        status: impl Into<FinalStatus>,
    ) -> StopAction<'s> {
        self.0.complete_empty(cx, status).into()
    }

    /// Parks it again; see [`Request::park`].
    ///
    /// # Errors
    /// As there.
    pub fn park<C: OnCancel<Any>>(
        self,
    ) -> Result<(StopAction<'s>, Parked<Any>), ParkError<'s, Any>> {
        let (parked, token) = self.0.park::<C>()?;
        Ok((parked.into(), token))
    }

    /// The driver's context on it.
    #[must_use]
    pub fn context<T: RequestContext>(&self) -> Option<&T> {
        self.0.context()
    }
}

impl sealed::Sealed for ResumeOwned<'_> {}
impl Owned for ResumeOwned<'_> {
    fn raw(&self) -> WDFREQUEST {
        self.0.handle()
    }
}
