//! pier: the lower device ferry carries requests to. Memory behind reads and writes, controls that echo, and the ways of a bad device:
//! slow, short of breath, failing, stuck.
#![no_std]
#![forbid(unsafe_code)]

// The panic handler: a bug check that names the place.
extern crate wdk_panic;

mod controls;
mod device;
mod fault;
mod handle;
mod latency;
mod settings;
mod storage;
mod stuck;

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, Setup},
    device::{Added, DeviceInit, Undecided},
    driver::Driver,
};

/// The driver has no state of its own.
struct Pier;

impl Context for Pier {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Pier> = TypeInfo::new(c"Pier");
        &INFO
    }
}

impl Driver for Pier {
    fn start(_cx: &mut Cx<'_, Setup>) -> Result<Self, Status> {
        Ok(Self)
    }

    fn device_add<'i>(
        &self,
        cx: &mut Cx<'_, Setup>,
        init: DeviceInit<'i, Undecided>,
    ) -> Result<Added<'i>, Status> {
        device::add(cx, init)
    }
}

wdf::driver_entry!(Pier);
