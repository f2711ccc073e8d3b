//! Control devices: a name to open, outside every stack.

use wdk_sys::call_unsafe_wdf_function_binding;

use super::{Control, Device, DeviceContext, DeviceInit, NewDevice};
use crate::{
    Status, Wide,
    cx::{Cx, Passive},
    driver,
};

impl DeviceInit<'static, Control> {
    /// `WdfControlDeviceInitAllocate` and `WdfDeviceInitAssignName`: a device only those `sddl` names can open.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`, also for a malformed `sddl` (R-DEV-30).
    pub fn control(_cx: &Cx<'_, impl Passive>, sddl: Wide, name: Wide) -> Result<Self, Status> {
        let sddl = sddl.unicode();
        // SAFETY: the driver object exists; the string is read during the call.
        let init = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfControlDeviceInitAllocate,
                driver::handle(),
                &raw const sddl
            )
        };
        if init.is_null() {
            return Err(Status::INSUFFICIENT_RESOURCES);
        }
        // SAFETY: just allocated, for us.
        let mut init: Self = unsafe { DeviceInit::own(init) };
        let name = name.unicode();
        // SAFETY: valid and not consumed; the framework copies the name.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(WdfDeviceInitAssignName, init.raw(), &raw const name)
        };
        Status::from_raw(status).ok()?;
        Ok(init)
    }
}

impl<D: DeviceContext> NewDevice<'_, D, Control> {
    /// `WdfDeviceCreateSymbolicLink`; deleted with the device (R-DEV-19).
    ///
    /// # Errors
    /// What the framework returns, for example if the name is taken.
    pub fn symbolic_link(&self, _cx: &Cx<'_, impl Passive>, name: Wide) -> Result<(), Status> {
        let name = name.unicode();
        // SAFETY: the device exists; the string is read during the call.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDeviceCreateSymbolicLink,
                self.handle(),
                &raw const name
            )
        };
        Status::from_raw(status).ok()
    }

    /// Puts the context in and opens the device for business. Stands for `WdfControlFinishInitializing` (R-DEV-32).
    ///
    /// # Errors
    /// As [`NewDevice::install`].
    pub fn finish(
        self,
        _cx: &Cx<'_, impl Passive>,
        context: D,
    ) -> Result<ControlDevice<D>, Status> {
        let device = self.install(context)?;
        // SAFETY: a control device with its default queue configured, or none.
        unsafe { call_unsafe_wdf_function_binding!(WdfControlFinishInitializing, device.handle()) };
        // INVARIANT: `self` is consumed: the one value.
        Ok(ControlDevice(device))
    }

    /// Deletes a device whose set-up failed half-way.
    pub fn abandon(self, _cx: &Cx<'_, impl Passive>) {
        // SAFETY: a control device the driver created; nobody can have opened it.
        unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, self.handle().cast()) };
    }
}

/// A finished control device. Invariant: the one value for it, so that it is deleted once.
pub struct ControlDevice<D: DeviceContext>(Device<D>);

impl<D: DeviceContext> ControlDevice<D> {
    /// `WdfObjectDelete`: no new opens; the object goes when the last handle is closed (R-DEV-33). The driver cannot unload before (R-DEV-34).
    pub fn delete(self, _cx: &Cx<'_, impl Passive>) {
        // SAFETY: referenced by `self.0`; deleted once (type invariant).
        unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, self.0.handle().cast()) };
    }
}
