//! Inverted calls: controllers pend waits, and each is completed with events its handle has not had.
//!
//! The waits are in the control device's `watchers` queue, which owns them until one is taken out to be answered, or canceled there. One answers
//! at a time, so that the waits of a handle get its events in order: whoever comes meanwhile has the one at it look again.

use core::sync::atomic::{AtomicU32, Ordering};

use ferry_abi::control::{Event, Events};
use wdf::{
    Status,
    context::{Context, TypeInfo},
    cx::{CanComplete, Cancel, Cx, IoPassive, Passive},
    device::Device,
    queue::Found,
    request::{
        Any, AnyOf, Canceled, Control, Disposition, Ioctl, Request, RequestContext, Written,
    },
};
use zerocopy::IntoBytes;

use crate::{Ferry, control::Desk, events::Ring};

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const AGAIN: u8 = 2;

/// Events in one answer at most.
const BATCH: usize = 16;

/// What is noted on a wait.
#[derive(Default)]
pub(crate) struct Waiting {
    /// Which observer it is of.
    observer: AtomicU32,
}

impl Context for Waiting {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<Waiting> = TypeInfo::new(c"Waiting");
        &INFO
    }
}

impl RequestContext for Waiting {}

/// Pends a wait of an observer.
pub(crate) fn pend<'r>(
    cx: &mut Cx<'_, IoPassive>,
    ferry: &Ferry,
    desk: &Device<Desk>,
    request: Request<'r, Ioctl>,
    observer: u32,
) -> Disposition<'r> {
    if let Some(waiting) = request.context::<Waiting>() {
        waiting.observer.store(observer, Ordering::Release);
    }
    let pended = &ferry.events.pended;
    // Before it is there: an event that comes from here on wakes a pump, or is found below.
    pended.fetch_add(1, Ordering::SeqCst);
    match request.any().forward(cx, &desk.watchers) {
        Ok(gone) => {
            answer_all(cx, ferry, desk);
            gone
        }
        Err((request, status)) => {
            pended.fetch_sub(1, Ordering::SeqCst);
            request.complete_empty(cx, status)
        }
    }
}

/// `EvtIoCanceledOnQueue` of the watchers queue.
pub(crate) fn canceled<'r>(
    cx: &mut Cx<'_, Cancel>,
    _desk: &Device<Desk>,
    request: Canceled<'r, Any>,
) -> Disposition<'r> {
    if let Some(ferry) = cx.driver::<Ferry>() {
        ferry.events.pended.fetch_sub(1, Ordering::SeqCst);
    }
    request.complete(cx, Status::CANCELLED)
}

/// Answers every wait there is something for.
pub(crate) fn answer_all(cx: &mut Cx<'_, impl CanComplete + Passive>, ferry: &Ferry, desk: &Desk) {
    let ring = &ferry.events;
    if ring.gate.swap(AGAIN, Ordering::AcqRel) != IDLE {
        return;
    }
    loop {
        // Not a store: what a wake before this was about must be seen below.
        ring.gate.swap(RUNNING, Ordering::AcqRel);
        let wanted = |found: &Found| {
            found
                .context::<Waiting>()
                .is_some_and(|waiting| ring.has_more(waiting.observer.load(Ordering::Acquire)))
        };
        while let Ok(true) = desk.watchers.retrieve_first(cx, wanted, |cx, request| {
            ring.pended.fetch_sub(1, Ordering::SeqCst);
            answer(cx, ring, request)
        }) {}
        if ring
            .gate
            .compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
        {
            return;
        }
    }
}

/// Ends every wait: the last filter device is gone.
pub(crate) fn end_all(cx: &mut Cx<'_, impl CanComplete>, ferry: &Ferry, desk: &Desk) {
    while let Ok(true) = desk.watchers.retrieve_next(cx, |cx, request| {
        ferry.events.pended.fetch_sub(1, Ordering::SeqCst);
        request.complete_empty(cx, Status::CANCELLED)
    }) {}
}

fn answer<'r>(
    cx: &mut Cx<'_, impl CanComplete>,
    ring: &Ring,
    request: Request<'r, Any>,
) -> Disposition<'r> {
    let observer = request
        .context::<Waiting>()
        .map_or(u32::MAX, |waiting| waiting.observer.load(Ordering::Acquire));
    match request.classify() {
        AnyOf::Ioctl(mut request) => match fill(cx, ring, observer, &mut request) {
            Ok(written) => request.complete_written(cx, written),
            Err(status) => request.complete_empty(cx, status),
        },
        // Only controls are pended.
        other => other
            .any()
            .complete_empty(cx, Status::INVALID_DEVICE_REQUEST),
    }
}

/// Whether a wait with so much room could be answered.
pub(crate) const fn has_room(bytes: usize) -> bool {
    bytes >= size_of::<Events>().saturating_add(size_of::<Event>())
}

fn fill<'r>(
    cx: &mut Cx<'_, impl CanComplete>,
    ring: &Ring,
    observer: u32,
    request: &mut Request<'r, Ioctl>,
) -> Result<Written<'r>, Status> {
    let Control::Buffered(mut buffer) = request.buffers()? else {
        return Err(Status::INVALID_DEVICE_REQUEST);
    };
    let mut output = buffer.output();
    let room = output
        .room()
        .saturating_sub(size_of::<Events>())
        .checked_div(size_of::<Event>())
        .unwrap_or(0)
        .min(BATCH);
    let mut batch = [None; BATCH];
    let (events, _) = batch.split_at_mut_checked(room).unwrap_or_default();
    let (count, lost) = ring.take(cx.anywhere(), observer, events);
    let first = events
        .iter()
        .flatten()
        .next()
        .map_or(0, |event| event.number);
    let header = Events::new(lost, u32::try_from(count).unwrap_or(0), 0, first);
    let mut whole = output.append(header.as_bytes());
    for event in events.iter().flatten() {
        whole &= output.append(event.as_bytes());
    }
    if whole {
        Ok(output.written())
    } else {
        Err(Status::BUFFER_TOO_SMALL)
    }
}
