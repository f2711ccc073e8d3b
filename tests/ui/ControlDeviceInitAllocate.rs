//! The initialisation structure of a control device comes from its allocator only.
#![no_std]

use wdf::device::{Control, DeviceInit};

pub fn describe() {
    let init: DeviceInit<'_, Control> = DeviceInit {}; //~ ERROR: cannot construct `DeviceInit
    let _ = init;
}
