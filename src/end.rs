//! Ends that are ferry's own: a request that waited in ferry, or could not be sent, is completed here and nowhere else.

use core::sync::atomic::Ordering;

use ferry_abi::control::EventKind;
use wdf::{
    Status,
    cx::{Completing, Cx},
    request::{Any, Canceled, Disposition, Request, StopAction, StopOwned},
};

use crate::{attention, device::Crossing, observe, order::Waits, passage::Passage};

/// Its place is free: what waited only behind it may go.
fn leave(
    cx: &mut Cx<'_, Completing>,
    device: &Crossing,
    passage: Option<&Passage>,
    waits: Option<Waits>,
) {
    if let Some(waits) = waits {
        let entry = passage.map_or(0, |passage| passage.order.load(Ordering::Acquire));
        if device.leave(cx.anywhere(), entry, waits) {
            device.pump.wake();
        }
    }
}

/// Completes a request whose cancellation came while it waited: with `STATUS_CANCELLED`, or with `STATUS_DEVICE_NOT_CONNECTED` if it was the
/// going of the device that canceled it.
pub(crate) fn canceled<'r>(
    cx: &mut Cx<'_, Completing>,
    device: &Crossing,
    request: Canceled<'r, Any>,
    waits: Option<Waits>,
) -> Disposition<'r> {
    let (status, kind) = if device.is_leaving() {
        device.counters.failed.count();
        (Status::DEVICE_NOT_CONNECTED, EventKind::Failed)
    } else {
        device.counters.canceled.count();
        (Status::CANCELLED, EventKind::Canceled)
    };
    leave(cx, device, request.context::<Passage>(), waits);
    observe::end(cx, device, request.context::<Passage>(), kind, status, 0);
    request.complete(cx, status)
}

/// Completes a request with a status of ferry's own and Information 0.
pub(crate) fn failed<'r>(
    cx: &mut Cx<'_, Completing>,
    device: &Crossing,
    request: Request<'r, Any>,
    status: Status,
    waits: Option<Waits>,
) -> Disposition<'r> {
    let kind = if status == Status::CANCELLED {
        device.counters.canceled.count();
        EventKind::Canceled
    } else {
        device.counters.failed.count();
        EventKind::Failed
    };
    leave(cx, device, request.context::<Passage>(), waits);
    observe::end(cx, device, request.context::<Passage>(), kind, status, 0);
    request.complete_empty(cx, status)
}

/// Notes that a request is back from below and about to be completed, and lets go what waited for it to be.
pub(crate) fn returned(
    cx: &mut Cx<'_, Completing>,
    device: &Crossing,
    passage: Option<&Passage>,
    status: Status,
    information: usize,
) {
    // A journey is free.
    if device.attention.has(attention::WAITING | attention::OWED) {
        device.pump.wake();
    }
    observe::end(
        cx,
        device,
        passage,
        EventKind::Completed,
        status,
        information,
    );
}

/// Completes a request that will not be sent because the device is going.
pub(crate) fn give_up<'r>(
    cx: &mut Cx<'_, Completing>,
    device: &Crossing,
    request: Request<'r, Any>,
    waits: Option<Waits>,
) -> Disposition<'r> {
    failed(cx, device, request, Status::DEVICE_NOT_CONNECTED, waits)
}

/// Completes a parked request that `EvtIoStop` took back: the device is going.
pub(crate) fn stopped<'s>(
    cx: &mut Cx<'_, Completing>,
    device: &Crossing,
    request: StopOwned<'s>,
    waits: Option<Waits>,
) -> StopAction<'s> {
    let status = Status::DEVICE_NOT_CONNECTED;
    device.counters.failed.count();
    leave(cx, device, request.context::<Passage>(), waits);
    observe::end(
        cx,
        device,
        request.context::<Passage>(),
        EventKind::Failed,
        status,
        0,
    );
    request.complete(cx, status)
}
