//! Writes: parked until told, kept over a time without power.

use core::sync::atomic::Ordering;

use wdf::{
    Status,
    cx::{CanComplete, Cancel, Cx, Io, Resume, Stop},
    device::Device,
    request::{
        Any, Canceled, Claim, Disposition, OnCancel, ParkError, Parked, Request, ResumeContext,
        Resumes, StopAction, StopContext, Unparked, Write,
    },
};

use crate::Workshop;

/// Gets a parked write that was canceled.
struct Gone;

impl OnCancel<Any> for Gone {
    type Device = Workshop;

    fn canceled<'r>(
        cx: &mut Cx<'_, Cancel>,
        workshop: &Device<Workshop>,
        request: Canceled<'r, Any>,
    ) -> Disposition<'r> {
        drop(workshop.kept.with(cx, Option::take));
        request.complete(cx, Status::CANCELLED)
    }
}

fn put(cx: &mut Cx<'_, impl CanComplete>, workshop: &Workshop, token: Parked<Any>) {
    let earlier = workshop.kept.with(cx, |kept| kept.replace(token));
    drop(earlier);
}

pub(crate) fn park<'r>(
    cx: &mut Cx<'_, Io>,
    workshop: &Device<Workshop>,
    request: Request<'r, Write>,
) -> Disposition<'r> {
    match request.any().park::<Gone>() {
        Ok((parked, token)) => {
            put(cx, workshop, token);
            parked
        }
        Err(ParkError::Canceled(request)) => request.complete(cx, Status::CANCELLED),
        Err(ParkError::NotParkable(request, status)) => request.complete_empty(cx, status),
    }
}

/// Ends the write that is parked; whether there was one.
pub(crate) fn finish(cx: &mut Cx<'_, impl CanComplete>, workshop: &Workshop) -> bool {
    let token = workshop.kept.with(cx, Option::take);
    token.is_some_and(|token| {
        token.unpark(cx, |cx, request| match request {
            Unparked::Owned(request) => request.complete_empty(cx, Status::SUCCESS),
            Unparked::Canceled(request) => request.complete(cx, Status::CANCELLED),
        })
    })
}

/// Kept while the device sleeps; ended when it goes.
pub(crate) fn stop<'s>(
    cx: &mut Cx<'_, Stop>,
    workshop: &Device<Workshop>,
    request: StopContext<'s, Resumes>,
) -> StopAction<'s> {
    match request.claim(cx) {
        Claim::Owned(request) => match request.keep::<Gone>(cx) {
            Ok((kept, token)) => {
                workshop.counts.kept.fetch_add(1, Ordering::Relaxed);
                put(cx, workshop, token);
                kept
            }
            Err(ParkError::Canceled(request)) => request.complete(cx, Status::CANCELLED).into(),
            Err(ParkError::NotParkable(request, _)) => request
                .complete_empty(cx, Status::DEVICE_NOT_CONNECTED)
                .into(),
        },
        Claim::Canceled(request) => request.complete(cx, Status::CANCELLED).into(),
        Claim::Sent(request) => request.leave(),
        Claim::Elsewhere(request) => request.leave(),
    }
}

/// Power is back: the write goes on waiting.
pub(crate) fn resume<'s>(
    _cx: &mut Cx<'_, Resume>,
    workshop: &Device<Workshop>,
    request: ResumeContext<'s>,
) -> StopAction<'s> {
    workshop.counts.resumed.fetch_add(1, Ordering::Relaxed);
    request.leave()
}
