//! No device is created from a structure that was freed: it is not kept beyond its closure.
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

pub fn start(
    cx: &mut Cx<'_, Setup>,
    sddl: Wide,
    name: Wide,
) -> Result<ControlDevice<Data>, Status> {
    let mut kept = None;
    let made = ControlDevice::create(
        cx,
        sddl,
        name,
        |init| {
            kept = Some(init); //~ E0521
            //~^ ERROR: borrowed data escapes outside of closure
            Ok(())
        },
        |_, _| Ok(Data),
    );
    let _ = kept;
    made
}
