//! Handing an owned request over: to another queue, back to its own, to the parent's (C.5 of the specification).

use super::super::ddi::Call;
use super::super::handle::Ref;
use super::super::request::{Cancelability, Request};
use super::{Dispatching, Queue, arrive, cancel, dispatch};
use crate::nt::status::NtStatus;
use crate::verify;

/// The request may be handed over: owned and not cancelable. With the verifier on, misuse is a BREAK; with it off, the
/// framework does not look, and the model stops (R-CAN-53, R-REQ-07).
pub(super) fn may_hand_over(call: &Call, request: &Ref<Request>) -> Result<(), NtStatus> {
    request.require_owned(call)?;
    let cancelable = request.state().is_cancelable(call.verifier());
    if cancelable {
        let text = "the request is cancelable";
        if !call.verifier() {
            verify::violation(
                "R-CAN-53",
                request.explain(&format!("{}: {text}", call.name)),
            );
        }
        // R-CHK-14
        call.framework_break("R-CAN-53", &request.explain(text));
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    Ok(())
}

/// `WdfRequestForwardToIoQueue`: the driver's request goes to the tail of `target`, a queue of the same device.
pub fn forward(call: &Call, request: &Ref<Request>, target: &Ref<Queue>) -> Result<(), NtStatus> {
    let Some(source) = request.queue() else {
        if request.is_completable() {
            return forward_created(request, target);
        }
        let text = "the request is in no queue";
        // R-REQ-97, R-REQ-81
        if !call.verifier() {
            verify::violation(
                "R-REQ-97",
                request.explain(&format!("{}: {text}", call.name)),
            );
        }
        // R-CHK-22
        call.framework_break("R-REQ-97", &request.explain(text));
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    };
    may_hand_over(call, request)?;
    let wrong = if source.handle() == target.handle() {
        Some("the request comes from this very queue")
    } else if source.device().handle() != target.device().handle() {
        Some("the queue belongs to another device")
    } else {
        None
    };
    if let Some(text) = wrong {
        if !call.verifier() {
            verify::violation(
                "R-REQ-87",
                request.explain(&format!("{}: {text}", call.name)),
            );
        }
        // R-CHK-21
        call.framework_break("R-REQ-87", &request.explain(text));
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    hand_over(&source, request, target)
}

/// A created request that stands for somebody's IRP gets into a queue like one that arrived (R-REQ-98).
fn forward_created(request: &Ref<Request>, target: &Ref<Queue>) -> Result<(), NtStatus> {
    arrive::handed_over(target, request).map(|_| ())
}

fn hand_over(
    source: &Ref<Queue>,
    request: &Ref<Request>,
    target: &Ref<Queue>,
) -> Result<(), NtStatus> {
    let counted = arrive::handed_over(target, request)?;
    // R-REQ-90
    let mut state = source.state.lock();
    state.uncount(counted);
    dispatch::visit_unless_active(source, state);
    Ok(())
}

/// `WdfDeviceEnqueueRequest`, once the queue is found: the request comes from EvtIoInCallerContext.
pub(super) fn enqueue(request: &Ref<Request>, target: &Ref<Queue>) -> Result<(), NtStatus> {
    arrive::handed_over(target, request).map(|_| ())
}

/// `WdfRequestRequeue`.
pub fn requeue(call: &Call, request: &Ref<Request>) -> Result<(), NtStatus> {
    let Some(queue) = request.queue() else {
        // R-CHK-15
        call.framework_break("R-REQ-81", &request.explain("the request is in no queue"));
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    };
    if queue.dispatching() != Dispatching::Manual {
        // R-CHK-16
        call.framework_break("R-REQ-80", &request.explain("the queue is not manual"));
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    may_hand_over(call, request)?;
    arrive::put_back(&queue, queue.state.lock(), request);
    Ok(())
}

/// `WdfRequestMarkCancelable` and `WdfRequestMarkCancelableEx`.
pub fn mark_cancelable(
    call: &Call,
    request: &Ref<Request>,
    callback: u64,
    fail_if_canceled: bool,
) -> Result<(), NtStatus> {
    let Some(queue) = request.queue() else {
        // R-CAN-21; a created request is never in a queue (R-CAN-90, R-TGT-112)
        // R-CHK-15
        call.framework_break("R-CAN-21", &request.explain("the request is in no queue"));
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    };
    request.require_owned(call)?;
    let cancelable = request.state().is_cancelable(call.verifier());
    if cancelable {
        let text = "the request is cancelable already";
        if !call.verifier() {
            verify::violation(
                "R-CAN-28",
                request.explain(&format!("{}: {text}", call.name)),
            );
        }
        // R-CHK-12
        call.framework_break("R-CAN-20", &request.explain(text));
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    cancel::mark(&queue, request, callback, fail_if_canceled)
}

/// `WdfRequestUnmarkCancelable`.
pub fn unmark_cancelable(call: &Call, request: &Ref<Request>) -> Result<(), NtStatus> {
    let Some(queue) = request.queue() else {
        // R-CAN-32, R-REQ-97
        // R-CHK-15
        call.framework_break("R-CAN-32", &request.explain("the request is in no queue"));
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    };
    request.require_owned(call)?;
    let cancelable = request.state().cancelability != Cancelability::No;
    if !cancelable {
        let text = "the request is not cancelable";
        if !call.verifier() {
            verify::violation(
                "R-CAN-34",
                request.explain(&format!("{}: {text}", call.name)),
            );
        }
        // R-CHK-13
        call.framework_break("R-CAN-33", &request.explain(text));
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    cancel::unmark(&queue, request)
}
