//! Success of EvtDriverDeviceAdd is proven by the device made of its own structure.
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

pub fn add<'i, 'x>(
    cx: &Cx<'_, Setup>,
    init: DeviceInit<'i, Undecided>,
    other: DeviceInit<'x, Undecided>,
) -> Result<Added<'i>, Status> {
    core::mem::forget(init);
    other.function().create::<Data>(cx)?.install(Data) //~ ERROR: lifetime may not live long enough
}
