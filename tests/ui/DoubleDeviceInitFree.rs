//! An initialisation structure is freed once.
#![no_std]

use wdf::device::{Control, DeviceInit};

pub fn give_up(init: DeviceInit<'static, Control>) {
    drop(init);
    drop(init); //~ E0382
    //~^ ERROR: use of moved value: `init`
}
