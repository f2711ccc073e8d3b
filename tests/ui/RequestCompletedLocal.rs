//! What a handler returns is about its own request, not another one.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Request, Write},
};

pub fn handler<'r, 'x>(
    cx: &mut Cx<'_, Io>,
    r: Request<'r, Write>,
    x: Request<'x, Write>,
) -> Disposition<'r> {
    core::mem::forget(r);
    x.complete(cx, Status::SUCCESS) //~ ERROR: lifetime may not live long enough
}
