//! A request completed on one path is not completed again where the paths meet.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Request, Write},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, Write>) -> Disposition<'r> {
    if r.is_canceled() {
        return r.complete(cx, Status::CANCELLED);
    }
    r.complete(cx, Status::SUCCESS)
}
