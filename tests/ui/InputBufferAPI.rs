//! A read has no input buffer.
#![no_std]

use wdf::request::{Read, Request, Write};

pub fn look(r: &Request<'_, Read>) -> bool {
    r.input().is_ok() //~ E0599
    //~^ ERROR: no method named `input` found for reference `&wdf::request::Request
}
