//! The memory object of a device control is not used once the request is completed.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Ioctl, Request},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, mut r: Request<'r, Ioctl>) -> Disposition<'r> {
    let b = r.input_memory();
    let d = r.complete_empty(cx, Status::SUCCESS); //~ E0505
    //~^ ERROR: cannot move out of `r` because it is borrowed
    let _ = b.map(|b| b.copy_to(0, &mut [0]));
    d
}
