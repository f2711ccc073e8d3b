//! A spin lock is not acquired while it is held.
#![no_std]

use wdf::{
    cx::{Cx, Io},
    lock::SpinLock,
};

pub fn count(cx: &mut Cx<'_, Io>, l: &SpinLock<u32>) -> u32 {
    let n = l.with(cx, |n| *n + l.with(cx, |n| *n)); //~ E0500
    //~^ ERROR: closure requires unique access to `*cx` but it is already borrowed
    //~^^ ERROR: cannot borrow `*cx` as mutable because previous closure requires unique access
    n + l.with(cx, |n| *n)
}
