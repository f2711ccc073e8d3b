//! Nothing is asked of a request that has been completed.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Request, Write},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, Write>) -> Disposition<'r> {
    let _ = r.is_canceled();
    let d = r.complete(cx, Status::SUCCESS);
    d
}
