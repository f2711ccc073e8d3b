//! An owned request stays in its callback; only a parked one may be kept by others.
#![no_std]

use wdf::request::{Parked, Request, Write};

fn hand_over<T: Send>(_: T) {}

pub fn give(r: Request<'_, Write>) {
    hand_over(r); //~ E0277
    //~^ ERROR: `*mut ()` cannot be sent between threads safely
    //~^^ ERROR: `*mut WDFREQUEST__` cannot be sent between threads safely
    //~^^^ ERROR: `NonNull<request::cell::Cell>` cannot be sent between threads safely
}
