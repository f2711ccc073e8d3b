//! The device: one power-managed queue in front of memory.
//!
//! A request is owned by its handler, which answers it, or parked in [`Port::waiting`] until the latency is over; then the alarm's DPC
//! takes it back and answers it. Its cancel handler, or `EvtIoStop`, may take it first.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ferry_abi::{guid::PIER_INTERFACE, pier::CAPACITY};
use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Caller, CanComplete, Cx, Io, Passive},
    device::{Device, DeviceContext, DeviceInit, IoType, Undecided},
    file::Files,
    memory::Memory,
    parked_list::ParkedList,
    queue::QueueConfig,
    request::{Any, AnyOf, CallerRequest, Disposition, Ioctl, Read, Request, Write},
    timer::Alarm,
};

use crate::{controls, handle, latency, storage};

/// Pool tag of the storage.
const TAG: [u8; 4] = *b"Pier";

/// The context of pier's device.
pub(crate) struct Port {
    /// What reads and writes reach.
    pub(crate) storage: Memory,
    /// Requests that wait for their latency to pass, by due time.
    pub(crate) waiting: ParkedList<Any>,
    /// Goes off when the first of them is due.
    pub(crate) alarm: Alarm,
    /// Latency of requests that arrive from now on, milliseconds.
    pub(crate) latency_ms: AtomicU32,
    /// Requests presented.
    pub(crate) received: AtomicU64,
    /// Requests completed.
    pub(crate) completed: AtomicU64,
}

impl Context for Port {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Port> = TypeInfo::new(c"Port");
        &INFO
    }
}

impl DeviceContext for Port {
    type Request = ();
}

impl Port {
    /// A request goes back to its queue: it will be presented, and counted, again.
    pub(crate) fn uncount(&self) {
        self.received.fetch_sub(1, Ordering::Relaxed);
    }

    /// A request has been, or is about to be, completed.
    pub(crate) fn count_completed(&self) {
        self.completed.fetch_add(1, Ordering::Relaxed);
    }
}

/// `EvtDriverDeviceAdd`.
pub(crate) fn add(
    cx: &Cx<'_, impl Passive>,
    init: DeviceInit<'_, Undecided>,
) -> Result<(), Status> {
    let mut init = init.function();
    init.io_type(IoType::Direct);
    init.in_caller_context(in_caller_context);
    init.files(Files::new(handle::opened).cleanup(handle::closing));
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
    let capacity = usize::try_from(CAPACITY).map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
    let port = Port {
        storage: Memory::new(cx, &device, TAG, capacity)?,
        waiting: ParkedList::new()?,
        alarm: Alarm::new(cx, &device, latency::over)?,
        latency_ms: AtomicU32::new(0),
        received: AtomicU64::new(0),
        completed: AtomicU64::new(0),
    };
    // The framework keeps the queue with the device; nothing here names it again.
    QueueConfig::parallel(None)
        .default_queue()
        .power_managed()
        .read(read)
        .write(write)
        .ioctl(ioctl)
        .stop(latency::stop)
        .create(cx, &device)?;
    device.install(port)?;
    Ok(())
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
        answer(cx, port, request.any())
    }
}

/// Does what the request asks for and completes it.
pub(crate) fn answer<'r>(
    cx: &Cx<'_, impl CanComplete>,
    port: &Port,
    request: Request<'r, Any>,
) -> Disposition<'r> {
    // Before the completion, so that whoever saw it finds it counted.
    port.count_completed();
    match request.classify() {
        AnyOf::Read(request) => storage::read(cx, port, request),
        AnyOf::Write(request) => storage::write(cx, port, request),
        AnyOf::Ioctl(request) => controls::answer(cx, port, request),
        AnyOf::InternalIoctl(request) => request.complete_empty(cx, Status::INVALID_DEVICE_REQUEST),
        AnyOf::Other(request) => request.complete_empty(cx, Status::INVALID_DEVICE_REQUEST),
    }
}
