//! No initialisation call is made without the structure: the allocation may have failed.
#![no_std]

use wdf::{
    Status, Wide,
    cx::{Cx, Setup},
    device::{Control, DeviceContext, DeviceInit},
};

pub fn start<D: DeviceContext>(cx: &Cx<'_, Setup>, sddl: Wide, name: Wide) -> Result<(), Status> {
    let init = DeviceInit::<Control>::control(cx, sddl, name);
    init.create::<D>(cx)?.abandon(cx); //~ E0599
    //~^ ERROR: no method named `create` found for enum `Result
    Ok(())
}
