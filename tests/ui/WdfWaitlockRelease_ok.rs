//! What a wait lock guards is not used once it is released.
#![no_std]

use wdf::{
    cx::{Cx, Work},
    lock::WaitLock,
};

pub fn count(cx: &mut Cx<'_, Work>, l: &WaitLock<u32>) -> u32 {
    let n = l.with(cx, |n, _| *n);
    n.wrapping_add(1)
}
