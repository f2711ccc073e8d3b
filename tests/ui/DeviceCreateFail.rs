//! EvtDriverDeviceAdd does not report success for a device that could not be created.
#![no_std]

use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{Cx, Setup},
    device::{Added, DeviceContext, DeviceInit, Undecided},
};

struct Data;

impl Context for Data {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Data> = TypeInfo::new(c"Data");
        &INFO
    }
}

impl DeviceContext for Data {
    type Request = ();
}

pub fn add<'i>(cx: &Cx<'_, Setup>, init: DeviceInit<'i, Undecided>) -> Result<Added<'i>, Status> {
    match init.function().create::<Data>(cx) {
        Ok(device) => device.install(Data),
        Err(_) => Ok(()), //~ E0308
        //~^ ERROR: mismatched types
    }
}
