//! A plain WDM device to send requests to, alone or in a stack of its own: it pends every control until told otherwise.

use drydock::nt::abi::{
    DO_DEVICE_INITIALIZING, DeviceObject, DriverObject, Irp, UnicodeString, at, mj, mn,
};
use drydock::nt::pnp::{DevNode, DevNodeConfig};
use drydock::nt::status::NtStatus;
use drydock::nt::{device, driver, irp};
use drydock::sched::Lock;
use std::collections::VecDeque;
use std::sync::Arc;

/// IRPs the device holds, by address.
static HELD: Lock<VecDeque<usize>> = Lock::new(VecDeque::new());

extern "win64" fn cancel(_device: *mut DeviceObject, request: *mut Irp) {
    irp::release_cancel_lock(at(request).cancel_irql.get());
    HELD.lock().retain(|&held| held != request as usize);
    finish(request, NtStatus::CANCELLED, 0);
}

extern "win64" fn dispatch(_device: *mut DeviceObject, request: *mut Irp) -> NtStatus {
    irp::mark_pending(request);
    // The cancel lock keeps a canceller out until the IRP is in the list.
    let level = irp::acquire_cancel_lock();
    HELD.lock().push_back(request as usize);
    irp::set_cancel_routine(request, Some(cancel));
    let canceled = at(request).cancel.get() != 0 && irp::set_cancel_routine(request, None) != 0;
    irp::release_cancel_lock(level);
    if canceled {
        HELD.lock().retain(|&held| held != request as usize);
        finish(request, NtStatus::CANCELLED, 0);
    }
    NtStatus::PENDING
}

extern "win64" fn agree(_device: *mut DeviceObject, request: *mut Irp) -> NtStatus {
    finish(request, NtStatus::SUCCESS, 0);
    NtStatus::SUCCESS
}

extern "win64" fn pass(device: *mut DeviceObject, request: *mut Irp) -> NtStatus {
    let location = irp::current(request);
    let removed = location.major_function.get() == mj::PNP
        && location.minor_function.get() == mn::REMOVE_DEVICE;
    let below = device::attached_below(device);
    irp::skip_current(request);
    let status = irp::call_driver(below, request);
    if removed {
        device::detach(below);
        device::delete(device);
    }
    status
}

extern "win64" fn add_device(driver: *mut DriverObject, physical: *mut DeviceObject) -> NtStatus {
    match device::create(driver, 0, NAME, 0x22, 0, false) {
        Ok(made) => {
            assert!(device::attach(made, physical).is_some());
            at(made)
                .flags
                .update(|flags| flags & !DO_DEVICE_INITIALIZING);
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

extern "win64" fn entry(driver: *mut DriverObject, _path: *mut UnicodeString) -> NtStatus {
    let set = |major: u8, routine| {
        at(driver).major_function[usize::from(major)].set(Some(routine));
    };
    set(mj::DEVICE_CONTROL, dispatch);
    for major in [mj::CREATE, mj::CLEANUP, mj::CLOSE] {
        set(major, agree);
    }
    for major in [mj::PNP, mj::POWER, mj::SYSTEM_CONTROL] {
        set(major, pass);
    }
    at(at(driver).driver_extension.get())
        .add_device
        .set(Some(add_device));
    NtStatus::SUCCESS
}

/// Name of the device of [`stack`].
pub const NAME: &str = "\\Device\\Lower";

/// The device in a stack of its own, started.
pub fn stack() -> Arc<DevNode> {
    let driver = driver::create("\\Driver\\Lower", entry).expect("the driver loads");
    let config = DevNodeConfig::new("ROOT\\LOWER\\0000", driver, &[]);
    let node = DevNode::create(config).expect("the device is added");
    node.start().expect("the device starts");
    node
}

fn finish(request: *mut Irp, status: NtStatus, information: u64) {
    at(request).io_status.status.set(status);
    at(request).io_status.information.set(information);
    irp::complete(request, 0);
}

/// Makes the device; gives its address.
pub fn create() -> u64 {
    let driver = driver::create("\\Driver\\Lower", entry).expect("the driver loads");
    device::create(driver, 0, "", 0x22, 0, false).expect("the device is made") as u64
}

/// Completes the oldest IRP, unless a cancellation has it. False: there was none.
pub fn complete_one(information: u64) -> bool {
    let Some(request) = HELD.lock().pop_front() else {
        return false;
    };
    let request = request as *mut Irp;
    if irp::set_cancel_routine(request, None) != 0 {
        finish(request, NtStatus::SUCCESS, information);
    }
    true
}

/// How many IRPs the device holds.
pub fn held() -> usize {
    HELD.lock().len()
}
