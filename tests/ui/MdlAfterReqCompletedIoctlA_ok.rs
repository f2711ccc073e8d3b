//! The MDL of a device control is not used once the request is completed.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Ioctl, Request},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, mut r: Request<'r, Ioctl>) -> Disposition<'r> {
    let b = r.input_mdl();
    let _ = b.map(|b| b.page_offset());
    let d = r.complete_empty(cx, Status::SUCCESS);
    d
}
