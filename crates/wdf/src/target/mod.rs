//! I/O targets: sending requests to the driver below, or to another device.
//!
//! A request must be formatted before it is sent with a completion routine; send-and-forget takes an unformatted one
//! (R-TGT-30). After a send that succeeded the request is nobody's in this driver until its completion routine is given it again,
//! which may happen before the sending call returns (R-TGT-51).

mod completion;
mod options;
mod send;

use core::ptr::NonNull;

use wdk_sys::{WDFDEVICE, WDFIOTARGET, call_unsafe_wdf_function_binding};

pub(crate) use self::options::Options;
pub use self::{
    completion::{Completed, Completion},
    options::Timeout,
    send::{Formatted, OnDone, SendFailed},
};
use crate::{
    cx::{CanComplete, Cx, Passive},
    object::ObjectRef,
    request::{Cell, Kind, Request},
};

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
        // SAFETY: owned.
        let cell = unsafe { Cell::of(request.handle()) }?;
        // SAFETY: owned.
        unsafe { cell.is_of(request.handle(), self.device.addr()) }.then(|| NonNull::from(cell))
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
