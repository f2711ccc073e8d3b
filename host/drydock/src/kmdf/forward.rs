//! Passing IRPs down the framework's own stack.

use std::sync::Arc;

use super::ddi::guard;
use super::device::Device;
use super::dispatch::complete;
use crate::nt;
use crate::nt::abi::{self, DeviceObject, Irp};
use crate::nt::status::NtStatus;
use crate::sched::Event;

/// Passes the IRP down in the same stack location: the framework is done with it.
pub fn skip(device: &Device, irp: *mut Irp) -> NtStatus {
    match device.lower() {
        Some(lower) => {
            nt::irp::skip_current(irp);
            nt::irp::call_driver(lower, irp)
        }
        None => complete(irp, NtStatus::INVALID_DEVICE_REQUEST),
    }
}

type Done = Box<dyn FnOnce(*mut Irp) + Send>;

extern "win64" fn run(_device: *mut DeviceObject, irp: *mut Irp, context: *mut u8) -> NtStatus {
    guard("the framework's completion routine", || {
        if abi::at(irp).pending_returned.get() != 0 {
            nt::irp::mark_pending(irp);
        }
        take(context)(irp);
        NtStatus::SUCCESS
    })
}

#[expect(unsafe_code, reason = "a completion routine has one word of context")]
fn take(context: *mut u8) -> Done {
    // SAFETY: `with_completion` made the context from a box of this type, and a completion routine runs once.
    *unsafe { Box::from_raw(context.cast::<Done>()) }
}

/// Passes a copy of the IRP's location down and runs `done` when it comes back, before completion goes on upwards.
pub fn with_completion(
    device: &Device,
    irp: *mut Irp,
    done: impl FnOnce(*mut Irp) + Send + 'static,
) -> NtStatus {
    let Some(lower) = device.lower() else {
        return complete(irp, NtStatus::INVALID_DEVICE_REQUEST);
    };
    let done: Done = Box::new(done);
    let context = Box::into_raw(Box::new(done)).cast();
    nt::irp::copy_current_to_next(irp);
    nt::irp::set_completion_routine(irp, run, context, true, true, true);
    nt::irp::call_driver(lower, irp)
}

extern "win64" fn hold(_device: *mut DeviceObject, _irp: *mut Irp, context: *mut u8) -> NtStatus {
    guard("the framework's completion routine", || {
        take_event(context).set();
        NtStatus::MORE_PROCESSING_REQUIRED
    })
}

#[expect(unsafe_code, reason = "a completion routine has one word of context")]
fn take_event(context: *mut u8) -> Arc<Event> {
    // SAFETY: `and_wait` made the context from an Arc of this type, and a completion routine runs once.
    unsafe { Arc::from_raw(context.cast::<Event>()) }
}

/// Passes a copy of the IRP's location down and waits until it comes back: the framework owns the IRP again.
/// PASSIVE_LEVEL.
pub fn and_wait(device: &Device, irp: *mut Irp) -> NtStatus {
    let Some(lower) = device.lower() else {
        return NtStatus::INVALID_DEVICE_REQUEST;
    };
    let back = Arc::new(Event::new(true, false));
    let context = Arc::into_raw(back.clone()).cast_mut().cast();
    nt::irp::copy_current_to_next(irp);
    nt::irp::set_completion_routine(irp, hold, context, true, true, true);
    let _: NtStatus = nt::irp::call_driver(lower, irp);
    back.wait();
    abi::at(irp).io_status.status.get()
}
