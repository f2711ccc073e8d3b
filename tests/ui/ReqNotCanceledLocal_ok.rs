//! A marked request is unmarked before it is completed.
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
    let _ = p.unpark(cx, end);
}
