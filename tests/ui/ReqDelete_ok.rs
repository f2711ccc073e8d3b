//! A request of the driver's own is deleted, never completed.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Work},
    request::OwnRequest,
};

pub fn done(cx: &mut Cx<'_, Work>, r: OwnRequest) {
    let _ = (Status::SUCCESS, &cx);
    drop(r);
}
