//! No device is created from a structure that was freed.
#![no_std]

use wdf::{
    cx::{Cx, Setup},
    device::{Control, DeviceContext, DeviceInit},
};

pub fn start<D: DeviceContext>(cx: &Cx<'_, Setup>, init: DeviceInit<'static, Control>) {
    drop(init);
    let _ = init.create::<D>(cx); //~ E0382
    //~^ ERROR: use of moved value: `init`
}
