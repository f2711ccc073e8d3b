//! Whoever learns from unmark that the request is canceled has nothing left to complete.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, TimerTick},
    request::{Disposition, Parked, Unparked, Write},
};

fn end<'r>(cx: &mut Cx<'_, TimerTick>, u: Unparked<'r, Write>) -> Disposition<'r> {
    match u {
        Unparked::Owned(r) => r.complete(cx, Status::SUCCESS),
        Unparked::Canceled(c) => c.complete(cx, Status::CANCELLED),
    }
}

pub fn tick(cx: &mut Cx<'_, TimerTick>, p: Parked<Write>) {
    if !p.unpark(cx, end) {
        core::hint::black_box(());
    }
}
