//! The MDL of a internal device control is not used once the request is completed.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, InternalIoctl, Request},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, mut r: Request<'r, InternalIoctl>) -> Disposition<'r> {
    let b = r.input_mdl();
    let _ = b.map(|b| b.page_offset());
    let d = r.complete_empty(cx, Status::SUCCESS);
    d
}
