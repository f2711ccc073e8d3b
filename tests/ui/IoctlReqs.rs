//! A request that is not a Ioctl is not handed to code for Ioctl.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Ioctl, Read, Request},
};

fn serve<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, Ioctl>) -> Disposition<'r> {
    r.complete_empty(cx, Status::SUCCESS)
}

pub fn handler<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, Read>) -> Disposition<'r> {
    serve(cx, r) //~ E0308
    //~^ ERROR: mismatched types
}
