//! Requests that are never answered: parked until they are canceled, their handle is closed, or the device goes.
//!
//! Unlike a slow request, which the framework has in a queue, a stuck one stays pier's across a power-down: `EvtIoStop` keeps it, and `EvtIoResume` is told when
//! power is back.

use core::sync::atomic::Ordering;

use wdf::{
    Status,
    clock::Instant,
    cx::{CanComplete, Cancel, Cx, Resume, Stop},
    device::Device,
    request::{
        Any, Canceled, Claim, Disposition, FileKey, OnCancel, ParkError, Request, ResumeContext,
        Resumes, StopAction, StopContext, Unparked,
    },
};

use crate::device::Port;

/// Gets a stuck request that was canceled.
struct Stuck;

impl OnCancel<Any> for Stuck {
    type Device = Port;

    fn canceled<'r>(
        cx: &mut Cx<'_, Cancel>,
        port: &Device<Port>,
        request: Canceled<'r, Any>,
    ) -> Disposition<'r> {
        port.stuck.remove(cx, &request);
        port.count_completed();
        request.complete(cx, Status::CANCELLED)
    }
}

/// Parks the request for good.
pub(crate) fn keep<'r>(
    cx: &mut Cx<'_, impl CanComplete>,
    port: &Port,
    request: Request<'r, Any>,
) -> Disposition<'r> {
    let file = request.file_key();
    match request.park::<Stuck>() {
        Ok((parked, token)) => {
            // Not on the list: canceled already, and its handler has it.
            port.stuck.insert(cx, token, Instant::NEVER, file);
            parked
        }
        Err(ParkError::Canceled(request)) => {
            port.count_completed();
            request.complete(cx, Status::CANCELLED)
        }
        Err(ParkError::NotParkable(request, status)) => {
            port.count_completed();
            request.complete_empty(cx, status)
        }
    }
}

/// Ends the stuck requests of a handle: the framework ends what waits in queues only (R-CAN-60).
pub(crate) fn end_of(cx: &mut Cx<'_, impl CanComplete>, port: &Port, handle: FileKey) {
    while let Some(token) = port.stuck.take_of(cx, handle) {
        token.unpark(cx, |cx, request| {
            port.count_completed();
            match request {
                Unparked::Owned(request) => request.complete_empty(cx, Status::CANCELLED),
                Unparked::Canceled(request) => request.complete(cx, Status::CANCELLED),
            }
        });
    }
}

/// `EvtIoStop` of the queues that present requests: a stuck one stays pier's over the sleep.
///
/// Any other request pier owns is in a handler or the DPC, which answers it or puts it into the queue for slow ones; either ends the wait.
pub(crate) fn stop<'s>(
    cx: &mut Cx<'_, Stop>,
    port: &Device<Port>,
    request: StopContext<'s, Resumes>,
) -> StopAction<'s> {
    match request.claim(cx) {
        Claim::Owned(request) => {
            port.stuck.remove(cx, &request);
            let file = request.file_key();
            match request.keep::<Stuck>(cx) {
                Ok((kept, token)) => {
                    port.kept.fetch_add(1, Ordering::Relaxed);
                    port.stuck.insert(cx, token, Instant::NEVER, file);
                    kept
                }
                Err(ParkError::Canceled(request)) => {
                    port.count_completed();
                    request.complete(cx, Status::CANCELLED).into()
                }
                // The device is going.
                Err(ParkError::NotParkable(request, _)) => {
                    port.count_completed();
                    request
                        .complete_empty(cx, Status::DEVICE_NOT_CONNECTED)
                        .into()
                }
            }
        }
        Claim::Canceled(request) => {
            port.stuck.remove(cx, &request);
            port.count_completed();
            request.complete(cx, Status::CANCELLED).into()
        }
        Claim::Sent(request) => request.leave(),
        Claim::Elsewhere(request) => request.leave(),
    }
}

/// `EvtIoResume`: a stuck request was kept over the sleep, and is as stuck as before.
pub(crate) fn resume<'s>(
    _cx: &mut Cx<'_, Resume>,
    port: &Device<Port>,
    request: ResumeContext<'s>,
) -> StopAction<'s> {
    port.resumed.fetch_add(1, Ordering::Relaxed);
    request.leave()
}
