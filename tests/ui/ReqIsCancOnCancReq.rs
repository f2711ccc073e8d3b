//! Whether a request is canceled is asked only while it is not marked cancelable.
#![no_std]

use wdf::request::{Parked, Request, Write};

pub fn ask(r: &Parked<Write>) -> bool {
    r.is_canceled() //~ E0599
    //~^ ERROR: no method named `is_canceled` found for reference `&Parked
}
