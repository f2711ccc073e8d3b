//! Slowness: requests wait in a manual queue until their time has come, and are answered from the alarm's DPC.
//!
//! Ownership: a handler gives a slow request to the framework, by forwarding it to [`Port::slow`]. There the framework has it: it ends it
//! when it is canceled or its handle is closed, and keeps it while the device is not in D0, so that no power-down waits for a
//! latency. The DPC takes it out and answers it.

use core::{
    cell::Cell,
    sync::atomic::{AtomicU64, Ordering},
};

use wdf::{
    Status,
    clock::{Instant, Span},
    context::{Context, TypeInfo},
    cx::{Cancel, Cx, Io, Pnp, TimerTick},
    device::Device,
    queue::{Found, Retrieved},
    request::{Any, Canceled, Disposition, Request, RequestContext},
};

use crate::device::{Port, Waited, answer};

/// What pier notes on a request.
#[derive(Default)]
pub(crate) struct Slow {
    /// When it is answered, in units of the clock.
    due: AtomicU64,
}

impl Context for Slow {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Slow> = TypeInfo::new(c"Slow");
        &INFO
    }
}

impl RequestContext for Slow {}

/// Answers now, or lets the request wait for as long as the latency says.
pub(crate) fn wait_or_answer<'r>(
    cx: &mut Cx<'_, Io>,
    port: &Device<Port>,
    request: Request<'r, Any>,
) -> Disposition<'r> {
    let millis = port.latency_ms.load(Ordering::Relaxed);
    if millis == 0 {
        return answer(cx, port, request, Waited::No);
    }
    let due = Instant::now().after(Span::from_millis(millis));
    if let Some(slow) = request.context::<Slow>() {
        slow.due.store(due.units(), Ordering::Release);
    }
    match request.forward(cx, &port.slow) {
        Ok(gone) => {
            port.alarm.ask(cx, due);
            gone
        }
        Err((request, _)) => {
            // The queue is purged: the device is going.
            port.count_completed();
            request.complete_empty(cx, Status::DEVICE_NOT_CONNECTED)
        }
    }
}

/// The alarm: answers everything whose time has come, in the order it arrived. `DISPATCH_LEVEL`.
pub(crate) fn over(cx: &mut Cx<'_, TimerTick>, port: &Device<Port>) {
    port.alarm.rang(cx);
    loop {
        let (now, first) = (Instant::now(), Cell::new(None));
        let is_due = |found: &Found| {
            let due = found.context::<Slow>().map_or(now, |slow| {
                Instant::from_units(slow.due.load(Ordering::Acquire))
            });
            first.set(Some(due));
            due <= now
        };
        let retrieved = port.slow.retrieve_next_if(cx, is_due, |cx, request| {
            answer(cx, port, request, Waited::Yes)
        });
        match retrieved {
            Ok(Retrieved::Done) => {}
            Ok(Retrieved::NotYet) => {
                if let Some(first) = first.get() {
                    port.alarm.ask(cx, first);
                }
                return;
            }
            // Nothing waits, or the queue does not deliver (R-QUE-92): `awake` rings again.
            Ok(Retrieved::Empty) | Err(_) => return,
        }
    }
}

/// `EvtDeviceSelfManagedIoRestart`: the queues deliver again (R-DEV-60); what became due meanwhile is late.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the callback's signature: others may fail"
)]
pub(crate) fn awake(cx: &mut Cx<'_, Pnp>, port: &Device<Port>) -> Result<(), Status> {
    port.alarm.ask(cx, Instant::now());
    Ok(())
}

/// `EvtDeviceSelfManagedIoFlush`: the device is being removed. A ring that is under way asks for nothing more.
pub(crate) fn close(cx: &mut Cx<'_, Pnp>, port: &Device<Port>) {
    port.alarm.close(cx);
}

/// `EvtIoCanceledOnQueue`: a slow request was canceled, its handle closed, or the queue purged.
pub(crate) fn canceled<'r>(
    cx: &mut Cx<'_, Cancel>,
    port: &Device<Port>,
    request: Canceled<'r, Any>,
) -> Disposition<'r> {
    port.count_completed();
    request.complete(cx, Status::CANCELLED)
}
