//! The device: power-managed queues in front of memory.
//!
//! Reads, writes and controls are presented by a queue each. A request is owned by its handler, which answers it, or lets it wait: in
//! [`Port::slow`] until the latency is over, where the framework has it; or parked in [`Port::stuck`], where nobody has it until it is canceled.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ferry_abi::{
    guid::PIER_INTERFACE,
    pier::{CAPACITY, DEFAULT_BOOST, ops},
};
use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Caller, CanComplete, Cx, Io, Passive},
    device::{Added, Device, DeviceContext, DeviceInit, IoType, PnpCallbacks, Undecided},
    file::Files,
    memory::Memory,
    parked_list::ParkedList,
    queue::{Dispatched, Queue, QueueConfig, wait_for_the_owner},
    request::{Any, AnyOf, CallerRequest, Disposition, Ioctl, PriorityBoost, Read, Request, Write},
    timer::Alarm,
};

use crate::{
    controls,
    fault::{Faults, Verdict},
    handle,
    latency::{self, Slow},
    storage, stuck,
};

/// Pool tag of the storage.
const TAG: [u8; 4] = *b"Pier";

/// The context of pier's device.
pub(crate) struct Port {
    /// What reads and writes reach.
    pub(crate) storage: Memory,
    /// Requests that wait for their latency to pass, in the order they came.
    pub(crate) slow: Queue,
    /// Goes off when the first of them is due.
    pub(crate) alarm: Alarm,
    /// Requests that are not answered.
    pub(crate) stuck: ParkedList<Any>,
    /// Which requests fail.
    pub(crate) faults: Faults,
    /// Latency of requests that arrive from now on, milliseconds.
    pub(crate) latency_ms: AtomicU32,
    /// Longest read or write, bytes; 0: no limit.
    pub(crate) max_transfer: AtomicU32,
    /// Priority boost of completions from the DPC.
    pub(crate) boost: AtomicU32,
    /// Requests presented.
    pub(crate) received: AtomicU64,
    /// Requests completed.
    pub(crate) completed: AtomicU64,
    /// Requests a fault was applied to.
    pub(crate) faulted: AtomicU64,
    /// Requests kept across a power-down.
    pub(crate) kept: AtomicU32,
    /// Of these, seen again at power-up.
    pub(crate) resumed: AtomicU32,
    /// Requests answered by the DPC.
    pub(crate) from_dpc: AtomicU32,
}

/// Whether a request is answered by its handler or, having waited, by the DPC.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waited {
    No,
    Yes,
}

impl Context for Port {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Port> = TypeInfo::new(c"Port");
        &INFO
    }
}

impl DeviceContext for Port {
    type Request = Slow;
}

impl Port {
    /// What becomes of a request of that operation (one of [`ops`]; 0: one that manages the device, which no fault touches).
    fn judge(&self, cx: &mut Cx<'_, impl CanComplete>, op: u32) -> Verdict {
        let verdict = self.faults.judge(cx, op);
        if verdict != Verdict::Sound {
            self.faulted.fetch_add(1, Ordering::Relaxed);
        }
        verdict
    }

    /// A request has been, or is about to be, completed.
    pub(crate) fn count_completed(&self) {
        self.completed.fetch_add(1, Ordering::Relaxed);
    }
}

/// `EvtDriverDeviceAdd`.
pub(crate) fn add<'i>(
    cx: &Cx<'_, impl Passive>,
    init: DeviceInit<'i, Undecided>,
) -> Result<Added<'i>, Status> {
    let mut init = init.function();
    init.io_type(IoType::Direct);
    init.in_caller_context(in_caller_context);
    init.files(Files::new(handle::opened).cleanup(handle::closing));
    init.pnp(
        PnpCallbacks::new()
            .self_managed_io_restart(latency::awake)
            .self_managed_io_flush(latency::close),
    );
    let device = init.create::<Port>(cx)?;
    device.interface(
        cx,
        (
            PIER_INTERFACE.data1,
            PIER_INTERFACE.data2,
            PIER_INTERFACE.data3,
            PIER_INTERFACE.data4,
        ),
    )?;
    let slow = QueueConfig::manual()
        .power_managed()
        .canceled_on_queue(latency::canceled)
        // What was taken out is being answered.
        .stop(wait_for_the_owner)
        .create(cx, &device)?;
    let capacity = usize::try_from(CAPACITY).map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
    let port = Port {
        storage: Memory::new(cx, &device, TAG, capacity)?,
        slow,
        alarm: Alarm::new(cx, &device, latency::over)?,
        stuck: ParkedList::new()?,
        faults: Faults::none()?,
        latency_ms: AtomicU32::new(0),
        max_transfer: AtomicU32::new(0),
        boost: AtomicU32::new(DEFAULT_BOOST),
        received: AtomicU64::new(0),
        completed: AtomicU64::new(0),
        faulted: AtomicU64::new(0),
        kept: AtomicU32::new(0),
        resumed: AtomicU32::new(0),
        from_dpc: AtomicU32::new(0),
    };
    // Reads side by side; a write only when the one before is no longer pier's: answered, or waiting to be.
    let reads = QueueConfig::parallel(None)
        .read(read)
        .power_managed()
        .stop_and_resume(stuck::stop, stuck::resume)
        .create(cx, &device)?;
    device.dispatch(cx, Dispatched::Read, &reads)?;
    let writes = QueueConfig::sequential()
        .write(write)
        .power_managed()
        .stop_and_resume(stuck::stop, stuck::resume)
        .create(cx, &device)?;
    device.dispatch(cx, Dispatched::Write, &writes)?;
    // The framework keeps the queues with the device; nothing here names them again.
    QueueConfig::parallel(None)
        .default_queue()
        .ioctl(ioctl)
        .power_managed()
        .stop_and_resume(stuck::stop, stuck::resume)
        .create(cx, &device)?;
    device.install(port)
}

/// Raw user addresses mean something only here: they are locked before the request is queued.
fn in_caller_context<'r>(
    cx: &mut Cx<'_, Caller>,
    _port: &Device<Port>,
    mut request: CallerRequest<'r>,
) -> Disposition<'r> {
    if request
        .ioctl()
        .is_some_and(|control| control.code == ferry_abi::pier::IOCTL_PIER_ECHO_NEITHER.0)
        && let Err(status) = request.lock_user_buffers()
    {
        return request.complete(cx, status);
    }
    match request.enqueue(cx) {
        Ok(gone) => gone,
        Err((request, status)) => request.complete(cx, status),
    }
}

fn read<'r>(
    cx: &mut Cx<'_, Io>,
    port: &Device<Port>,
    request: Request<'r, Read>,
) -> Disposition<'r> {
    port.received.fetch_add(1, Ordering::Relaxed);
    latency::wait_or_answer(cx, port, request.any())
}

fn write<'r>(
    cx: &mut Cx<'_, Io>,
    port: &Device<Port>,
    request: Request<'r, Write>,
) -> Disposition<'r> {
    port.received.fetch_add(1, Ordering::Relaxed);
    latency::wait_or_answer(cx, port, request.any())
}

fn ioctl<'r>(
    cx: &mut Cx<'_, Io>,
    port: &Device<Port>,
    request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    port.received.fetch_add(1, Ordering::Relaxed);
    if controls::takes_time(request.parameters().code) {
        latency::wait_or_answer(cx, port, request.any())
    } else {
        answer(cx, port, request.any(), Waited::No)
    }
}

/// Does what the request asks for, or what the fault in force says, and completes it or leaves it stuck.
pub(crate) fn answer<'r>(
    cx: &mut Cx<'_, impl CanComplete>,
    port: &Port,
    request: Request<'r, Any>,
    waited: Waited,
) -> Disposition<'r> {
    let request = request.classify();
    let op = match &request {
        AnyOf::Read(_) => ops::READ,
        AnyOf::Write(_) => ops::WRITE,
        AnyOf::Ioctl(control) if controls::takes_time(control.parameters().code) => ops::CONTROL,
        AnyOf::Ioctl(_) | AnyOf::InternalIoctl(_) | AnyOf::Other(_) => 0,
    };
    let most = match port.judge(cx, op) {
        Verdict::Sound => usize::MAX,
        Verdict::Short(bytes) => bytes,
        Verdict::Fail(status) => {
            port.count_completed();
            return request.any().complete_empty(cx, status);
        }
        Verdict::Stuck => return stuck::keep(cx, port, request.any()),
    };
    // Before the completion, so that whoever saw it finds it counted.
    port.count_completed();
    let boost = match waited {
        Waited::No => PriorityBoost::NONE,
        Waited::Yes => {
            port.from_dpc.fetch_add(1, Ordering::Relaxed);
            PriorityBoost::new(port.boost.load(Ordering::Relaxed)).unwrap_or(PriorityBoost::DISK)
        }
    };
    match request {
        AnyOf::Read(request) => storage::read(cx, port, request, most, boost),
        AnyOf::Write(request) => storage::write(cx, port, request, most, boost),
        AnyOf::Ioctl(request) => controls::answer(cx, port, request, boost),
        AnyOf::InternalIoctl(request) => request.complete_empty(cx, Status::INVALID_DEVICE_REQUEST),
        AnyOf::Other(request) => request.complete_empty(cx, Status::INVALID_DEVICE_REQUEST),
    }
}
