//! `EvtIoStop`: what becomes of requests the driver owns when the device leaves D0 or goes away.
//!
//! The owner may be a timer, a target or a handler at this very moment (R-QUE-127). A stop handler therefore claims the request
//! through its cell, and does nothing when somebody else has it: the framework waits for that party (R-QUE-122).

use core::marker::PhantomData;

use wdk_sys::{WDFREQUEST, call_unsafe_wdf_function_binding};

use super::{
    Any, Canceled, Disposition, FileKey, Owned, Request, RequestContext, cell::Cell,
    park::claim_any, sealed, state::Claimed,
};
use crate::{
    FinalStatus,
    cx::{Brand, CanComplete, Cx, Stop},
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

/// One driver-owned request the framework asks about. It keeps the object alive during the callback (R-QUE-127).
pub struct StopContext<'s> {
    request: WDFREQUEST,
    reason: StopReason,
    brand: Brand<'s>,
}

/// Who has the request.
pub enum Claim<'s> {
    /// It was parked: the handler owns it now.
    Owned(StopOwned<'s>),
    /// It was parked and its cancellation came in between: complete it.
    Canceled(Canceled<'s, Any>),
    /// It is at an I/O target; its completion routine will own it.
    Sent(StopSent<'s>),
    /// A handler, a finisher or a cancel callback has it and will end it.
    Elsewhere(StopContext<'s>),
}

impl<'s> StopContext<'s> {
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
        }
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> StopReason {
        self.reason
    }

    /// Tries to become the owner. Stands for `WdfRequestUnmarkCancelable` where the request is parked.
    #[must_use]
    pub fn claim(self, _cx: &Cx<'_, Stop>) -> Claim<'s> {
        // SAFETY: the framework keeps the object during the callback.
        match unsafe { claim_any(self.request) } {
            Claimed::Owned => Claim::Owned(StopOwned {
                // SAFETY: claimed: owned by this callback alone, under its brand.
                request: unsafe { Request::present(self.request) },
                reason: self.reason,
            }),
            // SAFETY: as above, canceled.
            Claimed::Canceled => Claim::Canceled(unsafe { Canceled::present(self.request) }),
            Claimed::No => {
                // SAFETY: as above, the object exists.
                let cell = unsafe { Cell::of(self.request) };
                if cell.is_some_and(|cell| cell.state.is_sent()) {
                    Claim::Sent(StopSent(self))
                } else {
                    Claim::Elsewhere(self)
                }
            }
        }
    }

    /// Does nothing: the framework waits until the owner has ended the request (R-QUE-122).
    pub const fn leave(self) -> StopAction<'s> {
        StopAction(PhantomData)
    }
}

/// A request claimed in `EvtIoStop`: complete or requeue it. It has no buffers and no parameters here.
#[must_use]
pub struct StopOwned<'s> {
    request: Request<'s, Any>,
    reason: StopReason,
}

impl<'s> StopOwned<'s> {
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

impl sealed::Sealed for StopOwned<'_> {}
impl Owned for StopOwned<'_> {
    fn raw(&self) -> WDFREQUEST {
        self.request.handle()
    }
}

/// A request at an I/O target, met in `EvtIoStop`.
pub struct StopSent<'s>(StopContext<'s>);

impl<'s> StopSent<'s> {
    /// Asks whoever has it below to give it up, and leaves the rest to its completion routine, which may run inside this call
    /// (R-CAN-73). Stands for `WdfRequestCancelSentRequest`.
    pub fn cancel(self, _cx: &Cx<'_, Stop>) -> StopAction<'s> {
        // SAFETY: the framework keeps the object during the callback; legal concurrently with completion (R-CAN-77). What it returns
        // says nothing about the outcome (R-CAN-71).
        let _ = unsafe {
            call_unsafe_wdf_function_binding!(WdfRequestCancelSentRequest, self.0.request)
        };
        self.0.leave()
    }

    /// Leaves it to the lower driver.
    pub const fn leave(self) -> StopAction<'s> {
        self.0.leave()
    }
}
