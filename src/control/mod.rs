//! The control device `\\.\Ferry`: who may open it, and which control is answered where.
//!
//! Every input is validated before anything changes: length, version, fields, device. Access is decided by the access bits of the codes.

mod answer;
mod devices;
mod probe;
mod rules;
mod settings;
mod watching;

use ferry_abi::control::{self, IOCTL_FERRY_IN_FLIGHT, LINK_NAME, NT_NAME, SDDL};
use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Caller, Cx, FileEvent, IoPassive, Locked},
    device::{ControlDevice, Device, DeviceContext},
    file::{Files, NewFile},
    queue::{Queue, QueueConfig, wait_for_the_owner},
    request::{CallerRequest, Control, Create, Disposition, Ioctl, Request, Written},
    wide,
};

use crate::{
    Ferry,
    registry::Registry,
    rules::Owner,
    watch::{self, Waiting},
};

/// The context of the control device.
pub(crate) struct Desk {
    /// Pended event waits.
    pub(crate) watchers: Queue,
}

impl Context for Desk {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Desk> = TypeInfo::new(c"Desk");
        &INFO
    }
}

impl DeviceContext for Desk {
    type Request = Waiting;
}

/// An open handle of the control device.
struct Controller {
    /// Never reused while the driver is loaded.
    number: u64,
    /// The process that opened it.
    process: u32,
}

impl Controller {
    const fn owner(&self) -> Owner {
        Owner {
            handle: self.number,
            process: self.process,
        }
    }
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
            init.in_caller_context(in_caller_context);
            Ok(())
        },
        |cx, desk| {
            desk.symbolic_link(cx, wide!(LINK_NAME))?;
            // Parallel: a probe takes as long as the device it asks, and an abort must not wait for it.
            QueueConfig::parallel(None)
                .at_passive_level()
                .default_queue()
                .ioctl(ioctl)
                // Every control is answered by its handler, or pended in the other queue.
                .stop(wait_for_the_owner)
                .create(cx, desk)?;
            let watchers = QueueConfig::manual()
                .canceled_on_queue(watch::canceled)
                .stop(wait_for_the_owner)
                .create(cx, desk)?;
            Ok(Desk { watchers })
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
    let process = request.process();
    match file.install(Controller { number, process }) {
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
        ferry
            .registry
            .with(cx, |registry, cx| registry.forget(cx, controller.number));
    }
}

/// `EvtFileClose`: its requests are gone too.
fn closed(cx: &mut Cx<'_, FileEvent>, _desk: &Device<Desk>, _controller: &Controller) {
    if let Some(ferry) = cx.driver::<Ferry>() {
        ferry.registry.with(cx, Registry::close);
    }
}

/// `EvtIoInCallerContext`: the one control with raw user addresses has them locked here, where they mean something.
fn in_caller_context<'r>(
    cx: &mut Cx<'_, Caller>,
    _desk: &Device<Desk>,
    mut request: CallerRequest<'r>,
) -> Disposition<'r> {
    let neither = request
        .ioctl()
        .is_some_and(|control| control.code == IOCTL_FERRY_IN_FLIGHT.0);
    if neither && let Err(status) = request.lock_user_buffers() {
        return request.complete(cx, status);
    }
    match request.enqueue(cx) {
        Ok(gone) => gone,
        Err((request, status)) => request.complete(cx, status),
    }
}

fn ioctl<'r>(
    cx: &mut Cx<'_, IoPassive>,
    desk: &Device<Desk>,
    mut request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    const WAIT: u32 = control::IOCTL_FERRY_WAIT.0;
    const ABORT: u32 = control::IOCTL_FERRY_ABORT.0;
    const PROBE: u32 = control::IOCTL_FERRY_PROBE.0;
    let parameters = request.parameters();
    let answered = match (parameters.code, cx.driver::<Ferry>()) {
        (_, None) => Err(Status::DEVICE_NOT_READY),
        (WAIT, Some(ferry)) => match watching::observer(cx, ferry, &request, parameters.output) {
            Ok(observer) => return watch::pend(cx, ferry, desk, request, observer),
            Err(status) => Err(status),
        },
        // These call the lower driver, which no lock may wait for.
        (ABORT, Some(ferry)) => probe::abort(cx, ferry, &mut request),
        (PROBE, Some(ferry)) => probe::probe(cx, ferry, &mut request),
        (code, Some(ferry)) => answer(cx, ferry, code, &mut request),
    };
    match answered {
        Ok(written) => request.complete_written(cx, written),
        Err(status) => request.complete_empty(cx, status),
    }
}

/// Answers a control under the registry's lock: nothing in it completes or sends a request.
fn answer<'r>(
    cx: &mut Cx<'_, IoPassive>,
    ferry: &Ferry,
    code: u32,
    request: &mut Request<'r, Ioctl>,
) -> Result<Written<'r>, Status> {
    const INFO: u32 = control::IOCTL_FERRY_INFO.0;
    const DEVICES: u32 = control::IOCTL_FERRY_DEVICES.0;
    const STATS: u32 = control::IOCTL_FERRY_STATS.0;
    const HISTOGRAM: u32 = control::IOCTL_FERRY_HISTOGRAM.0;
    const HOLD: u32 = control::IOCTL_FERRY_HOLD.0;
    const RELEASE: u32 = control::IOCTL_FERRY_RELEASE.0;
    const DELAY: u32 = control::IOCTL_FERRY_DELAY.0;
    const POLICY: u32 = control::IOCTL_FERRY_POLICY.0;
    const LIMIT: u32 = control::IOCTL_FERRY_LIMIT.0;
    const SPLIT: u32 = control::IOCTL_FERRY_SPLIT.0;
    const TIMEOUT: u32 = control::IOCTL_FERRY_TIMEOUT.0;
    const SETTINGS: u32 = control::IOCTL_FERRY_SETTINGS.0;
    const RULE_ADD: u32 = control::IOCTL_FERRY_RULE_ADD.0;
    const RULE_REMOVE: u32 = control::IOCTL_FERRY_RULE_REMOVE.0;
    const RULES: u32 = control::IOCTL_FERRY_RULES.0;
    const RULES_CLEAR: u32 = control::IOCTL_FERRY_RULES_CLEAR.0;
    const OBSERVE: u32 = control::IOCTL_FERRY_OBSERVE.0;
    const IN_FLIGHT: u32 = IOCTL_FERRY_IN_FLIGHT.0;

    let owner = request
        .file::<Controller>()
        .map(Controller::owner)
        .ok_or(Status::INVALID_DEVICE_STATE)?;
    let buffer = match request.buffers()? {
        Control::Buffered(buffer) => buffer,
        Control::Locked(input, output) if code == IN_FLIGHT => {
            return ferry.registry.with(cx, |registry, _| {
                watching::in_flight(registry, &input, output)
            });
        }
        _ => return Err(Status::INVALID_DEVICE_REQUEST),
    };
    ferry.registry.with(cx, |registry, cx| match code {
        INFO => devices::info(registry, buffer),
        DEVICES => devices::devices(registry, cx, buffer),
        STATS => devices::stats(registry, buffer),
        HISTOGRAM => devices::histogram(registry, buffer),
        HOLD => rules::hold(registry, cx, owner, buffer),
        RELEASE => rules::release(registry, cx, buffer),
        DELAY => rules::delay(registry, cx, owner, buffer),
        POLICY => settings::policy(registry, buffer),
        LIMIT => settings::limit(registry, owner, buffer),
        SPLIT => settings::split(registry, owner, buffer),
        TIMEOUT => settings::timeout(registry, owner, buffer),
        SETTINGS => settings::settings(registry, buffer),
        RULE_ADD => rules::add(registry, cx, owner, buffer),
        RULE_REMOVE => rules::remove(registry, cx, owner, buffer),
        RULES => rules::list(registry, cx, owner, buffer),
        RULES_CLEAR => rules::clear(registry, cx, owner, buffer),
        OBSERVE => watching::observe(registry, ferry, owner, buffer),
        _ => Err(Status::INVALID_DEVICE_REQUEST),
    })
}
