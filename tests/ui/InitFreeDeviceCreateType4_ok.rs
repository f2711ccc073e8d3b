//! A control device that could not be created is not used.
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

pub fn start(cx: &mut Cx<'_, Setup>, sddl: Wide, name: Wide) -> Result<(), Status> {
    let device = ControlDevice::create(cx, sddl, name, |_| Ok(()), |_, _| Ok(Data))?;
    device.delete(cx);

    Ok(())
}
