//! A control device is finished when its set-up has succeeded: success is its context.
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
    ControlDevice::<Data>::create(
        cx,
        sddl,
        name,
        |_| Ok(()),
        |_, _| Ok(Data),
    )
}
