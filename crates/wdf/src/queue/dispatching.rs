//! Which queue takes which kind of request.

use wdk_sys::call_unsafe_wdf_function_binding;

use super::Queue;
use crate::{
    Status,
    cx::{Cx, Passive},
    device::{DeviceContext, NewDevice, Role},
};

/// A kind of request a device can give to a queue of its own.
///
/// Creates are not among them: they are answered by [`Files`](crate::file::Files).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dispatched {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Device controls.
    Ioctl,
    /// Internal device controls.
    InternalIoctl,
}

impl<D: DeviceContext, R: Role> NewDevice<'_, D, R> {
    /// Gives every request of one kind to `queue` instead of the default queue. Stands for `WdfDeviceConfigureRequestDispatching`
    /// (R-QUE-28: before the device accepts I/O).
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_REQUEST` for another device's queue; what the framework returns, for instance if the kind has a queue already.
    pub fn dispatch(
        &self,
        _cx: &Cx<'_, impl Passive>,
        kind: Dispatched,
        queue: &Queue,
    ) -> Result<(), Status> {
        if queue.device != self.handle().addr() {
            return Err(Status::INVALID_DEVICE_REQUEST);
        }
        let kind = match kind {
            Dispatched::Read => wdk_sys::_WDF_REQUEST_TYPE::WdfRequestTypeRead,
            Dispatched::Write => wdk_sys::_WDF_REQUEST_TYPE::WdfRequestTypeWrite,
            Dispatched::Ioctl => wdk_sys::_WDF_REQUEST_TYPE::WdfRequestTypeDeviceControl,
            Dispatched::InternalIoctl => {
                wdk_sys::_WDF_REQUEST_TYPE::WdfRequestTypeDeviceControlInternal
            }
        };
        // SAFETY: the device exists and is being set up; the queue is referenced and of this device.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDeviceConfigureRequestDispatching,
                self.handle(),
                queue.handle(),
                kind
            )
        };
        Status::from_raw(status).ok()
    }
}
