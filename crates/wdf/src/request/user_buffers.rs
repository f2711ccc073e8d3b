//! Requests in the caller's context, where raw user addresses mean something.

use wdk_sys::{NTSTATUS, WDFDEVICE, WDFMEMORY, call_unsafe_wdf_function_binding};

use super::{Any, Disposition, IoctlParameters, Request, cell::Cell, parameters};
use crate::{
    FinalStatus, Status,
    cx::{Caller, Cx},
};

/// A request in `EvtIoInCallerContext`: owned, in the originator's thread and address space, in no queue yet (R-DEV-14).
///
/// It must be enqueued or completed there.
#[must_use]
pub struct CallerRequest<'r> {
    request: Request<'r, Any>,
    device: WDFDEVICE,
}

impl<'r> CallerRequest<'r> {
    /// # Safety
    /// As [`Request::present`], within `EvtIoInCallerContext` of `device`.
    pub(crate) unsafe fn present(request: Request<'r, Any>, device: WDFDEVICE) -> Self {
        Self { request, device }
    }

    /// The control's parameters, if it is a device control.
    #[must_use]
    pub fn ioctl(&self) -> Option<IoctlParameters> {
        let kind = parameters::get(self.request.handle()).Type;
        (kind == wdk_sys::_WDF_REQUEST_TYPE::WdfRequestTypeDeviceControl)
            .then(|| parameters::ioctl(self.request.handle()))
    }

    /// Locks both user buffers of a `METHOD_NEITHER` control, so that the handler finds them as
    /// [`Control::Locked`](super::Control::Locked). Ownership stays. `PASSIVE_LEVEL`, which a user-mode request guarantees.
    ///
    /// Stands for `WdfRequestRetrieveUnsafeUserInputBuffer`/`OutputBuffer` and `WdfRequestProbeAndLockUserBufferForRead`/`ForWrite`.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_REQUEST` if this is not such a control or comes from kernel mode; `STATUS_ACCESS_VIOLATION` or the like for
    /// addresses the caller may not use (R-REQ-75).
    pub fn lock_user_buffers(&mut self) -> Result<(), Status> {
        let Some(control) = self.ioctl().filter(|control| control.code & 3 == 3) else {
            return Err(Status::INVALID_DEVICE_REQUEST);
        };
        if !self.request.is_from_user_mode() {
            return Err(Status::INVALID_DEVICE_REQUEST);
        }
        let request = self.request.handle();
        // SAFETY: owned.
        let cell = unsafe { Cell::of(request) }.ok_or(Status::INVALID_DEVICE_REQUEST)?;
        if control.input != 0 {
            let (mut at, mut length) = (core::ptr::null_mut(), 0);
            // SAFETY: owned, in the caller's context, METHOD_NEITHER; results are locals (R-REQ-73).
            let status = unsafe {
                call_unsafe_wdf_function_binding!(
                    WdfRequestRetrieveUnsafeUserInputBuffer,
                    request,
                    0,
                    &raw mut at,
                    &raw mut length
                )
            };
            Status::from_raw(status).ok()?;
            let mut memory: WDFMEMORY = core::ptr::null_mut();
            // SAFETY: the pair just retrieved, in its own address space; the call validates it.
            let status: NTSTATUS = unsafe {
                call_unsafe_wdf_function_binding!(
                    WdfRequestProbeAndLockUserBufferForRead,
                    request,
                    at,
                    length,
                    &raw mut memory
                )
            };
            Status::from_raw(status).ok()?;
            cell.locked_in
                .store(memory.cast(), core::sync::atomic::Ordering::Release);
        }
        if control.output != 0 {
            let (mut at, mut length) = (core::ptr::null_mut(), 0);
            // SAFETY: as above.
            let status = unsafe {
                call_unsafe_wdf_function_binding!(
                    WdfRequestRetrieveUnsafeUserOutputBuffer,
                    request,
                    0,
                    &raw mut at,
                    &raw mut length
                )
            };
            Status::from_raw(status).ok()?;
            let mut memory: WDFMEMORY = core::ptr::null_mut();
            // SAFETY: as above.
            let status: NTSTATUS = unsafe {
                call_unsafe_wdf_function_binding!(
                    WdfRequestProbeAndLockUserBufferForWrite,
                    request,
                    at,
                    length,
                    &raw mut memory
                )
            };
            Status::from_raw(status).ok()?;
            cell.locked_out
                .store(memory.cast(), core::sync::atomic::Ordering::Release);
        }
        Ok(())
    }

    /// Puts the request into the queue that takes its kind. Stands for `WdfDeviceEnqueueRequest` (R-REQ-94).
    /// Its handler may run, and complete it, inside the call.
    ///
    /// # Errors
    /// The request comes back, still owned, with `STATUS_WDF_BUSY` if the queue does not accept (R-REQ-95).
    pub fn enqueue(self, _cx: &Cx<'_, Caller>) -> Result<Disposition<'r>, (Self, Status)> {
        let device = self.device;
        let request = self.request.into_raw();
        // SAFETY: owned through EvtIoInCallerContext of this device (contract of `present`).
        let status =
            unsafe { call_unsafe_wdf_function_binding!(WdfDeviceEnqueueRequest, device, request) };
        match Status::from_raw(status).ok() {
            Ok(()) => Ok(Disposition::gone()),
            Err(status) => {
                // SAFETY: a failed hand-over leaves ownership here (R-REQ-05), under the same brand.
                let request = unsafe { Request::present(request) };
                Err((Self { request, device }, status))
            }
        }
    }

    /// `WdfRequestComplete` with Information 0 (R-REQ-28).
    pub fn complete(self, cx: &Cx<'_, Caller>, status: impl Into<FinalStatus>) -> Disposition<'r> {
        self.request.complete_empty(cx, status)
    }
}
