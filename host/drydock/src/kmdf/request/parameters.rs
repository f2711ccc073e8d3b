//! What a request asks for, and who asks (C.3 of the specification).

use super::super::ddi::Call;
use super::super::guest;
use super::super::handle::Ref;
use super::super::queue;
use super::{Owner, Request};
use crate::nt::abi::{IoStackLocation, mj};
use crate::nt::status::NtStatus;

/// Size of `WDF_REQUEST_PARAMETERS`.
pub(in crate::kmdf) const PARAMETERS_SIZE: u16 = 40;

/// Fills the parameter structure at `out` from a stack location; its size was checked.
fn write(out: u64, location: &IoStackLocation, hide_type3: bool) {
    let major = location.major_function.get();
    guest::write(out + 2, location.minor_function.get());
    guest::write(out + 4, u32::from(major));
    let slot = |n: usize| location.parameters[n].get();
    let arguments = match major {
        mj::CREATE => [
            slot(0),
            slot(1) & 0xFFFF_FFFF,
            slot(2) & 0xFFFF_FFFF,
            slot(3) & 0xFFFF_FFFF,
        ],
        mj::READ | mj::WRITE => [
            location.length().into(),
            location.key().into(),
            location.byte_offset() as u64,
            slot(3),
        ],
        mj::DEVICE_CONTROL | mj::INTERNAL_DEVICE_CONTROL => {
            let neither = location.io_control_code() & 3 == 3;
            // R-REQ-44
            let type3 = if hide_type3 && neither && major == mj::DEVICE_CONTROL {
                0
            } else {
                slot(3)
            };
            if major == mj::INTERNAL_DEVICE_CONTROL {
                // Drivers send pointers this way (Others.Arg1, Arg2): whole slots.
                [slot(0), slot(1), slot(2), type3]
            } else {
                [
                    location.output_length().into(),
                    location.input_length().into(),
                    location.io_control_code().into(),
                    type3,
                ]
            }
        }
        _ => [slot(0), slot(1), slot(2), slot(3)],
    };
    for (n, argument) in arguments.into_iter().enumerate() {
        guest::write(out + 8 + 8 * n as u64, argument);
    }
}

/// The same, for the IRP of a request that was found.
pub(in crate::kmdf) fn write_for(out: u64, irp: super::IrpRef, hide_type3: bool) {
    if let Some(location) = irp.current_if_valid() {
        write(out, location, hide_type3);
    }
}

/// `WdfRequestGetParameters` (R-REQ-42 to R-REQ-45).
pub(super) fn get(call: &Call, request: u64, out: u64) {
    call.require(out, "Parameters");
    let request: Ref<Request> = super::super::handle::resolve(request);
    if guest::read::<u16>(out) != PARAMETERS_SIZE {
        // R-CHK-33
        call.framework_break("R-REQ-42", "the size of WDF_REQUEST_PARAMETERS is wrong");
        return;
    }
    if request.require_not_completed(call, "R-REQ-45").is_err() {
        return;
    }
    let location = request.irp().and_then(|irp| irp.current_if_valid());
    let Some(location) = location else {
        if call.verifier() {
            call.framework_break("R-REQ-45", "the request has no current stack location");
        } else {
            crate::verify::violation(
                "R-REQ-45",
                request.explain(
                    "WdfRequestGetParameters on a request without a current stack location",
                ),
            );
        }
        return;
    };
    write(out, location, call.verifier());
}

/// `WdfRequestGetIoQueue` (R-REQ-47).
pub(super) fn io_queue(call: &Call, request: &Ref<Request>) -> u64 {
    let Some(queue) = request.queue() else {
        return 0;
    };
    if queue::package::is_internal(&queue) {
        call.framework_break(
            "R-REQ-47",
            "a create request belongs to no queue of the driver",
        );
        return 0;
    }
    queue.handle()
}

/// `WdfRequestGetFileObject` (R-REQ-48).
pub(super) fn file_object(call: &Call, request: &Ref<Request>) -> u64 {
    if call.verifier() && request.require_owned(call).is_err() {
        return 0;
    }
    let (Some(device), Some(file)) = (request.device(), request.wdm_file_object()) else {
        return 0;
    };
    device.files().find(file).map_or(0, |file| file.handle())
}

/// `WdfRequestIsCanceled` (R-CAN-50 to R-CAN-52).
pub(super) fn is_canceled(call: &Call, request: &Ref<Request>) -> bool {
    if call.verifier() {
        if request.require_owned(call).is_err() {
            return false;
        }
        if request.state().is_cancelable(true) {
            // R-CHK-14
            call.framework_break("R-CAN-51", "the request is cancelable");
            return false;
        }
    }
    let state = request.state();
    state.canceled || state.irp.is_some_and(super::IrpRef::is_canceled)
}

/// `WdfRequestStopAcknowledge` (R-QUE-122 to R-QUE-125).
pub(super) fn stop_acknowledge(call: &Call, request: &Ref<Request>, requeue: bool) {
    let answer = request.state().stop;
    let in_callback = answer == super::StopAnswer::Asked;
    if call.verifier() {
        // R-QUE-123
        if !in_callback {
            // R-CHK-24
            call.framework_break("R-QUE-123", "the request's EvtIoStop is not running");
            return;
        }
        if requeue {
            let (owner, cancelable) = {
                let state = request.state();
                (state.owner, state.is_cancelable(true))
            };
            if owner != Owner::Driver || cancelable {
                call.framework_break(
                    "R-QUE-124",
                    "the request to requeue is not owned, or cancelable",
                );
                return;
            }
        }
    } else if request.state().owner != Owner::Driver {
        let _: Result<(), NtStatus> = request.require_owned(call);
    } else if requeue && request.state().is_cancelable(false) {
        crate::verify::violation(
            "R-CAN-53",
            request.explain("WdfRequestStopAcknowledge with requeue on a cancelable request"),
        );
    }
    let mut state = request.state();
    state.stop = if requeue {
        super::StopAnswer::Requeue
    } else {
        super::StopAnswer::Keep
    };
    state.history.note(if requeue {
        "stop acknowledged: to be requeued"
    } else {
        "stop acknowledged: kept"
    });
}
