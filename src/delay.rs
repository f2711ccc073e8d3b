//! Parked requests: delayed until their time has come, or dropped until somebody cancels them. Their cancel handlers own them when a
//! cancellation wins; otherwise the pump takes them back and sends them.
//!
//! Three lists, because three things are asked of them: what keeps its place among the requests of its handle is in the order of
//! handles; what was delayed `free` is not; what was dropped has no time of its own.

use ferry_abi::control::{EventKind, Place};
use wdf::{
    Status,
    clock::Instant,
    cx::{CanComplete, Cancel, Cx, Io, Work},
    device::Device,
    parked_list::ParkedList,
    request::{Any, Canceled, Disposition, FileKey, OnCancel, ParkError, Request, Unparked},
};

use crate::{
    attention, device::Crossing, end, forward, limit::Admitted, observe, order::Waits,
    passage::Passage, rules::Verdict,
};

/// The parked requests of a device.
pub(crate) struct ParkedLists {
    /// Those that keep their place.
    pub(crate) kept: ParkedList<Any>,
    /// Those that do not.
    pub(crate) free: ParkedList<Any>,
    /// Those that were dropped.
    pub(crate) dropped: ParkedList<Any>,
}

impl ParkedLists {
    pub(crate) fn new() -> Result<Self, Status> {
        Ok(Self {
            kept: ParkedList::new()?,
            free: ParkedList::new()?,
            dropped: ParkedList::new()?,
        })
    }
}

/// Gets a delayed request that was canceled, and with it its place in the order.
struct Kept;
/// Gets a request without a place in the order that was canceled.
struct Loose;

impl OnCancel<Any> for Kept {
    type Device = Crossing;

    fn canceled<'r>(
        cx: &mut Cx<'_, Cancel>,
        device: &Device<Crossing>,
        request: Canceled<'r, Any>,
    ) -> Disposition<'r> {
        device.parked.kept.remove(cx, &request);
        end::canceled(cx.completing(), device, request, Some(Waits::Delayed))
    }
}

impl OnCancel<Any> for Loose {
    type Device = Crossing;

    fn canceled<'r>(
        cx: &mut Cx<'_, Cancel>,
        device: &Device<Crossing>,
        request: Canceled<'r, Any>,
    ) -> Disposition<'r> {
        if !device.parked.free.remove(cx, &request) {
            device.parked.dropped.remove(cx, &request);
        }
        end::canceled(cx.completing(), device, request, None)
    }
}

/// Parks the request until `due`, where [`Crossing::enter`] has noted it: in any case behind what its handle has parked already.
pub(crate) fn keep<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Any>,
    due: Instant,
    rule: Option<&Verdict>,
) -> Disposition<'r> {
    let handle = request.file_key();
    // None: the last one before it is being sent at this moment.
    let before = handle.and_then(|handle| device.parked.kept.last_due_of(cx, handle));
    let due = before.map_or(due, |before| before.max(due));
    device.counters.delayed.count();
    park::<Kept>(
        cx,
        device,
        request,
        &device.parked.kept,
        (due, rule),
        Some(Waits::Delayed),
    )
}

/// Parks the request until `due`, out of order.
pub(crate) fn free<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Any>,
    due: Instant,
    rule: &Verdict,
) -> Disposition<'r> {
    device.counters.delayed.count();
    park::<Loose>(
        cx,
        device,
        request,
        &device.parked.free,
        (due, Some(rule)),
        None,
    )
}

/// Parks the request until it is canceled, or until its rule ends.
pub(crate) fn drop<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Any>,
    rule: &Verdict,
) -> Disposition<'r> {
    device.counters.dropped.count();
    park::<Loose>(
        cx,
        device,
        request,
        &device.parked.dropped,
        (Instant::NEVER, Some(rule)),
        None,
    )
}

fn park<'r, C: OnCancel<Any, Device = Crossing>>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Any>,
    list: &ParkedList<Any>,
    (due, rule): (Instant, Option<&Verdict>),
    waits: Option<Waits>,
) -> Disposition<'r> {
    let dropped = due == Instant::NEVER;
    let handle = request.file_key();
    if let Some(passage) = request.context::<Passage>() {
        passage.keep(due, rule);
    }
    let (place, event) = if dropped {
        (Place::Dropped, EventKind::Dropped)
    } else {
        (Place::Delayed, EventKind::Delayed)
    };
    observe::note(cx, device, request.context::<Passage>(), place, event);
    match request.park::<C>() {
        Ok((parked, token)) => {
            // Not on the list: canceled already, and its handler has it.
            if list.insert(cx, token, due, handle) {
                if !dropped {
                    device.alarm.ask(cx, due);
                }
                let ended =
                    rule.is_some_and(|rule| !device.shelf.rules.lives((rule.id, rule.tally)));
                if ended {
                    device.make_due(cx);
                }
                if ended || device.is_leaving() {
                    device.pump.wake();
                }
            }
            parked
        }
        Err(ParkError::Canceled(request)) => end::canceled(cx.completing(), device, request, waits),
        Err(ParkError::NotParkable(request, status)) => {
            end::failed(cx.completing(), device, request, status, waits)
        }
    }
}

impl Crossing {
    /// A rule has ended: what is delayed in order goes at once, all of it, because one request cannot go before those it waits behind. The caller
    /// wakes the pump, which finds out itself what else the rule kept.
    pub(crate) fn make_due(&self, cx: &mut Cx<'_, impl wdf::cx::Place>) {
        self.parked.kept.make_due(cx, Instant::now());
    }
}

/// Sends what is due and says when the next one will be. Only the pump calls it.
pub(crate) fn drain(cx: &mut Cx<'_, Work>, device: &Device<Crossing>) -> Option<Instant> {
    if device.is_leaving() {
        // Parked after the flush of the removal had looked.
        flush(cx, device);
        return None;
    }
    if device.attention.has(attention::OWED) {
        device.attention.set(attention::OWED, false);
    }
    let (kept, free) = (&device.parked.kept, &device.parked.free);
    let next = [
        due(cx, device, kept, Some(Waits::Delayed)),
        due(cx, device, free, None),
    ];
    // What a rule that has ended kept beside the order.
    for list in [free, &device.parked.dropped] {
        let ended = |passage: &Passage| {
            passage
                .rule()
                .is_some_and(|rule| !device.shelf.rules.lives(rule))
        };
        while !list.is_empty(cx)
            && let Some(admitted) = admit(device)
        {
            let mut admitted = Some(admitted);
            let Some(token) = list.take_if(cx, ended) else {
                give_back(device, &mut admitted);
                break;
            };
            resume(cx, device, token, &mut admitted, None);
        }
    }
    next.into_iter().flatten().min()
}

/// The right to send one. If there is none, the next request that comes back from below wakes the pump, whether a handle's order says that
/// something waits or not.
fn admit(device: &Crossing) -> Option<Admitted> {
    device.admit_waiting(true).or_else(|| {
        device.attention.set(attention::OWED, true);
        // One may have come back in between.
        device.admit_waiting(true)
    })
}

fn give_back(device: &Crossing, admitted: &mut Option<Admitted>) {
    if let Some(unused) = admitted.take() {
        unused.give_back(device);
    }
}

/// Sends what of a list is due; when the next one will be.
fn due(
    cx: &mut Cx<'_, Work>,
    device: &Device<Crossing>,
    list: &ParkedList<Any>,
    waits: Option<Waits>,
) -> Option<Instant> {
    loop {
        let due = list.next_due(cx)?;
        if due > Instant::now() {
            return Some(due);
        }
        // No room below: the completion that makes some wakes the pump.
        let mut admitted = Some(admit(device)?);
        match list.take_due(cx, Instant::now()) {
            Some(token) => resume(cx, device, token, &mut admitted, waits),
            None => give_back(device, &mut admitted),
        }
    }
}

/// Takes a parked request back and sends it, unless its cancellation was first.
fn resume(
    cx: &mut Cx<'_, Work>,
    device: &Device<Crossing>,
    token: wdf::request::Parked<Any>,
    admitted: &mut Option<Admitted>,
    waits: Option<Waits>,
) {
    token.unpark(cx, |cx, request| match (request, admitted.take()) {
        (Unparked::Owned(request), Some(admitted)) => {
            forward::waited(cx, device, request, admitted, waits)
        }
        (Unparked::Owned(request), None) => end::give_up(cx.completing(), device, request, waits),
        (Unparked::Canceled(request), right) => {
            *admitted = right;
            end::canceled(cx.completing(), device, request, waits)
        }
    });
    give_back(device, admitted);
}

/// Ends every parked request: the device is going.
pub(crate) fn flush(cx: &mut Cx<'_, impl CanComplete>, device: &Crossing) {
    let parked = &device.parked;
    for (list, waits) in [
        (&parked.kept, Some(Waits::Delayed)),
        (&parked.free, None),
        (&parked.dropped, None),
    ] {
        while let Some(token) = list.take_any(cx) {
            token.unpark(cx, |cx, request| match request {
                Unparked::Owned(request) => end::give_up(cx.completing(), device, request, waits),
                Unparked::Canceled(request) => {
                    end::canceled(cx.completing(), device, request, waits)
                }
            });
        }
    }
}

/// Ends the parked requests of a handle that was closed.
pub(crate) fn close(cx: &mut Cx<'_, impl CanComplete>, device: &Crossing, handle: FileKey) {
    let parked = &device.parked;
    for (list, waits) in [
        (&parked.kept, Some(Waits::Delayed)),
        (&parked.free, None),
        (&parked.dropped, None),
    ] {
        while let Some(token) = list.take_of(cx, handle) {
            token.unpark(cx, |cx, request| match request {
                Unparked::Owned(request) => {
                    end::failed(cx.completing(), device, request, Status::CANCELLED, waits)
                }
                Unparked::Canceled(request) => {
                    end::canceled(cx.completing(), device, request, waits)
                }
            });
        }
    }
}
