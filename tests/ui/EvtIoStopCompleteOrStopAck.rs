//! A stop handler that got hold of a request completes or acknowledges it.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Stop},
    request::{Claim, StopAction, StopContext},
};

pub fn stop<'s>(cx: &mut Cx<'_, Stop>, s: StopContext<'s>) -> StopAction<'s> {
    match s.claim(cx) {
        Claim::Owned(r) => core::mem::forget(r), //~ E0308
        //~^ ERROR: mismatched types
        Claim::Canceled(c) => c.complete(cx, Status::CANCELLED).into(),
        Claim::Sent(r) => r.leave(),
        Claim::Elsewhere(s) => s.leave(),
    }
}
