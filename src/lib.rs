//! ferry: a filter that carries the requests of any device stack, and holds, delays or releases them on demand.
#![no_std]
#![forbid(unsafe_code)]

// The panic handler: a bug check that names the place.
extern crate wdk_panic;

mod device;
mod dispatch;
mod forward;

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, Setup},
    device::{DeviceInit, Undecided},
    driver::Driver,
};

/// The driver.
struct Ferry;

impl Context for Ferry {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Ferry> = TypeInfo::new(c"Ferry");
        &INFO
    }
}

impl Driver for Ferry {
    fn start(_cx: &mut Cx<'_, Setup>) -> Result<Self, Status> {
        Ok(Self)
    }

    fn device_add(
        &self,
        cx: &mut Cx<'_, Setup>,
        init: DeviceInit<'_, Undecided>,
    ) -> Result<(), Status> {
        device::add(cx, init)
    }
}

wdf::driver_entry!(Ferry);
