//! A write has no output buffer.
#![no_std]

use wdf::request::{Read, Request, Write};

pub fn look(r: &mut Request<'_, Write>) -> bool {
    r.output().is_ok() //~ E0599
    //~^ ERROR: no method named `output` found for mutable reference `&mut wdf::request::Request
}
