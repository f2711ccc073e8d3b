//! adversary: a filter and a control device that try, in safe code, what would break a driver. One attempt per control code; the scenarios of
//! `wdf_adversary.rs` say what comes of each, and `docs/soundness.md` why.
#![no_std]
#![forbid(unsafe_code)]

// The panic handler: a bug check that names the place.
extern crate wdk_panic;

mod attempts;
mod desk;
mod filter;

use core::sync::atomic::AtomicU32;

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, Setup},
    device::{Added, ControlDevice, Device, DeviceInit, Undecided},
    driver::Driver,
    lock::WaitLock,
    trace::Provider,
};

use crate::{desk::Desk, filter::Filter};

tracelogging::define_provider!(EVENTS, "Ferry.Adversary");

/// What is kept longer than it should be.
struct Kept {
    /// A filter device, also when it is gone.
    filter: Option<Device<Filter>>,
    /// The control device, until it is told to leave.
    desk: Option<ControlDevice<Desk>>,
}

/// The driver.
struct Adversary {
    kept: WaitLock<Kept>,
    /// Callbacks of the filter's timer, DPC and work item that ran.
    ran: AtomicU32,
}

impl Context for Adversary {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Adversary> = TypeInfo::new(c"Adversary");
        &INFO
    }
}

impl Driver for Adversary {
    fn provider() -> Option<&'static Provider> {
        Some(&EVENTS)
    }

    fn start(_cx: &mut Cx<'_, Setup>) -> Result<Self, Status> {
        tracelogging::write_event!(EVENTS, "Started", level(Informational));
        Ok(Self {
            kept: WaitLock::new(Kept {
                filter: None,
                desk: None,
            })?,
            ran: AtomicU32::new(0),
        })
    }

    fn device_add<'i>(
        &self,
        cx: &mut Cx<'_, Setup>,
        init: DeviceInit<'i, Undecided>,
    ) -> Result<Added<'i>, Status> {
        filter::add(cx, init)
    }

    fn unload(&self, _cx: &mut Cx<'_, Setup>) {
        tracelogging::write_event!(EVENTS, "Unloaded", level(Informational));
    }
}

wdf::driver_entry!(Adversary);
