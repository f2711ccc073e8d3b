//! A request that is not a Write is not handed to code for Write.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Request, Write},
};

fn serve<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, Write>) -> Disposition<'r> {
    r.complete_empty(cx, Status::SUCCESS)
}

pub fn handler<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, Write>) -> Disposition<'r> {
    serve(cx, r)
}
