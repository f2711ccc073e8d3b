//! The control device `\\.\Ferry`: who may open it, and what can be asked of it.
//!
//! Every input is validated before anything changes: length, version, reserved fields, ranges. Access is decided by the access bits of the codes.

use ferry_abi::{
    Message, Refused,
    control::{
        DEFAULT_HOLD_MS, Delay, Device as Entry, Hold, IOCTL_FERRY_DELAY, IOCTL_FERRY_DEVICES,
        IOCTL_FERRY_HOLD, IOCTL_FERRY_INFO, IOCTL_FERRY_RELEASE, IOCTL_FERRY_STATS, Info,
        LINK_NAME, MAX_DELAY_MS, MAX_HOLD_MS, NT_NAME, Release, Released, SDDL, Select, ops,
    },
};
use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, FileEvent, IoPassive, Locked},
    device::{ControlDevice, Device, DeviceContext},
    file::{Files, NewFile},
    queue::{QueueConfig, wait_for_the_owner},
    request::{Buffered, Control, Create, Disposition, Ioctl, Request, Written, faults},
    wide,
};
use zerocopy::IntoBytes;

use crate::{Ferry, device::Crossing, registry::Registry};

/// `major << 16 | minor`.
const DRIVER_VERSION: u32 = 1;

/// The context of the control device: it has no state of its own.
pub(crate) struct Desk;

impl Context for Desk {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Desk> = TypeInfo::new(c"Desk");
        &INFO
    }
}

impl DeviceContext for Desk {
    type Request = ();
}

/// An open handle of the control device.
struct Controller {
    /// Never reused while the driver is loaded.
    number: u64,
}

impl Context for Controller {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Controller> = TypeInfo::new(c"Controller");
        &INFO
    }
}

/// Creates the control device and opens it for business.
pub(crate) fn create(cx: &mut Cx<'_, Locked>) -> Result<ControlDevice<Desk>, Status> {
    ControlDevice::create(
        cx,
        wide!(SDDL),
        wide!(NT_NAME),
        |init| {
            init.files(Files::new(opened).cleanup(closing).close(closed));
            Ok(())
        },
        |cx, desk| {
            desk.symbolic_link(cx, wide!(LINK_NAME))?;
            QueueConfig::sequential()
                .at_passive_level()
                .default_queue()
                .ioctl(ioctl)
                // Every control is answered by its handler.
                .stop(wait_for_the_owner)
                .create(cx, desk)?;
            Ok(Desk)
        },
    )
}

/// `EvtDeviceFileCreate`. Nothing can be opened below the device.
fn opened<'r>(
    cx: &mut Cx<'_, FileEvent>,
    _desk: &Device<Desk>,
    request: Request<'r, Create>,
    file: NewFile<'_, Controller>,
) -> Disposition<'r> {
    if !file.is_device_itself() {
        return request.complete(cx, Status::OBJECT_NAME_INVALID);
    }
    let Some(ferry) = cx.driver::<Ferry>() else {
        return request.complete(cx, Status::DEVICE_NOT_READY);
    };
    let Some(number) = ferry.registry.with(cx, |registry, _| registry.open()) else {
        return request.complete(cx, Status::DEVICE_NOT_READY);
    };
    match file.install(Controller { number }) {
        Ok(()) => request.complete(cx, Status::SUCCESS),
        Err(status) => {
            // A failed open is never closed (R-DEV-45).
            ferry.registry.with(cx, Registry::close);
            request.complete(cx, status)
        }
    }
}

/// `EvtFileCleanup`: the last handle to this open was closed.
fn closing(cx: &mut Cx<'_, FileEvent>, _desk: &Device<Desk>, controller: &Controller) {
    if let Some(ferry) = cx.driver::<Ferry>() {
        ferry.registry.with(cx, |registry, cx| {
            registry.forget_rules_of(cx, controller.number);
        });
    }
}

/// `EvtFileClose`: its requests are gone too.
fn closed(cx: &mut Cx<'_, FileEvent>, _desk: &Device<Desk>, _controller: &Controller) {
    if let Some(ferry) = cx.driver::<Ferry>() {
        ferry.registry.with(cx, Registry::close);
    }
}

fn ioctl<'r>(
    cx: &mut Cx<'_, IoPassive>,
    _desk: &Device<Desk>,
    mut request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    match answer(cx, &mut request) {
        Ok(written) => request.complete_written(cx, written),
        Err(status) => request.complete_empty(cx, status),
    }
}

fn answer<'r>(
    cx: &mut Cx<'_, IoPassive>,
    request: &mut Request<'r, Ioctl>,
) -> Result<Written<'r>, Status> {
    const INFO: u32 = IOCTL_FERRY_INFO.0;
    const DEVICES: u32 = IOCTL_FERRY_DEVICES.0;
    const STATS: u32 = IOCTL_FERRY_STATS.0;
    const HOLD: u32 = IOCTL_FERRY_HOLD.0;
    const RELEASE: u32 = IOCTL_FERRY_RELEASE.0;
    const DELAY: u32 = IOCTL_FERRY_DELAY.0;

    let code = request.parameters().code;
    let handle = request
        .file::<Controller>()
        .map(|controller| controller.number)
        .ok_or(Status::INVALID_DEVICE_STATE)?;
    let ferry = cx.driver::<Ferry>().ok_or(Status::DEVICE_NOT_READY)?;
    let Control::Buffered(buffer) = request.buffers()? else {
        return Err(Status::INVALID_DEVICE_REQUEST);
    };
    ferry.registry.with(cx, |registry, cx| match code {
        INFO => info(registry, buffer),
        DEVICES => devices(registry, cx, buffer),
        STATS => stats(registry, buffer),
        HOLD => hold(registry, handle, buffer),
        RELEASE => release(registry, buffer),
        DELAY => delay(registry, handle, buffer),
        _ => Err(Status::INVALID_DEVICE_REQUEST),
    })
}

/// Copies a structure out of the input.
fn input<M: Message>(buffer: &Buffered<'_, '_>) -> Result<M, Status> {
    M::read(buffer.input()).map_err(|why| match why {
        Refused::Length => Status::INFO_LENGTH_MISMATCH,
        Refused::Version => Status::REVISION_MISMATCH,
    })
}

/// Answers with one structure.
fn output<'r, M: Message>(
    mut buffer: Buffered<'_, 'r>,
    message: &M,
) -> Result<Written<'r>, Status> {
    let mut output = buffer.output();
    if output.append(message.as_bytes()) {
        Ok(output.written())
    } else {
        Err(Status::BUFFER_TOO_SMALL)
    }
}

/// Answers with nothing.
fn nothing<'r>(mut buffer: Buffered<'_, 'r>) -> Written<'r> {
    buffer.output().written()
}

fn find(registry: &Registry, id: u32) -> Result<&Device<Crossing>, Status> {
    registry.find(id).ok_or(Status::NO_SUCH_DEVICE)
}

fn info<'r>(registry: &Registry, buffer: Buffered<'_, 'r>) -> Result<Written<'r>, Status> {
    let devices = u32::try_from(registry.devices().count()).unwrap_or(u32::MAX);
    output(
        buffer,
        &Info::new(DRIVER_VERSION, KMDF_MINOR, devices, faults()),
    )
}

fn devices<'r>(
    registry: &Registry,
    cx: &mut Cx<'_, Locked>,
    mut buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let mut output = buffer.output();
    for (number, device) in registry.devices().enumerate() {
        let in_flight = u32::try_from(device.counters.stats().in_flight).unwrap_or(u32::MAX);
        let (held, _) = device.held.counts();
        let entry = Entry {
            header: Entry::expected(),
            id: device.id.get(),
            device_type: device.device_type(),
            in_flight,
            held,
            delayed: device.delayed.len(cx),
            backlog: 0,
            dropped: 0,
            below: 0,
            rules: 0,
            policy: 0,
        };
        if !output.append(entry.as_bytes()) {
            if number == 0 {
                return Err(Status::BUFFER_TOO_SMALL);
            }
            break;
        }
    }
    Ok(output.written())
}

fn stats<'r>(registry: &Registry, buffer: Buffered<'_, 'r>) -> Result<Written<'r>, Status> {
    let select: Select = input(&buffer)?;
    if select.reserved != 0 {
        return Err(Status::INVALID_PARAMETER);
    }
    output(buffer, &find(registry, select.device)?.counters.stats())
}

fn hold<'r>(
    registry: &Registry,
    handle: u64,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let hold: Hold = input(&buffer)?;
    if hold.ops & !ops::ALL != 0 || hold.max_age_ms > MAX_HOLD_MS || hold.reserved != 0 {
        return Err(Status::INVALID_PARAMETER);
    }
    let device = find(registry, hold.device)?;
    if hold.ops == 0 {
        device.hold.end();
    } else {
        let max_age_ms = if hold.max_age_ms == 0 {
            DEFAULT_HOLD_MS
        } else {
            hold.max_age_ms
        };
        device.hold.set(handle, hold.ops, max_age_ms);
    }
    device.pump.wake();
    Ok(nothing(buffer))
}

fn release<'r>(registry: &Registry, buffer: Buffered<'_, 'r>) -> Result<Written<'r>, Status> {
    let release: Release = input(&buffer)?;
    let device = find(registry, release.device)?;
    let (waiting, _) = device.held.counts();
    let count = if release.count == 0 {
        waiting
    } else {
        release.count.min(waiting)
    };
    // The answer is optional, but a buffer that is there must hold it.
    let written = if buffer.has_output() {
        output(buffer, &Released::new(count, 0))?
    } else {
        nothing(buffer)
    };
    device.hold.release(count);
    device.pump.wake();
    Ok(written)
}

fn delay<'r>(
    registry: &Registry,
    handle: u64,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let delay: Delay = input(&buffer)?;
    if delay.ops & !ops::ALL != 0 || delay.delay_ms > MAX_DELAY_MS || delay.reserved != 0 {
        return Err(Status::INVALID_PARAMETER);
    }
    let device = find(registry, delay.device)?;
    if delay.ops == 0 {
        device.delay.end();
    } else {
        device.delay.set(handle, delay.ops, delay.delay_ms);
    }
    Ok(nothing(buffer))
}

/// KMDF minor version this image was built for, as the build script found it.
const KMDF_MINOR: u32 = decimal(env!("FERRY_KMDF_MINOR"));

const fn decimal(text: &str) -> u32 {
    match u32::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => 0,
    }
}
