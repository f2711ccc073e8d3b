//! A stop handler looks who has the request before it leaves it alone: a parked one waits for nobody else.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Stop},
    request::{Claim, StopAction, StopContext},
};

pub fn stop<'s>(cx: &mut Cx<'_, Stop>, s: StopContext<'s>) -> StopAction<'s> {
    let _ = cx;
    s.leave() //~ E0599
    //~^ ERROR: no method named `leave` found for struct `StopContext
}

pub fn told(cx: &mut Cx<'_, Stop>, c: Claim<'_>) {
    if let Claim::Canceled(c) = c {
        let _ = c.complete(cx, Status::CANCELLED);
    }
}
