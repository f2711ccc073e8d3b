//! A device is described before it is created, not after.
#![no_std]

use wdf::{
    cx::{Cx, Setup},
    device::{DeviceContext, DeviceInit, Function, IoType},
};

pub fn add<D: DeviceContext>(cx: &Cx<'_, Setup>, mut init: DeviceInit<'_, Function>) {
    init.io_type(IoType::Direct);
    let _ = init.create::<D>(cx);
}
