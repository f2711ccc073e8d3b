//! A read has no input buffer.
#![no_std]

use wdf::request::{Read, Request, Write};

pub fn look(r: &Request<'_, Write>) -> bool {
    r.input().is_ok()
}
