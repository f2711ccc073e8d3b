//! A buffer of an internal device control is not used once the request is completed.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Control, Disposition, InternalIoctl, Request},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, mut r: Request<'r, InternalIoctl>) -> Disposition<'r> {
    let b = r.buffers();
    let d = r.complete_empty(cx, Status::SUCCESS); //~ E0505
    //~^ ERROR: cannot move out of `r` because it is borrowed
    let _ = b.map(|b| matches!(b, Control::Buffered(_)));
    d
}
