//! A plain WDM device to send requests to: it pends every control until told otherwise.

use drydock::nt::abi::{DeviceObject, DriverObject, Irp, UnicodeString, at, mj};
use drydock::nt::status::NtStatus;
use drydock::nt::{device, driver, irp};
use drydock::sched::Lock;
use std::collections::VecDeque;

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

extern "win64" fn entry(driver: *mut DriverObject, _path: *mut UnicodeString) -> NtStatus {
    at(driver).major_function[usize::from(mj::DEVICE_CONTROL)].set(Some(dispatch));
    NtStatus::SUCCESS
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
