//! The initialisation structure of a control device comes from its allocator only.
#![no_std]

use wdf::{
    Status, Wide,
    cx::{Cx, Setup},
    device::{Control, DeviceContext, DeviceInit},
};

pub fn start<D: DeviceContext>(cx: &Cx<'_, Setup>, sddl: Wide, name: Wide) -> Result<(), Status> {
    let init: DeviceInit<'_, Control> = DeviceInit {}; //~ ERROR: cannot construct `DeviceInit
    init.create::<D>(cx)?.abandon(cx);
    let _ = (sddl, name);
    Ok(())
}
