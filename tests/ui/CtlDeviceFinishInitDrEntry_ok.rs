//! An unfinished control device is not kept: it is finished or deleted.
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
        |_| Ok(()),
        |_, device| {
            kept = Some(device.target());
            Ok(Data)
        },
    );
    let _ = kept;
    made
}
