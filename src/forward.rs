//! Forwarding: down with a completion routine, up with the lower driver's status and Information unchanged, unless a rule says otherwise.

use core::{num::NonZeroU32, sync::atomic::Ordering};

use ferry_abi::control::{EventKind, Place};
use wdf::{
    Status,
    clock::Stamp,
    cx::{CanSend, Completing, Cx, Done, Sending, Work},
    device::Device,
    request::{Any, Disposition, Request},
    target::{Completion, OnDone, SendFailed, Timeout},
};

use crate::{
    device::Crossing, end, limit::Admitted, observe, order::Waits, passage::Passage, split,
};

/// Gets a request back from below on which nothing was noted.
struct Carried;

impl OnDone<Any> for Carried {
    type Device = Crossing;

    fn done<'r>(
        cx: &mut Cx<'_, Done>,
        device: &Device<Crossing>,
        request: Request<'r, Any>,
        completion: Completion,
    ) -> Disposition<'r> {
        returned(device);
        // Information is what the lower driver left in the IRP.
        request.complete(cx, completion.status)
    }
}

/// Gets a request back from below that has notes.
struct Tended;

impl OnDone<Any> for Tended {
    type Device = Crossing;

    fn done<'r>(
        cx: &mut Cx<'_, Done>,
        device: &Device<Crossing>,
        request: Request<'r, Any>,
        completion: Completion,
    ) -> Disposition<'r> {
        returned(device);
        let Completion {
            status,
            information,
            ..
        } = completion;
        let passage = request.context::<Passage>();
        let truncated = passage.and_then(Passage::truncated);
        if passage.is_some_and(|passage| passage.timeout_ms.load(Ordering::Relaxed) != 0)
            && status == Status::IO_TIMEOUT
        {
            device.counters.timed_out.count();
        }
        observe::end(
            cx,
            device,
            passage,
            EventKind::Completed,
            status,
            information,
        );
        match truncated.map(usize::try_from) {
            Some(Ok(bytes)) => request.complete_at_most(cx, status, bytes),
            _ => request.complete(cx, status),
        }
    }
}

/// One is back from below. Counted before its completion, so that whoever saw that finds it counted.
pub(crate) fn returned(device: &Crossing) {
    device.counters.completed.count();
    room_came(device);
}

/// There is room below for one more: the pump looks whether anything waits for it.
fn room_came(device: &Crossing) {
    if device.attention.wants_room() {
        device.pump.wake();
    }
}

/// Sends a request on which nothing was noted. Afterwards it may be complete already.
pub(crate) fn plain<'r>(
    cx: &mut Cx<'_, impl CanSend>,
    device: &Crossing,
    request: Request<'r, Any>,
) -> Disposition<'r> {
    device.counters.forwarded.count();
    match request
        .format_current_type(&device.lower)
        .and_then(|formatted| formatted.send::<Carried>(cx))
    {
        Ok(sent) => sent,
        Err(failed) => unsent(cx.completing(), device, failed),
    }
}

/// Sends a request with its notes. Afterwards it may be complete already.
pub(crate) fn tended<'r>(
    cx: &mut Cx<'_, Sending>,
    device: &Crossing,
    request: Request<'r, Any>,
    admitted: Admitted,
) -> Disposition<'r> {
    let (request, whole) = match split::begin(cx, device, request, admitted) {
        Ok(gone) => return gone,
        Err(back) => back,
    };
    whole.no_journey(device);
    let passage = request.context::<Passage>();
    let timeout = passage
        .and_then(|passage| NonZeroU32::new(passage.timeout_ms.load(Ordering::Relaxed)))
        .map(Timeout::milliseconds);
    let shortened = passage.and_then(Passage::shortened);
    if let Some(passage) = passage.filter(|passage| passage.arrived.load(Ordering::Relaxed) != 0) {
        passage.sent.store(Stamp::now().units(), Ordering::Relaxed);
        observe::note(cx, device, Some(passage), Place::Below, EventKind::Sent);
    }
    let sent = request
        .format_current_type(&device.lower)
        .and_then(|formatted| {
            let formatted = match shortened {
                Some(bytes) => formatted.ask_at_most(bytes),
                None => formatted,
            };
            match timeout {
                Some(timeout) => formatted.with_timeout(timeout),
                None => formatted,
            }
            .send::<Tended>(cx)
        });
    match sent {
        Ok(sent) => sent,
        Err(failed) => unsent(cx.completing(), device, failed),
    }
}

/// Sends a request that has waited where `waits` says. Only the pump calls it.
pub(crate) fn waited<'r>(
    cx: &mut Cx<'_, Work>,
    device: &Crossing,
    request: Request<'r, Any>,
    admitted: Admitted,
    waits: Option<Waits>,
) -> Disposition<'r> {
    let entry = request
        .context::<Passage>()
        .map_or(0, |passage| passage.order.load(Ordering::Acquire));
    let gone = tended(cx.sending(), device, request, admitted);
    // Not before: what comes now must find it still on its way. What waited behind it, the pump looks at next.
    if let Some(waits) = waits {
        device.leave(cx.anywhere(), entry, waits);
    }
    gone
}

/// Gives the request up and forgets it: the policy says that what becomes of it is nobody's business.
pub(crate) fn forget<'r>(
    cx: &mut Cx<'_, impl CanSend>,
    device: &Crossing,
    request: Request<'r, Any>,
) -> Disposition<'r> {
    device.counters.forgotten.count();
    match request.send_and_forget(cx, &device.lower) {
        Ok(gone) => gone,
        Err(failed) => {
            device.counters.forgotten.uncount();
            end::failed(cx.completing(), device, failed.request, failed.status, None)
        }
    }
}

/// Ends a request the target did not take.
fn unsent<'r>(
    cx: &mut Cx<'_, Completing>,
    device: &Crossing,
    failed: SendFailed<'r, Any>,
) -> Disposition<'r> {
    device.counters.forwarded.uncount();
    // Somebody may have found its room taken.
    room_came(device);
    let status = unsent_status(device, failed.status);
    end::failed(cx.completing(), device, failed.request, status, None)
}

/// What a send is told that the target refused: it is purged because the device is gone, or for the moment of an abort, whatever it says of
/// itself.
pub(crate) fn unsent_status(device: &Crossing, status: Status) -> Status {
    if device.is_leaving() {
        Status::DEVICE_NOT_CONNECTED
    } else if device.aborting.load(Ordering::Acquire) != 0 {
        Status::CANCELLED
    } else {
        status
    }
}
