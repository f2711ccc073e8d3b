//! ferry: a filter that carries the requests of any device stack down and back, and holds, delays, fails, cuts or limits them on demand.
//!
//! Who owns a request that was presented to ferry:
//!
//! | where it is | who ends it |
//! |---|---|
//! | in its handler ([`dispatch`], [`arrive`]) | the handler: sends it, or puts it into one of the places below |
//! | below ([`forward`]) | the lower driver; the completion routine passes its word on |
//! | in the held queue ([`hold`]) | the pump releases it; or it is canceled on the queue |
//! | in the backlog ([`limit`]) | the pump sends it when the limit has room; or it is canceled on the queue |
//! | below in chunks ([`split`]) | the last chunk to come back completes it |
//! | parked ([`delay`]) | the pump takes it back when it is due or its rule ends; or its cancel handler |
//!
//! What ferry ends itself, it ends in [`end`]. Waits of controllers are in the control device's queue ([`watch`]).
#![no_std]
#![forbid(unsafe_code)]

// The panic handler: a bug check that names the place.
extern crate wdk_panic;

mod arrive;
mod attention;
mod control;
mod delay;
mod device;
mod dispatch;
mod end;
mod events;
mod forward;
mod hold;
mod latency;
mod limit;
mod observe;
mod order;
mod passage;
mod pump;
mod registry;
mod removal;
mod rules;
mod scope;
mod settings;
mod skip;
mod split;
mod stats;
mod telemetry;
mod wakes;
mod watch;

// `wakes` counts on `atomic`: here the machine's, under loom its own.
use core::sync::atomic::{self, AtomicBool, Ordering};

use wdf::{
    Status,
    clock::Stamp,
    context::{Context, TypeInfo},
    cx::{Cx, Setup},
    device::{Added, DeviceInit, Undecided},
    driver::Driver,
    lock::WaitLock,
};

use crate::{events::Ring, registry::Registry};

/// The driver.
struct Ferry {
    /// The filter devices and the control device. Everything a controller changes, it changes under this lock.
    registry: WaitLock<Registry>,
    /// What observers are told.
    events: Ring,
    /// Keeps the addresses of file objects from being told.
    secret: u64,
    /// There are filter devices and no control device.
    lacks_control: AtomicBool,
}

impl Ferry {
    /// Whether the control device is still to be made.
    fn lacks_control(&self) -> bool {
        self.lacks_control.load(Ordering::Acquire)
    }
}

impl Context for Ferry {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Ferry> = TypeInfo::new(c"Ferry");
        &INFO
    }
}

impl Driver for Ferry {
    fn provider() -> Option<&'static wdf::trace::Provider> {
        Some(telemetry::provider())
    }

    fn start(cx: &mut Cx<'_, Setup>) -> Result<Self, Status> {
        Ok(Self {
            registry: WaitLock::new(Registry::new())?,
            events: Ring::new(cx)?,
            secret: Stamp::now().units().wrapping_mul(0xD6E8_FEB8_6659_FD93),
            lacks_control: AtomicBool::new(false),
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
