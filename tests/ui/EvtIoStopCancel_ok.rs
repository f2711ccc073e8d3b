//! A stop handler says what becomes of a request that is at a target.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Stop},
    request::{Claim, StopAction, StopContext},
};

pub fn stop<'s>(cx: &mut Cx<'_, Stop>, s: StopContext<'s>) -> StopAction<'s> {
    match s.claim(cx) {
        Claim::Owned(r) => r.complete(cx, Status::CANCELLED),
        Claim::Canceled(c) => c.complete(cx, Status::CANCELLED).into(),
        Claim::Sent(r) => r.cancel(cx),
        Claim::Elsewhere(s) => s.leave(),
    }
}
