//! The initialisation structure of a device comes from the framework only.
#![no_std]

use wdf::device::{DeviceInit, Function, IoType};

pub fn describe(lent: DeviceInit<'_, Function>) {
    let mut init: DeviceInit<'_, Function> = lent;
    init.io_type(IoType::Direct);
}
