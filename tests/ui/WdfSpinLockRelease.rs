//! What a spin lock guards is not used once it is released.
#![no_std]

use wdf::{
    cx::{Cx, Io},
    lock::SpinLock,
};

pub fn count(cx: &mut Cx<'_, Io>, l: &SpinLock<u32>) -> u32 {
    let n = l.with(cx, |n| n); //~ ERROR: lifetime may not live long enough
    n.wrapping_add(1)
}
