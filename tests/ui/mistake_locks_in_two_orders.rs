//@error-in-other-file: two locks are taken in the order of their ranks
//! Two locks are taken in the order their ranks declare.
#![no_std]

use wdf::{
    cx::{Cx, Io},
    lock::{SpinLock, with2},
};

pub fn move_one(cx: &mut Cx<'_, Io>, a: &SpinLock<u32, 1>, b: &SpinLock<u32, 2>) {
    with2(cx, b, a, |a, b| {
        *a -= 1;
        *b += 1;
    });
}
