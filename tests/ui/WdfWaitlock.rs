//! A wait lock is not acquired while it is held.
#![no_std]

use wdf::{
    cx::{Cx, Work},
    lock::{SpinLock, WaitLock},
};

pub fn count(cx: &mut Cx<'_, Work>, l: &WaitLock<u32>, s: &SpinLock<u32>) -> u32 {
    l.with(cx, |n, cx| {
        *n += l.with(cx, |n, _| *n); //~ E0277
        //~^ ERROR: the trait bound `wdf::cx::Locked: CanWait` is not satisfied
        *n
    }) + s.with(cx, |n| *n)
}
