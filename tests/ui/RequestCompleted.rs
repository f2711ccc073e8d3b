//! A handler ends the ownership of the request it was given: it cannot return without.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Io},
    request::{Disposition, Request, Write},
};

pub fn handler<'r>(cx: &mut Cx<'_, Io>, r: Request<'r, Write>) -> Disposition<'r> {
    core::mem::forget(r) //~ E0308
    //~^ ERROR: mismatched types
}
