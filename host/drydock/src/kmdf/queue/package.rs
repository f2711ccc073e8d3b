//! The I/O package of a device: its queues, and the way of an arriving IRP to one of them (B.2 of the specification).

use std::sync::OnceLock;

use super::super::callback;
use super::super::ddi::Call;
use super::super::device::Device;
use super::super::handle::Ref;
use super::super::request::{self, IrpRef, Owner, Request};
use super::super::target;
use super::{Dispatching, Queue, arrive, cancel, create, dispatch, forward, progress};
use crate::nt;
use crate::nt::abi::{FileObject, Irp, mj};
use crate::nt::status::NtStatus;
use crate::nt::thread::APC_LEVEL;
use crate::sched::Lock;

pub use super::power::{
    queues_power_down, queues_power_up, queues_purge_not_power_managed, queues_purge_power_managed,
};

const MAJORS: usize = mj::MAXIMUM as usize + 1;

/// The queues of a device.
#[derive(Default)]
pub struct IoPackage {
    /// The queue of each request type; a registered queue stays as long as the device (R-QUE-16).
    by_type: [OnceLock<Ref<Queue>>; MAJORS],
    default: OnceLock<Ref<Queue>>,
    /// Where requests of EvtDeviceFileCreate belong; no driver has its handle (R-REQ-47).
    of_creates: OnceLock<Ref<Queue>>,
    inner: Lock<Inner>,
}

#[derive(Default)]
struct Inner {
    queues: Vec<Ref<Queue>>,
    in_d0: bool,
    shut_down: bool,
}

impl IoPackage {
    /// All queues, in creation order.
    pub fn queues(&self) -> Vec<Ref<Queue>> {
        self.inner.lock().queues.clone()
    }

    /// The default queue.
    pub fn default_queue(&self) -> Option<&Ref<Queue>> {
        self.default.get()
    }

    /// The queue for requests of a major function (R-QUE-21); creates never go to the default queue.
    pub fn queue_for(&self, major: u8) -> Option<&Ref<Queue>> {
        let registered = self.by_type.get(usize::from(major)).and_then(OnceLock::get);
        match major {
            mj::CREATE => registered,
            _ => registered.or(self.default.get()),
        }
    }

    /// Whether the queues deliver as far as power is concerned: for a queue made now (R-QUE-11).
    pub(super) fn in_d0(&self) -> bool {
        self.inner.lock().in_d0
    }

    /// Whether a queue made now is refused requests (R-QUE-12).
    pub(super) fn is_shut_down(&self) -> bool {
        self.inner.lock().shut_down
    }

    pub(super) fn set_power(&self, in_d0: bool) {
        self.inner.lock().in_d0 = in_d0;
    }

    pub(super) fn shut_down(&self) {
        self.inner.lock().shut_down = true;
    }

    pub(super) fn add(&self, queue: &Ref<Queue>) {
        self.inner.lock().queues.push(queue.clone());
    }

    /// R-QUE-14: false if there is a default queue already.
    pub(super) fn set_default(&self, queue: &Ref<Queue>) -> bool {
        self.default.set(queue.clone()).is_ok()
    }

    pub(super) fn is_default(&self, queue: &Ref<Queue>) -> bool {
        self.default
            .get()
            .is_some_and(|default| default.handle() == queue.handle())
    }

    pub(super) fn forget(&self, queue: &Ref<Queue>) {
        let handle = queue.handle();
        self.inner
            .lock()
            .queues
            .retain(|other| other.handle() != handle);
    }
}

/// `WdfDeviceConfigureRequestDispatching` (R-QUE-27 to R-QUE-29).
pub(super) fn configure_dispatching(
    call: &Call,
    device: &Ref<Device>,
    queue: &Ref<Queue>,
    request_type: u32,
) -> Result<(), NtStatus> {
    let major = match request_type {
        0 => mj::CREATE,
        3 => mj::READ,
        4 => mj::WRITE,
        14 => mj::DEVICE_CONTROL,
        15 => mj::INTERNAL_DEVICE_CONTROL,
        _ => return Err(NtStatus::INVALID_PARAMETER),
    };
    let refuse = |text: &str, status: NtStatus| {
        // R-CHK-25
        call.framework_break("R-QUE-28", text);
        Err(status)
    };
    if queue.device().handle() != device.handle() {
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    if !device.accepts_io_configuration() {
        return Err(NtStatus::INVALID_DEVICE_STATE);
    }
    let io = device.io();
    if io.is_default(queue) {
        return refuse(
            "the default queue cannot be configured for a type",
            NtStatus::INVALID_DEVICE_REQUEST,
        );
    }
    if queue.dispatching() != Dispatching::Manual && !queue.has_handler(major) {
        return refuse(
            "the queue has no handler for this type of request",
            NtStatus::INVALID_DEVICE_REQUEST,
        );
    }
    if io.by_type[usize::from(major)].set(queue.clone()).is_err() {
        let status = if major == mj::CREATE {
            NtStatus::INVALID_PARAMETER
        } else {
            NtStatus::WDF_BUSY
        };
        return refuse("this type of request has a queue already", status);
    }
    queue.object().set_undeletable(true);
    Ok(())
}

/// A read, write, control or internal control IRP has arrived at the device (R-QUE-20): the framework's dispatch routine
/// for these.
pub fn dispatch(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    let irp = IrpRef::new(irp);
    let queue = device.io().queue_for(irp.major());
    if device.config().in_caller_context == 0 && passes_by(device, queue, irp.major()) {
        if device.is_filter() {
            return pass_down(device, irp);
        }
        return fail(irp, NtStatus::INVALID_DEVICE_REQUEST); // R-QUE-22
    }
    // R-QUE-31
    let thread = nt::thread::current();
    let region = thread.irql() <= APC_LEVEL;
    if region {
        thread.enter_critical_region();
    }
    let status = admit(device, queue, irp, device.config().in_caller_context != 0);
    if region {
        thread.leave_critical_region();
    }
    status
}

/// Whether the driver never sees the request: no queue (R-QUE-22), or a filter's default queue cannot take it (R-QUE-23).
fn passes_by(device: &Ref<Device>, queue: Option<&Ref<Queue>>, major: u8) -> bool {
    match queue {
        None => true,
        Some(queue) => {
            device.is_filter() && device.io().is_default(queue) && !queue.has_handler(major)
        }
    }
}

fn pass_down(device: &Ref<Device>, irp: IrpRef) -> NtStatus {
    let Some(lower) = device.lower() else {
        return fail(irp, NtStatus::INVALID_DEVICE_REQUEST);
    };
    nt::irp::skip_current(irp.raw());
    nt::device::call_driver(lower, irp.raw())
}

fn fail(irp: IrpRef, status: NtStatus) -> NtStatus {
    irp.set_status(status);
    irp.set_information(0);
    nt::irp::complete(irp.raw(), 0);
    status
}

/// Gives the IRP a request object, and the request to EvtIoInCallerContext or to its queue.
fn admit(
    device: &Ref<Device>,
    queue: Option<&Ref<Queue>>,
    irp: IrpRef,
    to_caller_context: bool,
) -> NtStatus {
    let request = match Request::for_irp(device, irp) {
        Ok(request) => request,
        Err(status) => {
            return match queue {
                Some(queue) if progress::is_assured(queue) => progress::arrived(queue, irp),
                _ => fail(irp, status), // R-QUE-30
            };
        }
    };
    if let Some(queue) = queue
        && !progress::has_resources(queue, &request)
    {
        request::discard(&request);
        return progress::arrived(queue, irp);
    }
    if to_caller_context {
        return to_caller(device, request, irp);
    }
    match queue {
        Some(queue) => arrive::arrived(queue, request),
        None => fail(irp, NtStatus::INVALID_DEVICE_REQUEST),
    }
}

/// EvtIoInCallerContext: in the caller's thread, at its IRQL, without a lock (R-DEV-14).
fn to_caller(device: &Ref<Device>, request: Ref<Request>, irp: IrpRef) -> NtStatus {
    nt::irp::mark_pending(irp.raw());
    request
        .state()
        .enter(Owner::CallerContext, None, "given to EvtIoInCallerContext");
    request.state().presented = true; // R-REQ-96
    let handle = request.handle();
    drop(request);
    callback::call(
        device.config().in_caller_context,
        &[device.handle(), handle],
    );
    NtStatus::PENDING
}

/// `WdfDeviceEnqueueRequest` (R-REQ-94, R-REQ-95).
pub(super) fn enqueue(
    call: &Call,
    device: &Ref<Device>,
    request: &Ref<Request>,
) -> Result<(), NtStatus> {
    if request.state().owner != Owner::CallerContext {
        let text = "the request was not given to EvtIoInCallerContext";
        if !call.verifier() {
            crate::verify::violation(
                "R-REQ-94",
                request.explain(&format!("{}: {text}", call.name)),
            );
        }
        // R-CHK-22
        call.framework_break("R-REQ-94", text);
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    let major = request.irp().map_or(0, IrpRef::major);
    let queue = device.io().queue_for(major);
    if passes_by(device, queue, major) {
        if device.is_filter() {
            // R-DEV-15
            return match device.lower() {
                Some(lower) => {
                    target::forget_down(request, lower);
                    Ok(())
                }
                None => Err(NtStatus::INVALID_DEVICE_REQUEST),
            };
        }
        call.framework_break("R-REQ-95", "there is no queue for this type of request");
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    match queue {
        Some(queue) => forward::enqueue(request, queue),
        None => Err(NtStatus::INVALID_DEVICE_REQUEST),
    }
}

/// `WdfDeviceWdmDispatchIrpToIoQueue`: an IRP from a preprocess callback goes to a queue of the driver's choice.
pub(super) fn dispatch_to_queue(
    device: &Ref<Device>,
    irp: IrpRef,
    queue: &Ref<Queue>,
    invoke_caller_context: bool,
) -> NtStatus {
    let to_caller = invoke_caller_context && device.config().in_caller_context != 0;
    admit(device, Some(queue), irp, to_caller)
}

/// The last handle of a file object is closed: its waiting requests are cancelled in every queue; owned ones are left
/// alone (R-CAN-60).
pub fn flush_by_file_object(device: &Ref<Device>, file: *mut FileObject) {
    for queue in device.io().queues() {
        cancel::cancel_all_waiting(&queue, |request| request.wdm_file_object() == Some(file));
        dispatch::visit_unless_active(&queue, queue.state.lock());
    }
}

/// A create goes to the driver: to the queue configured for creates, if there is one. Gives the request back if there is
/// none: the driver owns it, and EvtDeviceFileCreate is to be called (R-DEV-43, R-REQ-99).
///
/// # Errors
/// What the dispatch routine returns, where the IRP is dealt with.
pub fn admit_create(device: &Ref<Device>, request: Ref<Request>) -> Result<Ref<Request>, NtStatus> {
    if let Some(queue) = device.io().queue_for(mj::CREATE) {
        return Err(arrive::arrived(queue, request));
    }
    let queue = internal_queue(device).inspect_err(|&status| {
        request::complete_by_framework(&request, status, 0);
    })?;
    if let Some(irp) = request.irp() {
        nt::irp::mark_pending(irp.raw());
    }
    let mut state = queue.state.lock();
    request.state().queue = Some(queue.clone());
    state.own(&request, Owner::Driver, "given to EvtDeviceFileCreate");
    request.state().presented = true;
    drop(state);
    Ok(request)
}

fn internal_queue(device: &Ref<Device>) -> Result<Ref<Queue>, NtStatus> {
    let io = device.io();
    if let Some(queue) = io.of_creates.get() {
        return Ok(queue.clone());
    }
    let made = create::for_creates(device)?;
    Ok(io.of_creates.get_or_init(|| made).clone())
}

/// Whether a queue is the one behind EvtDeviceFileCreate, which drivers do not know (R-REQ-47).
pub fn is_internal(queue: &Ref<Queue>) -> bool {
    queue
        .device()
        .io()
        .of_creates
        .get()
        .is_some_and(|internal| internal.handle() == queue.handle())
}
