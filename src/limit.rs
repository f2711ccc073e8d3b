//! The in-flight limit, and the backlog of what waits for it: a manual queue, first in, first out.

use core::sync::atomic::Ordering;

use ferry_abi::control::{EventKind, Place};
use wdf::{
    clock::Instant,
    cx::{Cancel, Cx, Io, Work},
    device::Device,
    request::{Any, Canceled, Disposition, Request},
};

use crate::{
    attention, device::Crossing, end, forward, observe, order::Waits, passage::Passage, scope::sees,
};

/// The right to send one request: it is counted as forwarded already. Used up by a send, or given back. It may bring a journey for a
/// transfer that goes down in chunks.
#[must_use]
pub(crate) struct Admitted {
    journey: Option<u32>,
}

impl Admitted {
    /// Nothing is sent after all.
    pub(crate) fn give_back(self, device: &Crossing) {
        self.no_journey(device);
        device.counters.forwarded.uncount();
    }

    /// It goes down whole.
    pub(crate) fn no_journey(self, device: &Crossing) {
        if let Some(journey) = self.journey {
            device.journeys.unclaim(journey);
        }
    }

    /// The journey, its number plus one.
    pub(crate) const fn journey(&self) -> Option<u32> {
        self.journey
    }
}

impl Crossing {
    /// Lets one more go down, if the limit has room for it or does not see it.
    ///
    /// What is forwarded and not completed is below. The count that admits is the one that is compared, so that two of these never
    /// take the same room; a completion in between only makes more.
    ///
    /// With `splits` it comes with a journey, or not at all.
    pub(crate) fn admit(&self, limited: bool, splits: bool) -> Option<Admitted> {
        let journey = if splits {
            Some(self.journeys.claim()?)
        } else {
            None
        };
        let limit = self.settings.limit.load(Ordering::Acquire);
        let room = if limited && limit != 0 {
            self.counters.forwarded.count_if(|forwarded| {
                forwarded.saturating_sub(self.counters.completed.get()) < u64::from(limit)
            })
        } else {
            self.counters.forwarded.count();
            true
        };
        if room {
            return Some(Admitted { journey });
        }
        if let Some(journey) = journey {
            self.journeys.unclaim(journey);
        }
        None
    }

    /// As [`admit`](Self::admit), for one that has waited: with a journey if there may be a use for one.
    pub(crate) fn admit_waiting(&self, limited: bool) -> Option<Admitted> {
        let splits = self.attention.has(attention::SPLIT | attention::RULES);
        self.admit(limited, splits)
    }

    /// Whether the limit sees that request.
    pub(crate) fn is_limited(&self, passage: &Passage) -> bool {
        let set = &self.settings;
        set.limit.load(Ordering::Acquire) != 0
            && passage.caller().is_some_and(|caller| {
                sees(
                    set.limit_matching.load(Ordering::Relaxed),
                    set.limit_process.load(Ordering::Relaxed),
                    caller,
                )
            })
    }

    /// Whether one more could go down. Stale at once.
    fn has_room(&self) -> bool {
        let limit = self.settings.limit.load(Ordering::Acquire);
        limit == 0 || self.counters.below() < u64::from(limit)
    }
}

/// Puts the request into the backlog, where [`Crossing::enter`] has noted it.
pub(crate) fn keep<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Any>,
) -> Disposition<'r> {
    device.counters.backlogged.count();
    observe::note(
        cx,
        device,
        request.context::<Passage>(),
        Place::Backlog,
        EventKind::Backlogged,
    );
    device.backlogged.fetch_add(1, Ordering::AcqRel);
    match request.forward(cx, &device.backlog) {
        Ok(gone) => {
            // Room may have come, or the device begun to go, between the decision and the arrival.
            if device.has_room() || device.is_leaving() {
                device.pump.wake();
            }
            gone
        }
        Err((request, _)) => {
            // The queue is purged: the device is going.
            device.backlogged.fetch_sub(1, Ordering::AcqRel);
            device.counters.backlogged.uncount();
            end::give_up(cx.completing(), device, request, Some(Waits::Backlog))
        }
    }
}

/// `EvtIoCanceledOnQueue` of the backlog.
pub(crate) fn canceled<'r>(
    cx: &mut Cx<'_, Cancel>,
    device: &Device<Crossing>,
    request: Canceled<'r, Any>,
) -> Disposition<'r> {
    device.backlogged.fetch_sub(1, Ordering::AcqRel);
    end::canceled(cx.completing(), device, request, Some(Waits::Backlog))
}

/// Sends from the backlog while the limit has room. Only the pump calls it. A completion below wakes the pump again.
pub(crate) fn drain(cx: &mut Cx<'_, Work>, device: &Device<Crossing>) -> Option<Instant> {
    while device.backlogged.load(Ordering::Acquire) != 0 && !device.is_leaving() {
        let Some(one) = device.admit_waiting(true) else {
            break;
        };
        let mut admitted = Some(one);
        let taken = device.backlog.retrieve_next(cx, |cx, request| {
            device.backlogged.fetch_sub(1, Ordering::AcqRel);
            match admitted.take() {
                Some(admitted) => {
                    forward::waited(cx, device, request, admitted, Some(Waits::Backlog))
                }
                None => end::give_up(cx.completing(), device, request, Some(Waits::Backlog)),
            }
        });
        if let Some(unused) = admitted.take() {
            unused.give_back(device);
            // Its keeper may have put one there and found no room, because of the right just given back. One that puts it there after
            // this finds room, and wakes the pump.
            if taken.is_err() || device.backlog.counts().0 == 0 {
                break;
            }
        }
    }
    None
}
