//! A request is kept over a time without power only where a resume handler is told of it.
#![no_std]

use wdf::{
    Status,
    cx::{Cx, Stop},
    request::{Any, Claim, OnCancel, ParkError, Parked, Resumes, StopAction, StopContext},
};

pub fn stop<'s, C: OnCancel<Any>>(
    cx: &mut Cx<'_, Stop>,
    s: StopContext<'s, Resumes>,
    keep: &mut Option<Parked<Any>>,
) -> StopAction<'s> {
    match s.claim(cx) {
        Claim::Owned(r) => match r.keep::<C>(cx) {
            Ok((kept, token)) => {
                *keep = Some(token);
                kept
            }
            Err(ParkError::Canceled(c)) => c.complete(cx, Status::CANCELLED).into(),
            Err(ParkError::NotParkable(r, status)) => r.complete_empty(cx, status).into(),
        },
        Claim::Canceled(c) => c.complete(cx, Status::CANCELLED).into(),
        Claim::Sent(r) => r.leave(),
        Claim::Elsewhere(s) => s.leave(),
    }
}

pub type Used = Resumes;
