//! A write has no output buffer.
#![no_std]

use wdf::request::{Read, Request, Write};

pub fn look(r: &mut Request<'_, Read>) -> bool {
    r.output().is_ok()
}
