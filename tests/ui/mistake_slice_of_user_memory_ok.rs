//! Memory user mode may change is copied, never referenced.
#![no_std]

use wdf::request::SharedIn;

pub fn first(s: &SharedIn<'_>) -> usize {
    let b: &SharedIn<'_> = s;
    b.len()
}
