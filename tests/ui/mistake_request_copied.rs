//! A request is not identified by something that can be copied.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Request, Write},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, Write>) -> Disposition<'r> {
    let _ = r.clone(); //~ E0599
    //~^ ERROR: no method named `clone` found for struct `wdf::request::Request
    r.complete(cx, Status::SUCCESS)
}
