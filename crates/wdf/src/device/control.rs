//! Control devices: a name to open, outside every stack.

use wdk_sys::call_unsafe_wdf_function_binding;

use super::{Control, Device, DeviceContext, DeviceInit, NewDevice};
use crate::{
    Status, Wide,
    cx::{Cx, Passive},
    driver,
};

impl<D: DeviceContext> ControlDevice<D> {
    /// Makes a control device that only those `sddl` names can open, in one go: `describe` says what it will be, `build` creates its queues and
    /// links and returns its context, and then it is open for business. Stands for `WdfControlDeviceInitAllocate`, `WdfDeviceInitAssignName`,
    /// `WdfDeviceCreate` and `WdfControlFinishInitializing` (R-DEV-30, R-DEV-32).
    ///
    /// The closures see the structure and the unfinished device by reference only: whatever they do, the structure is freed once and not used
    /// after the device was created, and the device is either finished or deleted.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`, also for a malformed `sddl` (R-DEV-30); `STATUS_OBJECT_NAME_COLLISION` for a name that is taken; and
    /// whatever a closure returned. Nothing is left of the device then.
    pub fn create<P: Passive>(
        cx: &mut Cx<'_, P>,
        sddl: Wide,
        name: Wide,
        describe: impl FnOnce(&mut DeviceInit<'_, Control>) -> Result<(), Status>,
        build: impl FnOnce(&mut Cx<'_, P>, &NewDevice<'_, D, Control>) -> Result<D, Status>,
    ) -> Result<Self, Status> {
        // Dropped, and so freed, on every way out before the device exists.
        let mut init = allocate(sddl, name)?;
        describe(&mut init)?;
        let device = init.into_device::<D>()?;
        let handle = device.handle();
        let device = build(cx, &device).and_then(|context| device.complete(context));
        match device {
            Ok(device) => {
                // SAFETY: a control device with its default queue configured, or none.
                unsafe { call_unsafe_wdf_function_binding!(WdfControlFinishInitializing, handle) };
                // INVARIANT: just made: the one value.
                Ok(Self(device))
            }
            Err(status) => {
                // SAFETY: a control device made above that was never finished: nobody can have opened it. PASSIVE_LEVEL by `P`.
                unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, handle.cast()) };
                Err(status)
            }
        }
    }
}

fn allocate(sddl: Wide, name: Wide) -> Result<DeviceInit<'static, Control>, Status> {
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
    let mut init: DeviceInit<'static, Control> = unsafe { DeviceInit::own(init) };
    let name = name.unicode();
    // SAFETY: valid and not consumed; the framework copies the name.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(WdfDeviceInitAssignName, init.raw(), &raw const name)
    };
    Status::from_raw(status).ok()?;
    Ok(init)
}

/// A finished control device. Invariant: the one value for it, so that it is deleted once.
///
/// It has no `Drop`: deleting needs `PASSIVE_LEVEL` (R-OBJ-17), which a drop cannot know of. One that is forgotten keeps the driver from
/// being unloaded (R-DEV-34, the rule `ControlDeviceDeleted`).
#[must_use]
pub struct ControlDevice<D: DeviceContext>(Device<D>);

impl<D: DeviceContext> ControlDevice<D> {
    /// The device, as its callbacks are given it.
    #[must_use]
    pub const fn device(&self) -> &Device<D> {
        &self.0
    }

    /// `WdfObjectDelete`: no new opens; the object goes when the last handle is closed (R-DEV-33). The driver cannot unload before (R-DEV-34).
    pub fn delete(self, _cx: &Cx<'_, impl Passive>) {
        // SAFETY: referenced by `self.0`; deleted once (type invariant).
        unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, self.0.handle().cast()) };
    }
}
