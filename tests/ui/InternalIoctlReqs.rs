//! A request that is not a InternalIoctl is not handed to code for InternalIoctl.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, InternalIoctl, Ioctl, Request},
};

fn serve<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, InternalIoctl>) -> Disposition<'r> {
    r.complete_empty(cx, Status::SUCCESS)
}

pub fn handler<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, Ioctl>) -> Disposition<'r> {
    serve(cx, r) //~ E0308
    //~^ ERROR: mismatched types
}
