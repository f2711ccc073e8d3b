//! Holding: requests wait in the held queue until they are released, grow too old, or are canceled there.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use wdf::{
    Status,
    clock::{Instant, Span},
    cx::{Cancel, Cx, Io, Work},
    device::Device,
    queue::{Found, Retrieved},
    request::{Any, Canceled, Disposition, Request},
};

use crate::{
    device::{Crossing, Passage},
    forward::forward,
    order::Waits,
};

/// What is held from now on, and how much may go. Changed under the registry's lock, read anywhere.
#[derive(Default)]
pub(crate) struct HoldRule {
    /// Operations held; 0: no hold.
    ops: AtomicU32,
    /// Milliseconds after which a request is released by itself.
    max_age_ms: AtomicU32,
    /// The control handle that set it.
    owner: AtomicU64,
    /// Held requests that may go although the hold lasts.
    released: AtomicU32,
    /// How many holds have ended. What one of them kept may go, whatever hold is set before the pump runs.
    ended: AtomicU32,
}

impl HoldRule {
    /// Whether such a request is held.
    pub(crate) fn matches(&self, op: u32) -> bool {
        self.ops.load(Ordering::Acquire) & op != 0
    }

    fn is_on(&self) -> bool {
        self.ops.load(Ordering::Acquire) != 0
    }

    /// A new rule instead of the old one. The caller wakes the pump.
    pub(crate) fn set(&self, owner: u64, ops: u32, max_age_ms: u32) {
        self.max_age_ms.store(max_age_ms, Ordering::Relaxed);
        self.owner.store(owner, Ordering::Relaxed);
        self.ops.store(ops, Ordering::Release);
    }

    /// No hold. The caller wakes the pump, which releases everything.
    pub(crate) fn end(&self) {
        self.ops.store(0, Ordering::Release);
        self.ended.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether a hold that kept a request when `ended` had ended before still lasts.
    fn lasts(&self, ended: u32) -> bool {
        self.is_on() && self.ended.load(Ordering::Acquire) == ended
    }

    /// Whether that control handle set the last hold.
    pub(crate) fn is_of(&self, owner: u64) -> bool {
        self.owner.load(Ordering::Relaxed) == owner
    }

    /// Lets `count` more go. The caller wakes the pump.
    pub(crate) fn release(&self, count: u32) {
        self.released.fetch_add(count, Ordering::AcqRel);
    }
}

/// Puts the request into the held queue: until it is released if the hold matches it, else only until nothing is before it.
pub(crate) fn keep<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Any>,
    matches: bool,
) -> Disposition<'r> {
    let now = Instant::now();
    let max_age = Span::from_millis(device.hold.max_age_ms.load(Ordering::Relaxed));
    let release_at = if matches { now.after(max_age) } else { now };
    let hold = device.hold.ended.load(Ordering::Acquire);
    if let Some(passage) = request.context::<Passage>() {
        passage.hold.store(hold, Ordering::Release);
        passage
            .release_at
            .store(release_at.units(), Ordering::Release);
    }
    device.counters.held.count();
    match request.forward(cx, &device.held) {
        Ok(gone) => {
            // The hold may have ended, what was before it may have gone, or the device begun to go, between the decision and the arrival.
            if matches && device.hold.lasts(hold) && !device.is_leaving() {
                device.alarm.ask(cx, release_at);
            } else {
                device.pump.wake();
            }
            gone
        }
        Err((request, _)) => {
            // The queue is purged: the device is going.
            device.counters.held.uncount();
            device.order.leave(cx, request.file_key(), Waits::Held);
            forward(cx, device, request)
        }
    }
}

/// `EvtIoCanceledOnQueue` of the held queue: canceled by its program, by the closing of its handle, or by a purge.
pub(crate) fn canceled<'r>(
    cx: &mut Cx<'_, Cancel>,
    device: &Device<Crossing>,
    request: Canceled<'r, Any>,
) -> Disposition<'r> {
    let status = if device.is_leaving() {
        device.counters.failed.count();
        Status::DEVICE_NOT_CONNECTED
    } else {
        device.counters.canceled.count();
        Status::CANCELLED
    };
    device.order.leave(cx, request.file_key(), Waits::Held);
    // What waited only behind this one may go.
    device.pump.wake();
    request.complete(cx, status)
}

/// Sends what may go, oldest first, and says when the next one will be too old. Only the pump calls it.
pub(crate) fn drain(cx: &mut Cx<'_, Work>, device: &Device<Crossing>) -> Option<Instant> {
    loop {
        let now = Instant::now();
        let next = core::cell::Cell::new(None);
        // By itself: too old, or the hold that kept it is over.
        let due = |passage: &Passage| {
            if device.hold.lasts(passage.hold.load(Ordering::Acquire)) {
                Instant::from_units(passage.release_at.load(Ordering::Acquire))
            } else {
                now
            }
        };
        let wanted = |found: &Found| {
            let release_at = found.context::<Passage>().map_or(now, due);
            next.set(Some(release_at));
            let may_go = release_at <= now || device.hold.released.load(Ordering::Acquire) != 0;
            // Last: a device that goes ends its hold after it has said so, and its queue is purged, not sent.
            may_go && !device.is_leaving()
        };
        let retrieved = device.held.retrieve_next_if(cx, wanted, |cx, request| {
            let goes_by_itself = request
                .context::<Passage>()
                .is_none_or(|passage| due(passage) <= now);
            if !goes_by_itself {
                let take = |count: u32| count.checked_sub(1);
                _ = device
                    .hold
                    .released
                    .fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
            }
            let handle = request.file_key();
            let gone = forward(cx, device, request);
            // Not before: what comes now must find it still on its way.
            device.order.leave(cx, handle, Waits::Held);
            gone
        });
        match retrieved {
            Ok(Retrieved::Done) => {}
            Ok(Retrieved::NotYet) => return next.get(),
            // Nothing is left that a release could have meant. A paused queue belongs to a device that is going.
            Ok(Retrieved::Empty) | Err(_) => {
                device.hold.released.store(0, Ordering::Release);
                return None;
            }
        }
    }
}
