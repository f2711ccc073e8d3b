//! What becomes of a request of a device on which something is set: classify, first matching rule, order behind what waits for the same
//! handle, limit, send.
//!
//! The handler owns the request from the first line of [`arrive`] to the call each arm ends in, which consumes it.

use core::sync::atomic::Ordering;

use ferry_abi::control::{Action, DEFAULT_HOLD_MS, Order, ops};
use wdf::{
    Status,
    clock::{Instant, Span},
    cx::{Cx, Io},
    device::Device,
    request::{Any, Disposition, Request},
};

use crate::{
    attention, delay,
    device::Crossing,
    end, forward, hold, limit, observe,
    order::Waits,
    passage::Passage,
    rules::{Question, Verdict},
    scope::{Caller, Origin, sees},
};

/// What is asked for.
pub(crate) struct Shape {
    /// One operation of [`ops`].
    pub(crate) op: u32,
    /// Control code, or 0.
    pub(crate) code: u32,
    /// Bytes of the transfer; the longer of input and output for a control.
    pub(crate) length: u64,
    /// Byte offset of the transfer.
    pub(crate) offset: u64,
}

/// Decides over a request that has just been presented.
pub(crate) fn arrive<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Any>,
    shape: &Shape,
) -> Disposition<'r> {
    let Some(passage) = request
        .context::<Passage>()
        .filter(|_| !device.is_leaving())
    else {
        // The target is purged or will be: the send fails, or what it sent is canceled.
        return forward::plain(cx, device, request);
    };
    let origin = Origin::of(&request);
    if device.attention.has(attention::FORGET) {
        // What waits of the handle since before the policy goes first.
        let waits = origin
            .file
            .is_some_and(|handle| device.has_waiting(cx.anywhere(), handle));
        if !waits {
            return forward::forget(cx, device, request);
        }
    }
    let question = Question {
        op: shape.op,
        code: shape.code,
        length: shape.length,
        offset: shape.offset,
        origin: &origin,
    };
    if device.attention.has(attention::OBSERVED) {
        observe::begin(cx.anywhere(), device, passage, &question);
    }
    let kept = shape.op & ops::ALL != 0;
    passage.ask(origin.caller, kept);
    let rule = if device.attention.has(attention::RULES) {
        device.shelf.rules.decide(&question)
    } else {
        None
    };
    let action = rule
        .as_ref()
        .and_then(|rule| Some((rule, Action::from_code(rule.action)?)));
    // What is to be done when it is sent, whenever that is.
    match action {
        Some((rule, Action::Shorten)) => passage.shorten(rule.bytes),
        Some((rule, Action::Truncate)) => passage.truncate(rule.bytes),
        Some((rule, Action::Split)) => passage.chunk.store(rule.bytes, Ordering::Relaxed),
        _ => {}
    }
    let splits = chunked(device, passage, shape, &origin);
    if device.attention.has(attention::TIMEOUT) && device.settings.timeout_sees(origin.caller) {
        let timeout = device.settings.timeout_ms.load(Ordering::Relaxed);
        passage.timeout_ms.store(timeout, Ordering::Relaxed);
    }
    let now = Instant::now();
    let after = |millis| now.after(Span::from_millis(millis));
    match action {
        Some((rule, Action::Fail)) => {
            let status = Status::from_raw(rule.status.cast_signed());
            return end::failed(cx.completing(), device, request, status, None);
        }
        Some((rule, Action::Drop)) => return delay::drop(cx, device, request, rule),
        Some((rule, Action::Delay)) if rule.order == Order::Free.code() => {
            return delay::free(cx, device, request, after(rule.milliseconds), rule);
        }
        Some((rule, Action::Delay)) => {
            let due = after(rule.milliseconds);
            return wait(
                cx,
                device,
                request,
                &origin,
                Waits::Delayed,
                due,
                Some(rule),
            );
        }
        Some((rule, Action::Hold)) => {
            let age = if rule.milliseconds == 0 {
                DEFAULT_HOLD_MS
            } else {
                rule.milliseconds
            };
            return wait(
                cx,
                device,
                request,
                &origin,
                Waits::Held,
                after(age),
                Some(rule),
            );
        }
        _ => {}
    }
    // Nothing keeps an internal control, its handle's order included.
    let handle = origin.file.filter(|_| kept);
    if device.attention.has(attention::WAITING)
        && let Some(waits) = device.enter(cx.anywhere(), passage, handle, None)
    {
        return put(cx, device, request, waits, now, None);
    }
    let limited = device.is_limited(passage);
    let backlog = (limited || splits) && device.backlogged.load(Ordering::Acquire) != 0;
    if !backlog && let Some(admitted) = device.admit(limited, splits) {
        return forward::tended(cx.sending(), device, request, admitted);
    }
    wait(cx, device, request, &origin, Waits::Backlog, now, None)
}

/// Lets the request wait: where the rules or the limit want it, or behind what its handle has waiting already.
fn wait<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Any>,
    origin: &Origin,
    wanted: Waits,
    due: Instant,
    rule: Option<&Verdict>,
) -> Disposition<'r> {
    let entered = request
        .context::<Passage>()
        .and_then(|passage| device.enter(cx.anywhere(), passage, origin.file, Some(wanted)));
    match entered {
        Some(waits) => put(cx, device, request, waits, due, rule),
        None => forward::plain(cx, device, request),
    }
}

/// Puts the request where the order has noted it.
fn put<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Any>,
    waits: Waits,
    due: Instant,
    rule: Option<&Verdict>,
) -> Disposition<'r> {
    match waits {
        Waits::Held => hold::keep(cx, device, request, due, rule),
        Waits::Delayed => delay::keep(cx, device, request, due, rule),
        Waits::Backlog => limit::keep(cx, device, request),
    }
}

/// Whether the request goes down in chunks; how long they are is noted on it.
fn chunked(device: &Crossing, passage: &Passage, shape: &Shape, origin: &Origin) -> bool {
    let set = &device.settings;
    let ruled = passage.chunk.load(Ordering::Relaxed);
    let most = if device.attention.has(attention::SPLIT) && set.split_sees(origin.caller) {
        set.max_transfer.load(Ordering::Relaxed)
    } else {
        0
    };
    let chunk = match (ruled, most) {
        (0, chunk) | (chunk, 0) => chunk,
        (ruled, most) => ruled.min(most),
    };
    let transfer = shape.op & (ops::READ | ops::WRITE) != 0;
    let longer = shape.length > u64::from(chunk) && i64::try_from(shape.offset).is_ok();
    let splits = chunk != 0 && transfer && longer && passage.shortened().is_none();
    passage
        .chunk
        .store(if splits { chunk } else { 0 }, Ordering::Relaxed);
    let depth = set.split_depth.load(Ordering::Relaxed).max(1);
    passage.depth.store(depth, Ordering::Relaxed);
    splits
}

impl crate::settings::Settings {
    /// Whether the split is about a request of that origin.
    fn split_sees(&self, caller: Caller) -> bool {
        sees(
            self.split_matching.load(Ordering::Relaxed),
            self.split_process.load(Ordering::Relaxed),
            caller,
        )
    }

    /// Whether the timeout is about a request of that origin.
    fn timeout_sees(&self, caller: Caller) -> bool {
        sees(
            self.timeout_matching.load(Ordering::Relaxed),
            self.timeout_process.load(Ordering::Relaxed),
            caller,
        )
    }
}
