//! The memory object of a read is not used once the request is completed.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Read, Request},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, mut r: Request<'r, Read>) -> Disposition<'r> {
    let b = r.output_memory();
    let d = r.complete_empty(cx, Status::SUCCESS); //~ E0505
    //~^ ERROR: cannot move out of `r` because it is borrowed
    let _ = b.map(|mut b| b.copy_from(0, &[0]));
    d
}
