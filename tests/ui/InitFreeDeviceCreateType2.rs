//! A control device is created by whoever frees its structure if that fails.
#![no_std]

use wdf::{
    Status, Wide,
    context::{Context, TypeInfo},
    cx::{Cx, Setup},
    device::{ControlDevice, DeviceContext},
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

pub fn start(cx: &mut Cx<'_, Setup>, sddl: Wide, name: Wide, other: &Cx<'_, Setup>) {
    let _ = ControlDevice::create(
        cx,
        sddl,
        name,
        |init| {
            let _ = init.create::<Data>(other); //~ E0599
            //~^ ERROR: the method `create` exists for mutable reference
            Ok(())
        },
        |_, _| Ok(Data),
    );
    let _ = other;
}
