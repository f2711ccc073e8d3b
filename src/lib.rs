//! ferry: a filter that carries the requests of any device stack down and back, and holds or delays them on demand.
//!
//! Who owns a request that was presented to ferry:
//!
//! | where it is | who ends it |
//! |---|---|
//! | in its handler ([`dispatch`]) | the handler: forwards, holds or delays it |
//! | below ([`forward`]) | the lower driver; the completion routine passes its word on |
//! | in the held queue ([`hold`]) | the pump releases it; or it is canceled on the queue |
//! | parked ([`delay`]) | the pump takes it back when it is due; or its cancel handler |
#![no_std]
#![forbid(unsafe_code)]

// The panic handler: a bug check that names the place.
extern crate wdk_panic;

mod control;
mod delay;
mod device;
mod dispatch;
mod forward;
mod hold;
mod order;
mod pump;
mod registry;
mod removal;
mod skip;
mod stats;

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, Setup},
    device::{Added, DeviceInit, Undecided},
    driver::Driver,
    lock::WaitLock,
};

use crate::registry::Registry;

/// The driver.
struct Ferry {
    /// The filter devices and the control device. Everything a controller changes, it changes under this lock.
    registry: WaitLock<Registry>,
}

impl Context for Ferry {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Ferry> = TypeInfo::new(c"Ferry");
        &INFO
    }
}

impl Driver for Ferry {
    fn start(_cx: &mut Cx<'_, Setup>) -> Result<Self, Status> {
        Ok(Self {
            registry: WaitLock::new(Registry::new())?,
        })
    }

    fn device_add<'i>(
        &self,
        cx: &mut Cx<'_, Setup>,
        init: DeviceInit<'i, Undecided>,
    ) -> Result<Added<'i>, Status> {
        device::add(cx, init)
    }
}

wdf::driver_entry!(Ferry);
