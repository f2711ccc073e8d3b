//! Ends: of a handle, and of the device, wherever its requests are.

use core::sync::atomic::Ordering;

use wdf::{
    Status,
    cx::{Arrival, Cx, Pnp, Stop},
    device::Device,
    preprocess::{Arriving, Verdict},
    request::{Claim, StopAction, StopContext, Unparked},
};

use crate::{Ferry, delay, device::Crossing, order::Waits};

/// `IRP_MJ_CLEANUP`, before the framework sees it: the handle's delayed requests end now (filter rule 10). Those that wait in queues the
/// framework flushes itself (R-CAN-60).
pub(crate) fn handle_closed(
    cx: &mut Cx<'_, Arrival>,
    device: &Device<Crossing>,
    irp: &Arriving<'_>,
) -> Verdict {
    if let Some(file) = irp.file_key() {
        while let Some(token) = device.delayed.take_of(cx, file) {
            token.unpark(cx, |cx, request| match request {
                Unparked::Owned(request) => delay::give_up(cx, device, request, Status::CANCELLED),
                Unparked::Canceled(request) => delay::cancel(cx, device, request),
            });
        }
    }
    Verdict::Framework
}

/// `EvtDeviceSelfManagedIoFlush`, at an orderly and at a surprise removal alike (filter rule 9): nothing may wait in ferry any more,
/// or the program waits for ferry and the removal for the program.
pub(crate) fn flush(cx: &mut Cx<'_, Pnp>, device: &Device<Crossing>) {
    // Before anything is flushed: whoever puts something down after this looks again and wakes the pump.
    device.leaving.store(true, Ordering::SeqCst);
    device.hold.end();
    device.delay.end();
    device.held.purge(cx);
    delay::flush(cx, device, Status::DEVICE_NOT_CONNECTED);
    device.lower.purge(cx);
}

/// `EvtDeviceSelfManagedIoCleanup`: from here on no controller finds the device.
pub(crate) fn gone(cx: &mut Cx<'_, Pnp>, device: &Device<Crossing>) {
    if let Some(ferry) = cx.driver::<Ferry>() {
        ferry
            .registry
            .with(cx, |registry, cx| registry.remove(cx, device.id));
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
            device.delayed.remove(cx, &request);
            device.counters.failed.count();
            device.order.leave(cx, request.file_key(), Waits::Delayed);
            request.complete(cx, Status::DEVICE_NOT_CONNECTED)
        }
        Claim::Canceled(request) => {
            device.delayed.remove(cx, &request);
            delay::cancel(cx, device, request).into()
        }
        Claim::Sent(request) => request.cancel(cx),
        Claim::Elsewhere(request) => request.leave(),
    }
}
