//! Delaying: requests are parked, cancelable, until their time has come; then the pump sends them.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use wdf::{
    Status,
    clock::{Instant, Span},
    cx::{CanComplete, CanSend, Cancel, Cx, Io, Work},
    device::Device,
    request::{Any, Canceled, Disposition, FileKey, OnCancel, ParkError, Request, Unparked},
};

use crate::{device::Crossing, forward::forward, order::Waits};

/// What is delayed from now on. Changed under the registry's lock, read anywhere.
#[derive(Default)]
pub(crate) struct DelayRule {
    /// Operations delayed; 0: no delay.
    ops: AtomicU32,
    /// For how long.
    millis: AtomicU32,
    /// The control handle that set it.
    owner: AtomicU64,
}

impl DelayRule {
    /// Whether such a request is delayed.
    pub(crate) fn matches(&self, op: u32) -> bool {
        self.ops.load(Ordering::Acquire) & op != 0
    }

    /// A new rule instead of the old one. What is parked keeps its time.
    pub(crate) fn set(&self, owner: u64, ops: u32, millis: u32) {
        self.millis.store(millis, Ordering::Relaxed);
        self.owner.store(owner, Ordering::Relaxed);
        self.ops.store(ops, Ordering::Release);
    }

    /// No delay from now on. What is parked keeps its time.
    pub(crate) fn end(&self) {
        self.ops.store(0, Ordering::Release);
    }

    /// Whether that control handle set the last delay.
    pub(crate) fn is_of(&self, owner: u64) -> bool {
        self.owner.load(Ordering::Relaxed) == owner
    }
}

/// Gets a delayed request that was canceled.
struct Delayed;

impl OnCancel<Any> for Delayed {
    type Device = Crossing;

    fn canceled<'r>(
        cx: &mut Cx<'_, Cancel>,
        device: &Device<Crossing>,
        request: Canceled<'r, Any>,
    ) -> Disposition<'r> {
        device.delayed.remove(cx, &request);
        cancel(cx, device, request)
    }
}

/// Completes a request whose cancellation came while it was delayed.
pub(crate) fn cancel<'r>(
    cx: &mut Cx<'_, impl CanComplete>,
    device: &Crossing,
    request: Canceled<'r, Any>,
) -> Disposition<'r> {
    device.counters.canceled.count();
    device.order.leave(cx, request.file_key(), Waits::Delayed);
    request.complete(cx, Status::CANCELLED)
}

/// Sends a request that is delayed no longer.
fn send<'r>(
    cx: &mut Cx<'_, impl CanSend>,
    device: &Crossing,
    request: Request<'r, Any>,
) -> Disposition<'r> {
    let handle = request.file_key();
    let gone = forward(cx, device, request);
    // Not before: what comes now must find it still on its way.
    device.order.leave(cx, handle, Waits::Delayed);
    gone
}

/// Completes a request that is delayed no longer, and will not be sent.
pub(crate) fn give_up<'r>(
    cx: &mut Cx<'_, impl CanComplete>,
    device: &Crossing,
    request: Request<'r, Any>,
    status: Status,
) -> Disposition<'r> {
    if status == Status::CANCELLED {
        device.counters.canceled.count();
    } else {
        device.counters.failed.count();
    }
    device.order.leave(cx, request.file_key(), Waits::Delayed);
    request.complete_empty(cx, status)
}

/// Parks the request: for as long as the rule says if it matches, in any case behind what its handle has parked already.
pub(crate) fn park<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Any>,
    handle: FileKey,
    matches: bool,
) -> Disposition<'r> {
    let now = Instant::now();
    let own = if matches {
        now.after(Span::from_millis(
            device.delay.millis.load(Ordering::Relaxed),
        ))
    } else {
        now
    };
    // None: the last one before it is being sent at this moment.
    let due = device
        .delayed
        .last_due_of(cx, handle)
        .map_or(own, |last| last.max(own));
    device.counters.delayed.count();
    match request.park::<Delayed>() {
        Ok((parked, token)) => {
            // Not on the list: canceled already, and its handler has it.
            if device.delayed.insert(cx, token, due, Some(handle)) {
                device.alarm.ask(cx, due);
                if device.is_leaving() {
                    device.pump.wake();
                }
            }
            parked
        }
        Err(ParkError::Canceled(request)) => cancel(cx, device, request),
        Err(ParkError::NotParkable(request, _)) => {
            device.counters.delayed.uncount();
            send(cx, device, request)
        }
    }
}

/// Sends what is due and says when the next one will be. Only the pump calls it.
pub(crate) fn drain(cx: &mut Cx<'_, Work>, device: &Device<Crossing>) -> Option<Instant> {
    loop {
        if device.is_leaving() {
            // Parked after the flush of the removal had looked.
            flush(cx, device, Status::DEVICE_NOT_CONNECTED);
            return None;
        }
        let Some(token) = device.delayed.take_due(cx, Instant::now()) else {
            return device.delayed.next_due(cx);
        };
        token.unpark(cx, |cx, request| match request {
            Unparked::Owned(request) => send(cx, device, request),
            Unparked::Canceled(request) => cancel(cx, device, request),
        });
    }
}

/// Ends every delayed request with `status`: the device is going.
pub(crate) fn flush(cx: &mut Cx<'_, impl CanComplete>, device: &Crossing, status: Status) {
    while let Some(token) = device.delayed.take_any(cx) {
        token.unpark(cx, |cx, request| match request {
            Unparked::Owned(request) => give_up(cx, device, request, status),
            Unparked::Canceled(request) => cancel(cx, device, request),
        });
    }
}
