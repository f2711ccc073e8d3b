//! Whether a request is canceled is asked only while it is not marked cancelable.
#![no_std]

use wdf::request::{Parked, Request, Write};

pub fn ask(r: &Request<'_, Write>) -> bool {
    r.is_canceled()
}
