//! The memory object of a internal device control is not used once the request is completed.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, InternalIoctl, Request},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, mut r: Request<'r, InternalIoctl>) -> Disposition<'r> {
    let b = r.output_memory();
    let _ = b.map(|b| b.len());
    let d = r.complete_empty(cx, Status::SUCCESS);
    d
}
