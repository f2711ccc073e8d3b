//! sender: a filter that sends what it is given in every way `wdf` has, one way per control code.
#![no_std]
#![forbid(unsafe_code)]

// The panic handler: a bug check that names the place.
extern crate wdk_panic;

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, Done, Io, Setup},
    device::{Added, Device, DeviceContext, DeviceInit, Undecided},
    driver::Driver,
    queue::{QueueConfig, wait_for_the_owner},
    request::{Disposition, Kind, Request},
    target::{Completion, OnDone, Target},
};

/// The driver has no state of its own.
struct Sender;

impl Context for Sender {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Sender> = TypeInfo::new(c"Sender");
        &INFO
    }
}

/// A filter device.
struct Filter {
    lower: Target,
}

impl Context for Filter {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Filter> = TypeInfo::new(c"Sender filter");
        &INFO
    }
}

impl DeviceContext for Filter {
    type Request = ();
}

impl Driver for Sender {
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
            .stop(wait_for_the_owner)
            .default_queue()
            .create(cx, &device)?;
        let lower = device.target()?;
        device.install(Filter { lower })
    }
}

/// Down with a completion routine, and up again as it came back.
fn carry<'r, K: Kind>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Filter>,
    request: Request<'r, K>,
) -> Disposition<'r> {
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
        _device: &Device<Filter>,
        request: Request<'r, K>,
        completion: Completion,
    ) -> Disposition<'r> {
        request.complete(cx, completion.status)
    }
}

wdf::driver_entry!(Sender);
