//! I/O targets: sending requests to the driver below, or to another device.
//!
//! A request must be formatted before it is sent with a completion routine; send-and-forget takes an unformatted one
//! (R-TGT-30). After a send that succeeded the request is nobody's in this driver until its completion routine is given it again,
//! which may happen before the sending call returns (R-TGT-51).

mod completion;
mod options;
mod remote;
mod send;

use core::ptr::NonNull;

use wdk_sys::{
    _WDF_IO_TARGET_PURGE_IO_ACTION::WdfIoTargetPurgeIoAndWait,
    _WDF_IO_TARGET_SENT_IO_ACTION::{
        WdfIoTargetCancelSentIo, WdfIoTargetLeaveSentIoPending, WdfIoTargetWaitForSentIoToComplete,
    },
    _WDF_IO_TARGET_STATE::{
        WdfIoTargetClosed, WdfIoTargetClosedForQueryRemove, WdfIoTargetPurged, WdfIoTargetStarted,
        WdfIoTargetStopped,
    },
    WDFDEVICE, WDFIOTARGET, call_unsafe_wdf_function_binding,
};

pub(crate) use self::options::Options;
pub use self::{
    completion::{Completed, Completion},
    options::Timeout,
    remote::{Access, OnTargetRemoval, OpenFailed, OpenTarget, RemoteTarget},
    send::{Formatted, OnDone, SendFailed},
};
use crate::{
    Status,
    cx::{CanComplete, CanWait, Cx, Passive},
    object::ObjectRef,
    request::{Cell, Kind, Request},
};

/// What a target does with what is sent to it (R-TGT-55). Stands for `WDF_IO_TARGET_STATE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// It is sent.
    Started,
    /// It is held until the target is started.
    Stopped,
    /// It is refused until the target is started.
    Purged,
    /// It is refused: the device behind it may go.
    ClosedForQueryRemove,
    /// It is refused until the target is opened.
    Closed,
    /// It is refused for ever.
    Deleted,
}

/// The default I/O target of a device: the next device of its stack. Holds a reference on its object.
///
/// Invariant: `device` is the address of the device it belongs to: compared, never followed. A target that outlived its device refuses
/// every send (R-TGT-55), so an address that came back does no harm.
pub struct Target {
    object: ObjectRef,
    device: WDFDEVICE,
}

// SAFETY: a counted handle, and an address that is compared only.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Target {
    /// # Safety
    /// `handle` is null or the live default target of `device`.
    pub(crate) unsafe fn acquire(handle: WDFIOTARGET, device: WDFDEVICE) -> Option<Self> {
        // SAFETY: contract of this function.
        let object = unsafe { ObjectRef::acquire(handle.cast()) }?;
        Some(Self { object, device })
    }

    pub(crate) fn handle(&self) -> WDFIOTARGET {
        self.object.raw().cast()
    }

    /// The address of its device.
    pub(crate) const fn device(&self) -> WDFDEVICE {
        self.device
    }

    /// The cell of a request that may go to this target: one of the same device, which has a stack location left for it (R-TGT-33).
    fn takes<K: Kind>(&self, request: &Request<'_, K>) -> Option<NonNull<Cell>> {
        let cell = request.cell()?;
        // SAFETY: owned.
        unsafe { cell.is_of(request.handle(), self.device.addr()) }.then(|| NonNull::from(cell))
    }

    /// What it does with what is sent to it. Stands for `WdfIoTargetGetState`. Stale at once.
    #[must_use]
    pub fn state(&self) -> TargetState {
        // SAFETY: referenced.
        let state =
            unsafe { call_unsafe_wdf_function_binding!(WdfIoTargetGetState, self.handle()) };
        #[expect(non_upper_case_globals, reason = "the names of the header")]
        match state {
            WdfIoTargetStarted => TargetState::Started,
            WdfIoTargetStopped => TargetState::Stopped,
            WdfIoTargetPurged => TargetState::Purged,
            WdfIoTargetClosedForQueryRemove => TargetState::ClosedForQueryRemove,
            WdfIoTargetClosed => TargetState::Closed,
            _ => TargetState::Deleted,
        }
    }

    /// Sends what it holds, and what comes. Stands for `WdfIoTargetStart` (R-TGT-20). `PASSIVE_LEVEL`: a stop that still waits is waited for.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_STATE` for a target that is being deleted.
    pub fn start(&self, _cx: &mut Cx<'_, impl CanWait + CanComplete>) -> Result<(), Status> {
        // SAFETY: referenced; PASSIVE_LEVEL and no lock by the token: completion handlers may run inside.
        let status = unsafe { call_unsafe_wdf_function_binding!(WdfIoTargetStart, self.handle()) };
        Status::from_raw(status).ok()
    }

    /// Holds what comes from now on (R-TGT-55); what is below stays there. Stands for `WdfIoTargetStop(WdfIoTargetLeaveSentIoPending)`.
    pub fn stop(&self, _cx: &Cx<'_, impl CanComplete>) {
        self.stop_with(WdfIoTargetLeaveSentIoPending);
    }

    /// Holds what comes from now on, cancels what is below and waits for it. Stands for `WdfIoTargetStop(WdfIoTargetCancelSentIo)` (R-TGT-22).
    pub fn stop_and_cancel(&self, _cx: &mut Cx<'_, impl CanWait + CanComplete>) {
        self.stop_with(WdfIoTargetCancelSentIo);
    }

    /// Holds what comes from now on and waits for what is below. Stands for `WdfIoTargetStop(WdfIoTargetWaitForSentIoToComplete)`.
    pub fn stop_and_wait(&self, _cx: &mut Cx<'_, impl CanWait + CanComplete>) {
        self.stop_with(WdfIoTargetWaitForSentIoToComplete);
    }

    fn stop_with(&self, action: i32) {
        // SAFETY: referenced; the callers' tokens: no lock, and PASSIVE_LEVEL where the action waits.
        unsafe { call_unsafe_wdf_function_binding!(WdfIoTargetStop, self.handle(), action) };
    }

    /// Cancels everything sent through this target, waits for it, and refuses further sends. Stands for
    /// `WdfIoTargetPurge(WdfIoTargetPurgeIoAndWait)` (R-TGT-25).
    pub fn purge_and_wait(&self, _cx: &mut Cx<'_, impl CanWait + CanComplete>) {
        // SAFETY: referenced; PASSIVE_LEVEL and no lock by the token.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfIoTargetPurge,
                self.handle(),
                WdfIoTargetPurgeIoAndWait
            );
        };
    }

    /// Cancels everything sent through this target and refuses further sends, without waiting. Stands for
    /// `WdfIoTargetPurge(WdfIoTargetPurgeIo)` (R-TGT-25). Completion routines may run inside the call: not at surprise removal
    /// (R-CAN-82), not inside a wait lock.
    pub fn purge(&self, _cx: &Cx<'_, impl Passive + CanComplete>) {
        const WITHOUT_WAITING: i32 = wdk_sys::_WDF_IO_TARGET_PURGE_IO_ACTION::WdfIoTargetPurgeIo;
        // SAFETY: referenced; no lock is held (the token).
        unsafe {
            call_unsafe_wdf_function_binding!(WdfIoTargetPurge, self.handle(), WITHOUT_WAITING);
        };
    }
}
