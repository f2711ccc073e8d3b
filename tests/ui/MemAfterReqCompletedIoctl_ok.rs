//! The memory object of a device control is not used once the request is completed.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Ioctl, Request},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, mut r: Request<'r, Ioctl>) -> Disposition<'r> {
    let b = r.output_memory();
    let _ = b.map(|b| b.len());
    let d = r.complete_empty(cx, Status::SUCCESS);
    d
}
