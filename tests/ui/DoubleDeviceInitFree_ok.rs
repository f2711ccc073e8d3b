//! An initialisation structure is freed once.
#![no_std]

use wdf::device::{Control, DeviceInit};

pub fn give_up(init: DeviceInit<'static, Control>) {
    drop(());
    drop(init);
}
