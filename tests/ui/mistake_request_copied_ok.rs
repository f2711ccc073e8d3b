//! A request is not identified by something that can be copied.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Request, Write},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, Write>) -> Disposition<'r> {
    let _ = r.file_key();
    r.complete(cx, Status::SUCCESS)
}
