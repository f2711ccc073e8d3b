//! Slowness: requests parked until their time has come, answered from the alarm's DPC.

use core::sync::atomic::Ordering;

use wdf::{
    Status,
    clock::{Instant, Span},
    cx::{Cancel, Cx, Io, Stop, TimerTick},
    device::Device,
    request::{
        Any, Canceled, Claim, Disposition, OnCancel, ParkError, Request, StopAction, StopContext,
        StopReason, Unparked,
    },
};

use crate::device::{Port, answer};

/// Gets a waiting request that was canceled.
struct Waiting;

impl OnCancel<Any> for Waiting {
    type Device = Port;

    fn canceled<'r>(
        cx: &mut Cx<'_, Cancel>,
        port: &Device<Port>,
        request: Canceled<'r, Any>,
    ) -> Disposition<'r> {
        port.waiting.remove(cx, &request);
        port.count_completed();
        request.complete(cx, Status::CANCELLED)
    }
}

/// Answers now, or parks the request for as long as the latency says.
pub(crate) fn wait_or_answer<'r>(
    cx: &mut Cx<'_, Io>,
    port: &Device<Port>,
    request: Request<'r, Any>,
) -> Disposition<'r> {
    let millis = port.latency_ms.load(Ordering::Relaxed);
    if millis == 0 {
        return answer(cx, port, request);
    }
    let due = Instant::now().after(Span::from_millis(millis));
    let file = request.file_key();
    match request.park::<Waiting>() {
        Ok((parked, token)) => {
            // Not on the list: canceled already, and its handler has it.
            if port.waiting.insert(cx, token, due, file) {
                port.alarm.ask(cx, due);
            }
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

/// The alarm: answers everything whose time has come. `DISPATCH_LEVEL`.
pub(crate) fn over(cx: &mut Cx<'_, TimerTick>, port: &Device<Port>) {
    port.alarm.rang(cx);
    while let Some(token) = port.waiting.take_due(cx, Instant::now()) {
        token.unpark(cx, |cx, request| match request {
            Unparked::Owned(request) => answer(cx, port, request),
            Unparked::Canceled(request) => {
                port.count_completed();
                request.complete(cx, Status::CANCELLED)
            }
        });
    }
    if let Some(next) = port.waiting.next_due(cx) {
        port.alarm.ask(cx, next);
    }
}

/// `EvtIoStop`: a waiting request goes back to the queue to wait for power, or ends with the device; whoever else has one finishes soon.
pub(crate) fn stop<'s>(
    cx: &mut Cx<'_, Stop>,
    port: &Device<Port>,
    request: StopContext<'s>,
) -> StopAction<'s> {
    let reason = request.reason();
    match request.claim(cx) {
        Claim::Owned(request) => {
            port.waiting.remove(cx, &request);
            if reason == StopReason::Suspend {
                port.uncount();
            }
            match request.requeue(cx) {
                Ok(requeued) => requeued,
                Err(request) => {
                    port.count_completed();
                    request.complete(cx, Status::DEVICE_NOT_CONNECTED)
                }
            }
        }
        Claim::Canceled(request) => {
            port.waiting.remove(cx, &request);
            port.count_completed();
            request.complete(cx, Status::CANCELLED).into()
        }
        Claim::Sent(request) => request.leave(),
        Claim::Elsewhere(request) => request.leave(),
    }
}
