//! A control device is described before it is created, not after.
#![no_std]

use wdf::{
    cx::{Cx, Setup},
    device::{Control, DeviceContext, DeviceInit, PnpCallbacks},
};

pub fn start<D: DeviceContext>(cx: &Cx<'_, Setup>, mut init: DeviceInit<'static, Control>) {
    init.pnp(PnpCallbacks::<D>::new());
    let _ = init.create::<D>(cx);
}
