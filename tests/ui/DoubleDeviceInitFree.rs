//! An initialisation structure is freed once, by whoever allocated it.
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
    ControlDevice::create(
        cx,
        sddl,
        name,
        |init| {
            drop(*init); //~ E0507
            //~^ ERROR: cannot move out of `*init` which is behind a mutable reference
            Err(Status::NOT_SUPPORTED)
        },
        |_, _| Ok(Data),
    )
}
