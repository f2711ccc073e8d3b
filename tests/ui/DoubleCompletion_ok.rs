//! A request is completed at most once.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Request, Write},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, Write>) -> Disposition<'r> {
    let _ = r.is_canceled();
    r.complete(cx, Status::SUCCESS)
}
