//! A buffer of a Write is not used once the request is completed.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Request, Write},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, Write>) -> Disposition<'r> {
    let b = r.input();
    let _ = b.map(|b| b.len());
    let d = r.complete_empty(cx, Status::SUCCESS);
    d
}
