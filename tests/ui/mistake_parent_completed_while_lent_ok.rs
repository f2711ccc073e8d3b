//! A lent request cannot be completed while a share is out.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Request, Write},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, Write>) -> Disposition<'r> {
    match r.share() {
        Ok((gone, share)) => {
            share.finish(cx, |cx, parent| parent.complete(cx, Status::SUCCESS));
            gone
        }
        Err((r, status)) => r.complete(cx, status),
    }
}
