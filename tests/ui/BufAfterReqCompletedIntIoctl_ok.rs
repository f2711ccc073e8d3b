//! A buffer of an internal device control is not used once the request is completed.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, InternalIoctl, Request},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, mut r: Request<'r, InternalIoctl>) -> Disposition<'r> {
    let b = r.buffers();
    let _ = b.is_ok();
    let d = r.complete_empty(cx, Status::SUCCESS);
    d
}
