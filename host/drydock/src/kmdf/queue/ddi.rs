//! The DDIs of queues.

use super::super::ddi::{Call, DISPATCH, PASSIVE, export};
use super::super::device::Device;
use super::super::file::FileObject;
use super::super::guest;
use super::super::handle::{self, Ref};
use super::super::request::{self, IrpRef, Request};
use super::retrieve::{self, Wanted};
use super::state::{self, Change};
use super::{Queue, StateCallback, create, package, progress};
use crate::nt;
use crate::nt::abi::Irp;
use crate::nt::status::NtStatus;
use crate::verify;

export! {
    "WdfIoQueueCreate" => create_ddi[device: u64, config: u64, attributes: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfIoQueueGetState" => get_state[queue: u64, waiting: u64, owned: u64] -> u32, DISPATCH;
    "WdfIoQueueStart" => start[queue: u64], DISPATCH;
    "WdfIoQueueStop" => stop[queue: u64, callback: u64, context: u64], DISPATCH;
    "WdfIoQueueStopSynchronously" => stop_synchronously[queue: u64], DISPATCH;
    "WdfIoQueueStopAndPurge" => stop_and_purge[queue: u64, callback: u64, context: u64], DISPATCH;
    "WdfIoQueueStopAndPurgeSynchronously" => stop_and_purge_synchronously[queue: u64], DISPATCH;
    "WdfIoQueueDrain" => drain[queue: u64, callback: u64, context: u64], DISPATCH;
    "WdfIoQueueDrainSynchronously" => drain_synchronously[queue: u64], DISPATCH;
    "WdfIoQueuePurge" => purge[queue: u64, callback: u64, context: u64], DISPATCH;
    "WdfIoQueuePurgeSynchronously" => purge_synchronously[queue: u64], DISPATCH;
    "WdfIoQueueGetDevice" => get_device[queue: u64] -> u64, DISPATCH;
    "WdfIoQueueRetrieveNextRequest" => retrieve_next[queue: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfIoQueueRetrieveRequestByFileObject" => retrieve_by_file[queue: u64, file: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfIoQueueFindRequest" => find[queue: u64, tag: u64, file: u64, parameters: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfIoQueueRetrieveFoundRequest" => retrieve_found[queue: u64, found: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfIoQueueReadyNotify" => ready_notify[queue: u64, callback: u64, context: u64] -> NtStatus, DISPATCH;
    "WdfIoQueueAssignForwardProgressPolicy" => assign_policy[queue: u64, policy: u64] -> NtStatus, PASSIVE;
    "WdfDeviceGetDefaultQueue" => get_default_queue[device: u64] -> u64, DISPATCH;
    "WdfDeviceConfigureRequestDispatching" => configure_dispatching[device: u64, queue: u64, request_type: u32] -> NtStatus, DISPATCH;
    "WdfDeviceEnqueueRequest" => enqueue[device: u64, request: u64] -> NtStatus, DISPATCH;
    "WdfDeviceWdmDispatchIrpToIoQueue" => dispatch_to_queue[device: u64, irp: u64, queue: u64, flags: u32] -> NtStatus, DISPATCH;
}

/// `WdfIoQueueCreate`: R-QUE-01 to R-QUE-16. IRQL <= DISPATCH_LEVEL.
fn create_ddi(call: &Call, device: u64, config: u64, attributes: u64, out: u64) -> NtStatus {
    call.require(config, "Config");
    let device = handle::resolve::<Device>(device);
    guest::write_optional(out, 0_u64);
    match create::create(&device, config, attributes, out != 0) {
        Ok(queue) => {
            guest::write_optional(out, queue.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// `WdfIoQueueGetState`: R-QUE-70.
fn get_state(_call: &Call, queue: u64, waiting: u64, owned: u64) -> u32 {
    let (bits, w, n) = state::get(&handle::resolve(queue));
    guest::write_optional(waiting, w);
    guest::write_optional(owned, n);
    bits
}

/// `WdfIoQueueStart`: R-QUE-72; handlers may run inside (R-QUE-50).
fn start(_call: &Call, queue: u64) {
    state::start(&handle::resolve(queue));
}

/// R-CAN-82 (DOC)
fn refuse_in_surprise_removal(call: &Call, queue: &Queue) {
    if queue.device.pnp().in_surprise_removal() {
        verify::violation(
            "R-CAN-82",
            format!("{} in EvtDeviceSurpriseRemoval", call.name),
        );
    }
}

/// An asynchronous form; a context requires a callback (R-QUE-79).
fn change(call: &Call, queue: u64, change: Change, callback: u64, context: u64) {
    let queue = handle::resolve(queue);
    refuse_in_surprise_removal(call, &queue);
    if callback == 0 && context != 0 {
        call.require(callback, "the callback of the given context");
    }
    let callback = (callback != 0).then_some(StateCallback {
        function: callback,
        context,
    });
    state::change(&queue, change, callback);
}

/// A synchronous form: PASSIVE_LEVEL (R-QUE-82).
fn change_and_wait(call: &Call, queue: u64, change: Change) {
    let queue = handle::resolve(queue);
    refuse_in_surprise_removal(call, &queue);
    if call.irql_too_high(PASSIVE) {
        return;
    }
    let irql = nt::thread::current().irql();
    if irql > PASSIVE {
        verify::violation("R-QUE-82", format!("{} waits at IRQL {irql}", call.name));
    }
    state::change_and_wait(&queue, change);
}

/// `WdfIoQueueStop`: R-QUE-73.
fn stop(call: &Call, queue: u64, callback: u64, context: u64) {
    change(call, queue, Change::Stop, callback, context);
}

/// `WdfIoQueueStopSynchronously`: R-QUE-73, R-QUE-82. PASSIVE_LEVEL.
fn stop_synchronously(call: &Call, queue: u64) {
    change_and_wait(call, queue, Change::Stop);
}

/// `WdfIoQueueStopAndPurge`: R-QUE-74.
fn stop_and_purge(call: &Call, queue: u64, callback: u64, context: u64) {
    change(call, queue, Change::StopAndPurge, callback, context);
}

/// `WdfIoQueueStopAndPurgeSynchronously`: R-QUE-74, R-QUE-82. PASSIVE_LEVEL.
fn stop_and_purge_synchronously(call: &Call, queue: u64) {
    change_and_wait(call, queue, Change::StopAndPurge);
}

/// `WdfIoQueueDrain`: R-QUE-75.
fn drain(call: &Call, queue: u64, callback: u64, context: u64) {
    change(call, queue, Change::Drain, callback, context);
}

/// `WdfIoQueueDrainSynchronously`: R-QUE-75, R-QUE-82. PASSIVE_LEVEL.
fn drain_synchronously(call: &Call, queue: u64) {
    change_and_wait(call, queue, Change::Drain);
}

/// `WdfIoQueuePurge`: R-QUE-76.
fn purge(call: &Call, queue: u64, callback: u64, context: u64) {
    change(call, queue, Change::Purge, callback, context);
}

/// `WdfIoQueuePurgeSynchronously`: R-QUE-76, R-QUE-82. PASSIVE_LEVEL.
fn purge_synchronously(call: &Call, queue: u64) {
    change_and_wait(call, queue, Change::Purge);
}

/// `WdfIoQueueGetDevice`: R-QUE-85.
fn get_device(_call: &Call, queue: u64) -> u64 {
    handle::resolve::<Queue>(queue).device.handle()
}

/// Writes the handle of a fetched request, or null.
fn give(out: u64, found: Result<Ref<Request>, NtStatus>) -> NtStatus {
    match found {
        Ok(request) => {
            guest::write(out, request.handle());
            NtStatus::SUCCESS
        }
        Err(status) => {
            guest::write(out, 0_u64);
            status
        }
    }
}

/// `WdfIoQueueRetrieveNextRequest`: R-QUE-90 to R-QUE-95; on success the driver owns the request.
fn retrieve_next(call: &Call, queue: u64, out: u64) -> NtStatus {
    call.require(out, "OutRequest");
    give(
        out,
        retrieve::retrieve(call, &handle::resolve(queue), Wanted::Next),
    )
}

/// `WdfIoQueueRetrieveRequestByFileObject`: as above, for one file object.
fn retrieve_by_file(call: &Call, queue: u64, file: u64, out: u64) -> NtStatus {
    call.require(out, "OutRequest");
    let queue = handle::resolve(queue);
    let file = handle::resolve::<FileObject>(file);
    let Some(wdm) = file.wdm() else {
        return give(out, Err(NtStatus::NO_MORE_ENTRIES));
    };
    give(out, retrieve::retrieve(call, &queue, Wanted::OfFile(wdm)))
}

/// `WdfIoQueueFindRequest`: R-QUE-96 to R-QUE-98; the request is referenced, not owned.
fn find(call: &Call, queue: u64, tag: u64, file: u64, parameters: u64, out: u64) -> NtStatus {
    call.require(out, "OutRequest");
    let queue = handle::resolve::<Queue>(queue);
    guest::write(out, 0_u64);
    let tag = handle::resolve_optional::<Request>(tag);
    let file = handle::resolve_optional::<FileObject>(file);
    if parameters != 0 && guest::read::<u16>(parameters) < request::PARAMETERS_SIZE {
        return NtStatus::INVALID_PARAMETER_4;
    }
    if queue.dispatching != super::Dispatching::Manual {
        // R-CHK-25
        call.framework_break("R-QUE-96", "the queue is not manual");
        return NtStatus::INVALID_DEVICE_REQUEST;
    }
    if let Some(tag) = &tag
        && let Err(status) = retrieve::require_tag(call, tag)
    {
        return status;
    }
    let wdm = match file.as_ref().map(|file| file.wdm()) {
        // A file object without a FILE_OBJECT has no requests.
        Some(None) => return give(out, Err(NtStatus::NO_MORE_ENTRIES)),
        Some(wdm) => wdm,
        None => None,
    };
    let look = |irp| {
        if parameters != 0 {
            request::write_parameters(parameters, irp, call.verifier());
        }
    };
    give(out, retrieve::find(&queue, tag.as_ref(), wdm, look))
}

/// `WdfIoQueueRetrieveFoundRequest`: R-QUE-99, R-QUE-100; on success the driver owns the request.
fn retrieve_found(call: &Call, queue: u64, found: u64, out: u64) -> NtStatus {
    call.require(out, "OutRequest");
    let queue = handle::resolve(queue);
    let found = handle::resolve::<Request>(found);
    if let Err(status) = retrieve::require_tag(call, &found) {
        return give(out, Err(status));
    }
    give(out, retrieve::retrieve(call, &queue, Wanted::Found(&found)))
}

/// `WdfIoQueueReadyNotify`: R-QUE-110 to R-QUE-117.
fn ready_notify(call: &Call, queue: u64, callback: u64, context: u64) -> NtStatus {
    let queue = handle::resolve(queue);
    let callback = (callback != 0).then_some(StateCallback {
        function: callback,
        context,
    });
    NtStatus::of(retrieve::ready_notify(call, &queue, callback))
}

/// `WdfIoQueueAssignForwardProgressPolicy`: R-QUE-140. PASSIVE_LEVEL.
fn assign_policy(call: &Call, queue: u64, policy: u64) -> NtStatus {
    call.require(policy, "ForwardProgressPolicy");
    NtStatus::of(progress::assign(call, &handle::resolve(queue), policy))
}

/// `WdfDeviceGetDefaultQueue`: null if the device has none.
fn get_default_queue(_call: &Call, device: u64) -> u64 {
    handle::resolve::<Device>(device)
        .io()
        .default_queue()
        .map_or(0, Ref::handle)
}

/// `WdfDeviceConfigureRequestDispatching`: R-QUE-27 to R-QUE-29.
fn configure_dispatching(call: &Call, device: u64, queue: u64, request_type: u32) -> NtStatus {
    let device = handle::resolve(device);
    let queue = handle::resolve(queue);
    NtStatus::of(package::configure_dispatching(
        call,
        &device,
        &queue,
        request_type,
    ))
}

/// `WdfDeviceEnqueueRequest`: R-REQ-94 to R-REQ-96; after success the queue owns the request.
fn enqueue(call: &Call, device: u64, request: u64) -> NtStatus {
    let device = handle::resolve(device);
    let request = handle::resolve(request);
    NtStatus::of(package::enqueue(call, &device, &request))
}

/// `WdfDeviceWdmDispatchIrpToIoQueue`: gives the framework an IRP that a preprocess callback was given, for one queue.
fn dispatch_to_queue(call: &Call, device: u64, irp: u64, queue: u64, flags: u32) -> NtStatus {
    /// `WDF_DISPATCH_IRP_TO_IO_QUEUE_INVOKE_INCALLERCTX_CALLBACK`.
    const INVOKE_CALLER_CONTEXT: u32 = 1;
    call.require(irp, "Irp");
    let device = handle::resolve(device);
    let queue = handle::resolve(queue);
    let irp = IrpRef::new(irp as *mut Irp);
    package::dispatch_to_queue(&device, irp, &queue, flags & INVOKE_CALLER_CONTEXT != 0)
}
