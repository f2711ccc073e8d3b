//! Ends: of a handle, and of the device, wherever its requests are.

use wdf::{
    cx::{Arrival, Cx, Pnp, Stop},
    device::Device,
    preprocess::{Arriving, Verdict},
    request::{Claim, StopAction, StopContext},
};

use crate::{Ferry, attention, delay, device::Crossing, end, order::Waits, split, watch};

/// `IRP_MJ_CLEANUP`, before the framework sees it: the handle's parked requests end now, and its chunks
/// below are canceled (filter rule 10). Those that wait in queues the
/// framework flushes itself (R-CAN-60).
pub(crate) fn handle_closed(
    cx: &mut Cx<'_, Arrival>,
    device: &Device<Crossing>,
    irp: &Arriving<'_>,
) -> Verdict {
    if let Some(handle) = irp.file_key() {
        delay::close(cx, device, handle);
        split::close(cx, device, handle);
    }
    Verdict::Framework
}

/// `EvtDeviceSelfManagedIoFlush`, at an orderly and at a surprise removal alike (filter rule 9): nothing may wait in ferry any more,
/// or the program waits for ferry and the removal for the program.
pub(crate) fn flush(cx: &mut Cx<'_, Pnp>, device: &Device<Crossing>) {
    // Before anything is flushed: whoever puts something down after this looks again and wakes the pump.
    device.attention.set(attention::LEAVING, true);
    // A pump or handler that is on its way may still ask for a moment: the timer goes with the device.
    device.alarm.close(cx);
    device.held.purge(cx);
    device.backlog.purge(cx);
    delay::flush(cx, device);
    device.lower.purge(cx);
}

/// `EvtDeviceSelfManagedIoCleanup`: from here on no controller finds the device.
pub(crate) fn gone(cx: &mut Cx<'_, Pnp>, device: &Device<Crossing>) {
    let Some(ferry) = cx.driver::<Ferry>() else {
        return;
    };
    let watchers = ferry
        .registry
        .with(cx, |registry, cx| registry.remove(cx, device.id));
    // Nobody is left to wait for.
    if let Some(desk) = watchers {
        watch::end_all(cx, ferry, &desk);
    }
}

/// `EvtIoStop` of queues that are never power-managed: the device is being removed (R-QUE-128). What is parked ends, what is below is
/// canceled; whoever else has a request ends it soon.
pub(crate) fn stop<'s>(
    cx: &mut Cx<'_, Stop>,
    device: &Device<Crossing>,
    request: StopContext<'s>,
) -> StopAction<'s> {
    match request.claim(cx) {
        Claim::Owned(request) => {
            let waits = taken_off(cx, device, &request);
            end::stopped(cx.completing(), device, request, waits)
        }
        Claim::Canceled(request) => {
            let waits = taken_off(cx, device, &request);
            end::canceled(cx.completing(), device, request, waits).into()
        }
        Claim::Sent(request) => request.cancel(cx),
        Claim::Elsewhere(request) => request.leave(),
    }
}

/// Takes a request that was parked off its list: where it was in the order.
fn taken_off(
    cx: &mut Cx<'_, Stop>,
    device: &Crossing,
    request: &impl wdf::request::Owned,
) -> Option<Waits> {
    let parked = &device.parked;
    if parked.kept.remove(cx, request) {
        return Some(Waits::Delayed);
    }
    if !parked.free.remove(cx, request) {
        parked.dropped.remove(cx, request);
    }
    None
}
