//! through: a filter that carries everything down with a completion routine and counts it on both ways. The same as `raw`, on `wdf`.
#![no_std]
#![forbid(unsafe_code)]

// The panic handler: a bug check that names the place.
extern crate wdk_panic;

use core::sync::atomic::{AtomicU32, Ordering};

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, Done, Io, Setup, Stop},
    device::{Added, Device, DeviceContext, DeviceInit, Undecided},
    driver::Driver,
    queue::QueueConfig,
    request::{Claim, Disposition, Kind, Request, StopAction, StopContext},
    target::{Completion, OnDone, Target},
};

/// The driver has no state of its own.
struct Through;

impl Context for Through {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Through> = TypeInfo::new(c"Through");
        &INFO
    }
}

/// A filter device.
struct Filter {
    lower: Target,
    sent: AtomicU32,
    returned: AtomicU32,
}

impl Context for Filter {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Filter> = TypeInfo::new(c"Through filter");
        &INFO
    }
}

impl DeviceContext for Filter {
    type Request = ();
}

impl Driver for Through {
    fn start(_cx: &mut Cx<'_, Setup>) -> Result<Self, Status> {
        Ok(Self)
    }

    fn device_add<'i>(
        &self,
        cx: &mut Cx<'_, Setup>,
        init: DeviceInit<'i, Undecided>,
    ) -> Result<Added<'i>, Status> {
        let device = init.filter(cx).create::<Filter>(cx)?;
        QueueConfig::parallel(None)
            .read(carry)
            .write(carry)
            .ioctl(carry)
            .stop(stop)
            .default_queue()
            .create(cx, &device)?;
        let lower = device.target()?;
        device.install(Filter {
            lower,
            sent: AtomicU32::new(0),
            returned: AtomicU32::new(0),
        })
    }
}

fn carry<'r, K: Kind>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Filter>,
    request: Request<'r, K>,
) -> Disposition<'r> {
    device.sent.fetch_add(1, Ordering::Relaxed);
    let sent = request
        .format_current_type(&device.lower)
        .and_then(|formatted| formatted.send::<Back>(cx));
    match sent {
        Ok(gone) => gone,
        Err(failed) => failed.request.complete_empty(cx, failed.status),
    }
}

struct Back;

impl<K: Kind> OnDone<K> for Back {
    type Device = Filter;

    fn done<'r>(
        cx: &mut Cx<'_, Done>,
        device: &Device<Filter>,
        request: Request<'r, K>,
        completion: Completion,
    ) -> Disposition<'r> {
        device.returned.fetch_add(1, Ordering::Relaxed);
        request.complete(cx, completion.status)
    }
}

/// The device is being removed: what is below comes back.
fn stop<'s>(
    cx: &mut Cx<'_, Stop>,
    _device: &Device<Filter>,
    request: StopContext<'s>,
) -> StopAction<'s> {
    match request.claim(cx) {
        Claim::Owned(request) => request.complete(cx, Status::DEVICE_NOT_CONNECTED),
        Claim::Canceled(request) => request.complete(cx, Status::CANCELLED).into(),
        Claim::Sent(request) => request.cancel(cx),
        Claim::Elsewhere(request) => request.leave(),
    }
}

wdf::driver_entry!(Through);
