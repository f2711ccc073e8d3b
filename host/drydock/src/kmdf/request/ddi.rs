//! The DDIs of requests, but for their buffers.

use super::super::ddi::{Call, DISPATCH, PASSIVE, export};
use super::super::guest;
use super::super::handle::{self, Ref};
use super::super::queue::{self, Queue};
use super::super::target::{self, Target};
use super::{CompletionParams, Request, Role, complete, created, parameters};
use crate::nt;
use crate::nt::abi::{KERNEL_MODE, USER_MODE};
use crate::nt::status::NtStatus;
use crate::verify;

export! {
    "WdfRequestCreate" => create[attributes: u64, target: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfRequestCreateFromIrp" => create_from_irp[attributes: u64, irp: u64, frees: u8, out: u64] -> NtStatus, DISPATCH;
    "WdfRequestReuse" => reuse[request: u64, parameters: u64] -> NtStatus, DISPATCH;
    "WdfRequestChangeTarget" => change_target[request: u64, target: u64] -> NtStatus, DISPATCH;
    "WdfRequestFormatRequestUsingCurrentType" => format_current_type[request: u64], DISPATCH;
    "WdfRequestWdmFormatUsingStackLocation" => format_stack_location[request: u64, location: u64], DISPATCH;
    "WdfRequestSend" => send[request: u64, target: u64, options: u64] -> u8, DISPATCH;
    "WdfRequestGetStatus" => get_status[request: u64] -> NtStatus, DISPATCH;
    "WdfRequestMarkCancelable" => mark_cancelable[request: u64, callback: u64], DISPATCH;
    "WdfRequestMarkCancelableEx" => mark_cancelable_ex[request: u64, callback: u64] -> NtStatus, DISPATCH;
    "WdfRequestUnmarkCancelable" => unmark_cancelable[request: u64] -> NtStatus, DISPATCH;
    "WdfRequestIsCanceled" => is_canceled[request: u64] -> u8, DISPATCH;
    "WdfRequestCancelSentRequest" => cancel_sent[request: u64] -> u8, DISPATCH;
    "WdfRequestIsFrom32BitProcess" => is_from_32_bit[request: u64] -> u8, DISPATCH;
    "WdfRequestSetCompletionRoutine" => set_completion_routine[request: u64, routine: u64, context: u64], DISPATCH;
    "WdfRequestGetCompletionParams" => get_completion_params[request: u64, out: u64], DISPATCH;
    "WdfRequestAllocateTimer" => allocate_timer[request: u64] -> NtStatus, DISPATCH;
    // R-REQ-13
    "WdfRequestComplete" => complete_ddi[request: u64, status: NtStatus], DISPATCH;
    "WdfRequestCompleteWithPriorityBoost" => complete_with_boost[request: u64, status: NtStatus, boost: i8], DISPATCH;
    "WdfRequestCompleteWithInformation" => complete_with_information[request: u64, status: NtStatus, information: u64], DISPATCH;
    "WdfRequestGetParameters" => get_parameters[request: u64, out: u64], DISPATCH;
    "WdfRequestSetInformation" => set_information[request: u64, information: u64], DISPATCH;
    "WdfRequestGetInformation" => get_information[request: u64] -> u64, DISPATCH;
    "WdfRequestGetFileObject" => get_file_object[request: u64] -> u64, DISPATCH;
    "WdfRequestGetRequestorMode" => get_requestor_mode[request: u64] -> u8, DISPATCH;
    "WdfRequestForwardToIoQueue" => forward[request: u64, queue: u64] -> NtStatus, DISPATCH;
    "WdfRequestForwardToParentDeviceIoQueue" => forward_to_parent[request: u64, queue: u64, options: u64] -> NtStatus, DISPATCH;
    "WdfRequestGetIoQueue" => get_io_queue[request: u64] -> u64, DISPATCH;
    "WdfRequestRequeue" => requeue[request: u64] -> NtStatus, DISPATCH;
    "WdfRequestStopAcknowledge" => stop_acknowledge[request: u64, requeue: u8], DISPATCH;
    "WdfRequestWdmGetIrp" => wdm_get_irp[request: u64] -> u64, DISPATCH;
    "WdfRequestIsReserved" => is_reserved[request: u64] -> u8, DISPATCH;
    "WdfRequestGetRequestorProcessId" => get_process_id[request: u64] -> u32, PASSIVE;
}

fn resolve(request: u64) -> Ref<Request> {
    handle::resolve(request)
}

fn give(out: u64, made: Result<Ref<Request>, NtStatus>) -> NtStatus {
    match made {
        Ok(request) => {
            guest::write(out, request.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// `WdfRequestCreate`: R-TGT-110; the driver owns the request until it deletes it.
fn create(call: &Call, attributes: u64, target: u64, out: u64) -> NtStatus {
    call.require(out, "Request");
    guest::write(out, 0_u64);
    give(out, created::create(call, attributes, target))
}

/// `WdfRequestCreateFromIrp`: R-TGT-111.
fn create_from_irp(call: &Call, attributes: u64, irp: u64, frees: u8, out: u64) -> NtStatus {
    call.require(out, "Request");
    guest::write(out, 0_u64);
    give(
        out,
        created::create_from_irp(call, attributes, irp, frees != 0),
    )
}

/// `WdfRequestReuse`: R-TGT-83 to R-TGT-85.
fn reuse(call: &Call, request: u64, parameters: u64) -> NtStatus {
    call.require(parameters, "ReuseParams");
    NtStatus::of(created::reuse(call, &resolve(request), parameters))
}

/// `WdfRequestChangeTarget`: R-TGT-34.
fn change_target(_call: &Call, request: u64, target: u64) -> NtStatus {
    NtStatus::of(target::validate(
        &resolve(request),
        &handle::resolve(target),
    ))
}

/// `WdfRequestFormatRequestUsingCurrentType`: R-TGT-42.
fn format_current_type(_call: &Call, request: u64) {
    target::using_current_type(&resolve(request));
}

/// `WdfRequestWdmFormatUsingStackLocation`: R-TGT-43.
fn format_stack_location(call: &Call, request: u64, location: u64) {
    call.require(location, "Stack");
    target::using_stack_location(&resolve(request), location);
}

/// `WdfRequestSend`: R-TGT-50 to R-TGT-64; true: the target has the request.
fn send(call: &Call, request: u64, target: u64, options: u64) -> u8 {
    let request = resolve(request);
    let target = handle::resolve::<Target>(target);
    target::send(call, &request, &target, options).into()
}

/// `WdfRequestGetStatus`: R-REQ-41.
fn get_status(call: &Call, request: u64) -> NtStatus {
    let request = resolve(request);
    if let Err(status) = request.require_not_completed(call, "R-CHK-19") {
        return status;
    }
    let state = request.state();
    match state.irp {
        Some(irp) => irp.status(),
        None => state.sent.failure(),
    }
}

/// `WdfRequestMarkCancelable`: R-CAN-20 to R-CAN-29; the callback may run inside (R-CAN-24).
fn mark_cancelable(call: &Call, request: u64, callback: u64) {
    call.require(callback, "EvtRequestCancel");
    let _: Result<(), NtStatus> = queue::mark_cancelable(call, &resolve(request), callback, false);
}

/// `WdfRequestMarkCancelableEx`: R-CAN-23; STATUS_CANCELLED: the driver still owns the request, not cancelable.
fn mark_cancelable_ex(call: &Call, request: u64, callback: u64) -> NtStatus {
    call.require(callback, "EvtRequestCancel");
    NtStatus::of(queue::mark_cancelable(
        call,
        &resolve(request),
        callback,
        true,
    ))
}

/// `WdfRequestUnmarkCancelable`: R-CAN-30, R-CAN-31.
fn unmark_cancelable(call: &Call, request: u64) -> NtStatus {
    NtStatus::of(queue::unmark_cancelable(call, &resolve(request)))
}

/// `WdfRequestIsCanceled`: R-CAN-50 to R-CAN-52.
fn is_canceled(call: &Call, request: u64) -> u8 {
    parameters::is_canceled(call, &resolve(request)).into()
}

/// `WdfRequestCancelSentRequest`: R-CAN-70 to R-CAN-78.
fn cancel_sent(_call: &Call, request: u64) -> u8 {
    target::cancel_sent(&resolve(request)).into()
}

/// `WdfRequestIsFrom32BitProcess`: programs of this kernel are 64-bit.
fn is_from_32_bit(_call: &Call, request: u64) -> u8 {
    let _ = resolve(request);
    0
}

/// `WdfRequestSetCompletionRoutine`: R-TGT-90; null removes it.
fn set_completion_routine(_call: &Call, request: u64, routine: u64, context: u64) {
    let request = resolve(request);
    request.state().routine = (routine != 0).then_some((routine, context));
}

/// `WdfRequestGetCompletionParams`: R-TGT-87.
fn get_completion_params(call: &Call, request: u64, out: u64) {
    call.require(out, "Params");
    let request = resolve(request);
    if guest::read::<u32>(out) != CompletionParams::SIZE {
        call.framework_break(
            // R-CHK-33
            "R-TGT-87",
            "the size of WDF_REQUEST_COMPLETION_PARAMS is wrong",
        );
        return;
    }
    let params = {
        let mut state = request.state();
        state
            .format
            .is_some()
            .then(|| target::completion_params(&mut state))
    };
    if params.is_none() {
        // R-CHK-33
        call.framework_break("R-TGT-87", "the request has no format for a target");
    }
    params.unwrap_or_else(CompletionParams::empty).write(out);
}

/// `WdfRequestAllocateTimer`: R-TGT-59; timers of this framework need no allocation.
fn allocate_timer(_call: &Call, request: u64) -> NtStatus {
    let _ = resolve(request);
    NtStatus::SUCCESS
}

/// `WdfRequestComplete`: R-REQ-10; nobody owns the request afterwards.
fn complete_ddi(call: &Call, request: u64, status: NtStatus) {
    complete::complete(call, &resolve(request), status, None, None);
}

/// `WdfRequestCompleteWithPriorityBoost`: R-REQ-12.
fn complete_with_boost(call: &Call, request: u64, status: NtStatus, boost: i8) {
    complete::complete(call, &resolve(request), status, None, Some(boost));
}

/// `WdfRequestCompleteWithInformation`: R-REQ-11.
fn complete_with_information(call: &Call, request: u64, status: NtStatus, information: u64) {
    complete::complete(call, &resolve(request), status, Some(information), None);
}

/// `WdfRequestGetParameters`: R-REQ-42 to R-REQ-45.
fn get_parameters(call: &Call, request: u64, out: u64) {
    parameters::get(call, request, out);
}

/// `WdfRequestSetInformation`: R-REQ-40.
fn set_information(call: &Call, request: u64, information: u64) {
    let request = resolve(request);
    if request.require_not_completed(call, "R-REQ-40").is_ok()
        && let Some(irp) = request.irp()
    {
        irp.set_information(information);
    }
}

/// `WdfRequestGetInformation`: R-REQ-40.
fn get_information(call: &Call, request: u64) -> u64 {
    let request = resolve(request);
    if request.require_not_completed(call, "R-REQ-40").is_err() {
        return 0;
    }
    request.irp().map_or(0, super::IrpRef::information)
}

/// `WdfRequestGetFileObject`: R-REQ-48.
fn get_file_object(call: &Call, request: u64) -> u64 {
    parameters::file_object(call, &resolve(request))
}

/// `WdfRequestGetRequestorMode`: R-REQ-46.
fn get_requestor_mode(call: &Call, request: u64) -> u8 {
    let request = resolve(request);
    if request.require_not_completed(call, "R-REQ-46").is_err() {
        return USER_MODE as u8;
    }
    let user = request.irp().is_some_and(super::IrpRef::is_from_user_mode);
    (if user { USER_MODE } else { KERNEL_MODE }) as u8
}

/// `WdfRequestForwardToIoQueue`: R-REQ-85 to R-REQ-92; after success the queue owns the request.
fn forward(call: &Call, request: u64, queue: u64) -> NtStatus {
    let request = resolve(request);
    let queue = handle::resolve::<Queue>(queue);
    NtStatus::of(queue::forward(call, &request, &queue))
}

/// `WdfRequestForwardToParentDeviceIoQueue`: R-REQ-93. No device here is a child of another, so no forward is allowed.
fn forward_to_parent(call: &Call, request: u64, queue: u64, options: u64) -> NtStatus {
    call.require(options, "ForwardOptions");
    let request = resolve(request);
    let _ = handle::resolve::<Queue>(queue);
    if guest::read::<u32>(options) != 8 {
        return NtStatus::INFO_LENGTH_MISMATCH;
    }
    if guest::read::<u32>(options + 4) & !1 != 0 {
        return NtStatus::INVALID_PARAMETER;
    }
    let text = "the request's device has no parent device";
    if !call.verifier() {
        verify::violation(
            "R-REQ-93",
            request.explain(&format!("{}: {text}", call.name)),
        );
    }
    call.framework_break("R-REQ-93", text);
    NtStatus::INVALID_DEVICE_REQUEST
}

/// `WdfRequestGetIoQueue`: R-REQ-47.
fn get_io_queue(call: &Call, request: u64) -> u64 {
    parameters::io_queue(call, &resolve(request))
}

/// `WdfRequestRequeue`: R-REQ-80 to R-REQ-84; after success the queue owns the request.
fn requeue(call: &Call, request: u64) -> NtStatus {
    NtStatus::of(queue::requeue(call, &resolve(request)))
}

/// `WdfRequestStopAcknowledge`: R-QUE-122 to R-QUE-125.
fn stop_acknowledge(call: &Call, request: u64, requeue: u8) {
    parameters::stop_acknowledge(call, &resolve(request), requeue != 0);
}

/// `WdfRequestWdmGetIrp`: R-REQ-49.
fn wdm_get_irp(call: &Call, request: u64) -> u64 {
    let request = resolve(request);
    if request.require_not_completed(call, "R-REQ-49").is_err() {
        // (observed, R-CHK-19) This getter reports twice.
        let _: Result<(), NtStatus> = request.require_not_completed(call, "R-CHK-19");
        return 0;
    }
    request.irp().map_or(0, |irp| irp.raw() as u64)
}

/// `WdfRequestIsReserved`: R-QUE-143.
fn is_reserved(_call: &Call, request: u64) -> u8 {
    (resolve(request).role() == Role::Reserved).into()
}

/// `WdfRequestGetRequestorProcessId`: the program that asked, 0 for the system.
fn get_process_id(call: &Call, request: u64) -> u32 {
    let request = resolve(request);
    if request.require_not_completed(call, "R-CHK-19").is_err() {
        return 0;
    }
    let thread = request.irp().map(|irp| irp.view().thread.get());
    match thread {
        Some(thread) if !thread.is_null() => {
            nt::object::id_of(nt::object::thread_process(thread)) as u32
        }
        _ => 0,
    }
}
