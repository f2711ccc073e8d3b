//! Holding: requests wait in the held queue until they are released, grow too old, their rule ends, or they are canceled there.

use core::{
    cell::Cell,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use ferry_abi::control::{EventKind, Place};
use wdf::{
    clock::Instant,
    cx::{Cancel, Cx, Io, Work},
    device::Device,
    queue::Found,
    request::{Any, Canceled, Disposition, Request},
};
use zerocopy::FromZeros;

use crate::{
    device::Crossing, end, forward, limit::Admitted, observe, order::Waits, passage::Passage,
    rules::Verdict,
};

/// What an operator lets go: so many of those that waited when he said so. All zero: nothing.
#[derive(FromZeros)]
pub(crate) struct Grant {
    /// How many.
    count: AtomicU32,
    unused: AtomicU32,
    /// The youngest that was meant.
    ticket: AtomicU64,
}

impl Grant {
    /// `count` more, of those up to `ticket`. The caller wakes the pump.
    pub(crate) fn give(&self, count: u32, ticket: u64) {
        self.ticket.store(ticket, Ordering::Release);
        self.count.fetch_add(count, Ordering::AcqRel);
    }

    /// None.
    pub(crate) fn take_back(&self) {
        self.count.store(0, Ordering::Release);
    }

    fn count(&self) -> u32 {
        self.count.load(Ordering::Acquire)
    }

    /// Whether a request of that ticket is meant.
    fn means(&self, ticket: u64) -> bool {
        self.count() != 0 && ticket <= self.ticket.load(Ordering::Acquire)
    }

    /// Uses one up.
    fn take(&self) {
        let take = |count: u32| count.checked_sub(1);
        _ = self
            .count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
    }

    /// Nobody waits any more of those that were meant: `seen` of them were still to go. More may have been given since.
    fn forget(&self, seen: u32) {
        let take = |count: u32| count.checked_sub(seen);
        if seen != 0 {
            _ = self
                .count
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        }
    }
}

/// Puts the request into the held queue, where [`Crossing::enter`] has noted it: until `due`, or until the rule that holds it ends; without
/// one, only until nothing of its handle is before it and `due` has come.
pub(crate) fn keep<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Any>,
    due: Instant,
    rule: Option<&Verdict>,
) -> Disposition<'r> {
    if let Some(passage) = request.context::<Passage>() {
        passage.keep(due, rule);
        let ticket = device.tickets.fetch_add(1, Ordering::AcqRel);
        passage.ticket.store(ticket, Ordering::Release);
    }
    device.counters.held.count();
    observe::note(
        cx,
        device,
        request.context::<Passage>(),
        Place::Held,
        EventKind::Held,
    );
    match request.forward(cx, &device.held) {
        Ok(gone) => {
            // The rule may have ended, what was before it may have gone, or the device begun to go, between the decision and the arrival.
            let lasts = rule.is_some_and(|rule| device.shelf.rules.lives((rule.id, rule.tally)));
            if lasts && !device.is_leaving() {
                device.alarm.ask(cx, due);
            } else {
                device.pump.wake();
            }
            gone
        }
        Err((request, _)) => {
            // The queue is purged: the device is going.
            device.counters.held.uncount();
            end::give_up(cx.completing(), device, request, Some(Waits::Held))
        }
    }
}

/// `EvtIoCanceledOnQueue` of the held queue: canceled by its program, by the closing of its handle, or by a purge.
pub(crate) fn canceled<'r>(
    cx: &mut Cx<'_, Cancel>,
    device: &Device<Crossing>,
    request: Canceled<'r, Any>,
) -> Disposition<'r> {
    end::canceled(cx.completing(), device, request, Some(Waits::Held))
}

/// Why a held request may go.
#[derive(Clone, Copy)]
enum Leave {
    /// It is too old, or nothing holds it.
    ByItself,
    /// The operator let go of what its rule holds.
    ItsRules,
    /// The operator let go of what is held.
    Anybodys,
}

impl Crossing {
    /// Why a held request may go now; `None`: it may not.
    fn may_leave(&self, passage: &Passage, now: Instant) -> Option<Leave> {
        let lives = |rule: &(u32, u32)| self.shelf.rules.lives(*rule);
        let ticket = passage.ticket.load(Ordering::Acquire);
        match passage.rule() {
            _ if passage.due() <= now => Some(Leave::ByItself),
            Some(rule) if !lives(&rule) => Some(Leave::ByItself),
            Some((_, tally))
                if self
                    .shelf
                    .rules
                    .released(tally)
                    .is_some_and(|grant| grant.means(ticket)) =>
            {
                Some(Leave::ItsRules)
            }
            _ if self.released.means(ticket) => Some(Leave::Anybodys),
            _ => None,
        }
    }
}

/// Sends what may go, oldest first and each handle in its order, and says when the next one will be too old. Only the pump calls it.
pub(crate) fn drain(cx: &mut Cx<'_, Work>, device: &Device<Crossing>) -> Option<Instant> {
    loop {
        if device.is_leaving() {
            return None;
        }
        let now = Instant::now();
        let scan = device.scans.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let granted = device.released.count();
        let mut next: Option<Instant> = None;
        let mut meant = false;
        let admitted = Cell::new(None::<Admitted>);

        let why = Cell::new(Leave::ByItself);
        let wanted = |found: &Found| {
            let Some(passage) = found.context::<Passage>() else {
                return false;
            };
            let entry = passage.order.load(Ordering::Acquire);
            meant |= device
                .released
                .means(passage.ticket.load(Ordering::Acquire));
            let behind = device.is_behind(entry, scan);
            if !behind && let Some(leave) = device.may_leave(passage, now) {
                // One that was let go before the search began anew left its right here.
                let right = admitted
                    .take()
                    .or_else(|| device.admit_waiting(device.is_limited(passage)));
                // Last: a device that goes has said so before it ends its rules, and its queue is purged, not sent.
                let goes = right.is_some() && !device.is_leaving();
                admitted.set(right);
                if goes {
                    why.set(leave);
                    return true;
                }
            } else if !behind {
                let due = passage.due();
                next = Some(next.map_or(due, |next| next.min(due)));
            }
            device.block(entry, scan);
            false
        };
        let taken = device.held.retrieve_first(cx, wanted, |cx, request| {
            match (
                why.get(),
                request.context::<Passage>().and_then(Passage::rule),
            ) {
                (Leave::ByItself, _) => {}
                (Leave::ItsRules, Some((_, tally))) => {
                    if let Some(grant) = device.shelf.rules.released(tally) {
                        grant.take();
                    }
                }
                _ => device.released.take(),
            }
            match admitted.take() {
                Some(admitted) => forward::waited(cx, device, request, admitted, Some(Waits::Held)),
                None => end::give_up(cx.completing(), device, request, Some(Waits::Held)),
            }
        });
        if let Some(unused) = admitted.take() {
            unused.give_back(device);
            // It was canceled when it was about to go. Whoever found no room because of this right is looked at again.
            device.pump.wake();
        }
        if !matches!(taken, Ok(true)) {
            if !meant {
                // Nothing is left that the release could have meant.
                device.released.forget(granted);
            }
            return next;
        }
    }
}
