//! The MDL of a read is not used once the request is completed.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Read, Request},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, mut r: Request<'r, Read>) -> Disposition<'r> {
    let b = r.output_mdl();
    let _ = b.map(|b| b.page_offset());
    let d = r.complete_empty(cx, Status::SUCCESS);
    d
}
