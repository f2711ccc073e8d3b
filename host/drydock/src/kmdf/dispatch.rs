//! The dispatch routine of framework devices: which part of the framework an IRP goes to (R-QUE-20).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::callback;
use super::ddi::guard;
use super::device::{self, Device};
use super::file;
use super::forward;
use super::handle::Ref;
use super::pnp;
use super::power;
use super::queue::package;
use crate::nt;
use crate::nt::abi::{self, DeviceObject, Irp, mj};
use crate::nt::status::NtStatus;
use crate::sched::{self, Lock};
use crate::verify;

/// Stands in every slot of a client driver's MajorFunction table.
pub(super) extern "win64" fn routine(wdm: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    sched::point();
    guard("the framework's dispatch routine", || {
        let Some(device) = device::of_wdm(wdm) else {
            verify::violation(
                "R-DEV-62",
                "an IRP was sent to a device object whose framework device is gone",
            );
        };
        preprocess(&device, irp)
            .or_else(|| device.irp_dispatch().ask(&device, irp))
            .unwrap_or_else(|| dispatch(&device, irp))
    })
}

/// Gives the IRP to the driver's preprocess callback, if it has one for it.
fn preprocess(device: &Ref<Device>, irp: *mut Irp) -> Option<NtStatus> {
    if device.config().preprocess.is_empty() {
        return None;
    }
    let location = nt::irp::current(irp);
    let wanted = device
        .config()
        .preprocess
        .get(&location.major_function.get())?;
    if !wanted.minors.is_empty() && !wanted.minors.contains(&location.minor_function.get()) {
        return None;
    }
    let raw = callback::call(wanted.callback, &[device.handle(), irp as u64]);
    Some(NtStatus(raw as u32 as i32))
}

/// Callbacks of `WdfDeviceConfigureWdmIrpDispatchCallback`, by major function.
#[derive(Default)]
pub(super) struct IrpDispatch {
    any: AtomicBool,
    by_major: Lock<BTreeMap<u8, (u64, u64)>>,
}

impl IrpDispatch {
    /// Registers EvtDeviceWdmIrpDispatch with the context it gets.
    pub(super) fn set(&self, major: u8, callback: u64, context: u64) {
        self.by_major.lock().insert(major, (callback, context));
        self.any.store(true, Ordering::Release);
    }

    /// Gives the IRP to the callback for its major function, if there is one.
    fn ask(&self, device: &Ref<Device>, irp: *mut Irp) -> Option<NtStatus> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let location = nt::irp::current(irp);
        let major = location.major_function.get();
        let (callback, context) = *self.by_major.lock().get(&major)?;
        let code = match major {
            mj::DEVICE_CONTROL | mj::INTERNAL_DEVICE_CONTROL => location.io_control_code(),
            _ => 0,
        };
        // The last argument is what the callback hands back to `WdfDeviceWdmDispatchIrp`.
        let arguments = [
            device.handle(),
            major.into(),
            location.minor_function.get().into(),
            code.into(),
            context,
            irp as u64,
            irp as u64,
        ];
        let raw = callback::call(callback, &arguments);
        Some(NtStatus(raw as u32 as i32))
    }
}

/// Gives an IRP to the part of the framework that handles its major function.
pub(super) fn dispatch(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    match nt::irp::current(irp).major_function.get() {
        mj::READ | mj::WRITE | mj::DEVICE_CONTROL | mj::INTERNAL_DEVICE_CONTROL => {
            package::dispatch(device, irp)
        }
        mj::CREATE => file::create(device, irp),
        mj::CLEANUP => file::cleanup(device, irp),
        mj::CLOSE => file::close(device, irp),
        mj::PNP if !device.is_control() => pnp::dispatch(device, irp),
        mj::POWER if !device.is_control() => power::dispatch(device, irp),
        mj::SYSTEM_CONTROL if !device.is_control() => forward::skip(device, irp),
        mj::SHUTDOWN => shutdown(device, irp),
        _ if device.is_filter() => forward::skip(device, irp),
        _ => complete(irp, NtStatus::INVALID_DEVICE_REQUEST),
    }
}

fn shutdown(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    let callback = device.config().shutdown;
    if callback != 0 {
        callback::call(callback, &[device.handle()]);
    }
    if device.is_filter() {
        forward::skip(device, irp)
    } else {
        complete(irp, NtStatus::SUCCESS)
    }
}

/// Completes an IRP the framework answers itself, with information 0.
pub(super) fn complete(irp: *mut Irp, status: NtStatus) -> NtStatus {
    let view = abi::at(irp);
    view.io_status.status.set(status);
    view.io_status.information.set(0);
    nt::irp::complete(irp, 0);
    status
}

/// Completes an IRP whose information lower drivers have set.
pub(super) fn complete_keeping_information(irp: *mut Irp, status: NtStatus) -> NtStatus {
    abi::at(irp).io_status.status.set(status);
    nt::irp::complete(irp, 0);
    status
}
