//! No initialisation call is made without the structure: the allocation may have failed.
#![no_std]

use wdf::{
    Status, Wide,
    context::{Context, TypeInfo},
    cx::{Cx, Setup},
    device::{Control, ControlDevice, DeviceContext, DeviceInit},
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
        //~^ E0631
        //~^^ ERROR: type mismatch in closure arguments
        cx,
        sddl,
        name,
        |init: Option<&mut DeviceInit<'_, Control>>| {
            let _ = init.map(|init| init.in_caller_context::<Data, _>(|cx, _, r| r.complete(cx, Status::NOT_SUPPORTED)));
            Ok(())
        },
        |_, _| Ok(Data),
    )
}
