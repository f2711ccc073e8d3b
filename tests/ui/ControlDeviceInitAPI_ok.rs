//! A control device is described before it is created, not after.
#![no_std]

use wdf::{
    Status, Wide,
    context::{Context, TypeInfo},
    cx::{Cx, Setup},
    device::{ControlDevice, DeviceContext, PnpCallbacks},
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
        |device| {
            device.pnp(PnpCallbacks::<Data>::new());
            Ok(())
        },
        |_, _| Ok(Data),
    )
}
