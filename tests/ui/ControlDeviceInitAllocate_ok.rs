//! The initialisation structure of a control device comes from its allocator only.
#![no_std]

use wdf::device::{Control, DeviceInit};

pub fn describe(init: &mut DeviceInit<'_, Control>) {
    let init: &mut DeviceInit<'_, Control> = init;
    let _ = init;
}
