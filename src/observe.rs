//! Observation of single requests: an entry in the table of what is in flight, its latencies, its events. Nothing here costs anything while
//! nobody observes, and nothing here owns a request: whoever does says what happens to it.

use core::sync::atomic::{AtomicU64, Ordering};

use ferry_abi::{
    Message,
    control::{Event, EventKind, InFlight, Measure, Place},
};
use wdf::{
    Status,
    clock::Stamp,
    cx::{Anywhere, Cx, Place as AtPlace},
};
use zerocopy::{FromZeros, transmute};

use crate::{Ferry, device::Crossing, passage::Passage, rules::Question, telemetry};

/// Requests that can be in the table at once.
const SLOTS: usize = 512;
/// Words of an entry.
const WORDS: usize = size_of::<InFlight>() / size_of::<u64>();

/// An entry of the table, an [`InFlight`] word by word. Written by the owner of its request; free entries are marked in the map.
#[derive(FromZeros)]
#[repr(transparent)]
struct Slot([AtomicU64; WORDS]);

impl Slot {
    fn read(&self) -> InFlight {
        let words = self.0.each_ref().map(|word| word.load(Ordering::Acquire));
        transmute!(words)
    }

    fn write(&self, entry: InFlight) {
        let words: [u64; WORDS] = transmute!(entry);
        for (to, word) in self.0.iter().zip(words) {
            to.store(word, Ordering::Release);
        }
    }
}

/// What is in flight of a device. All zero: nothing.
#[derive(FromZeros)]
pub(crate) struct Table {
    /// Number of the last observed request.
    last: AtomicU64,
    /// One bit for each slot: taken.
    taken: [AtomicU64; SLOTS / 64],
    slots: [Slot; SLOTS],
}

impl Table {
    /// A free slot, taken; its number plus one.
    fn take(&self) -> Option<u32> {
        for (at, taken) in self.taken.iter().enumerate() {
            let mut free = 0;
            let take = |map: u64| {
                free = map.trailing_ones();
                (free < u64::BITS).then(|| map | 1u64.wrapping_shl(free))
            };
            if taken
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, take)
                .is_ok()
            {
                let first = u32::try_from(at).ok()?.checked_mul(u64::BITS)?;
                return first.checked_add(free)?.checked_add(1);
            }
        }
        None
    }

    fn free(&self, number: u32) {
        let Some(at) = number.checked_sub(1) else {
            return;
        };
        let word = usize::try_from(at / u64::BITS).unwrap_or(SLOTS);
        if let Some(taken) = self.taken.get(word) {
            taken.fetch_and(!1u64.wrapping_shl(at % u64::BITS), Ordering::AcqRel);
        }
    }

    fn slot(&self, number: u32) -> Option<&Slot> {
        self.slots
            .get(usize::try_from(number.checked_sub(1)?).ok()?)
    }

    /// The entries in use. One that changes meanwhile is given as it was or as it is.
    pub(crate) fn entries(&self) -> impl Iterator<Item = InFlight> {
        self.slots
            .iter()
            .zip(0u32..)
            .filter(|(_, at)| {
                let word = usize::try_from(at / u64::BITS).unwrap_or(SLOTS);
                self.taken.get(word).is_some_and(|taken| {
                    taken.load(Ordering::Acquire) & 1u64.wrapping_shl(at % u64::BITS) != 0
                })
            })
            .map(|(slot, _)| slot.read())
            .filter(|entry| entry.request != 0)
    }
}

/// A request has arrived, and its device is observed.
pub(crate) fn begin(
    cx: &mut Cx<'_, Anywhere>,
    device: &Crossing,
    passage: &Passage,
    question: &Question<'_>,
) {
    let now = Stamp::now().units();
    passage.arrived.store(now, Ordering::Relaxed);
    let Some(ferry) = cx.driver::<Ferry>() else {
        return;
    };
    let table = &device.shelf.table;
    let Some(number) = table.take() else {
        // Its events are lost.
        ferry.events.lose();
        return;
    };
    let request = table.last.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    let handle = question.origin.file;
    if let Some(slot) = table.slot(number) {
        slot.write(InFlight {
            header: InFlight::expected(),
            request,
            arrived: now,
            since: now,
            handle: handle.map_or(0, |handle| handle.scrambled(ferry.secret)),
            offset: question.offset,
            op: question.op,
            code: question.code,
            length: u32::try_from(question.length).unwrap_or(u32::MAX),
            process: question.origin.caller.process,
            place: Place::Handler.code(),
            rule: 0,
            reserved: 0,
        });
    }
    passage.slot.store(number, Ordering::Release);
    tell(cx, device, passage, EventKind::Arrived);
}

/// An observed request goes to another place. Before it goes: afterwards it may be somebody else's.
pub(crate) fn note(
    cx: &mut Cx<'_, impl AtPlace>,
    device: &Crossing,
    passage: Option<&Passage>,
    place: Place,
    kind: EventKind,
) {
    if let Some(passage) = passage.filter(|passage| passage.slot.load(Ordering::Relaxed) != 0) {
        moved(cx.anywhere(), device, passage, place, kind);
    }
}

fn moved(
    cx: &mut Cx<'_, Anywhere>,
    device: &Crossing,
    passage: &Passage,
    place: Place,
    kind: EventKind,
) {
    let number = passage.slot.load(Ordering::Acquire);
    if let Some(slot) = device.shelf.table.slot(number) {
        let old = slot.read();
        slot.write(InFlight {
            since: Stamp::now().units(),
            place: place.code(),
            rule: passage.rule().map_or(old.rule, |(rule, _)| rule),
            ..old
        });
    }
    tell(cx, device, passage, kind);
}

/// An observed request ends: its owner is about to complete it, or to forget it.
pub(crate) fn end(
    cx: &mut Cx<'_, impl AtPlace>,
    device: &Crossing,
    passage: Option<&Passage>,
    kind: EventKind,
    status: Status,
    information: usize,
) {
    if let Some(passage) = passage.filter(|passage| passage.arrived.load(Ordering::Relaxed) != 0) {
        ended(cx.anywhere(), device, passage, kind, (status, information));
    }
}

fn ended(
    cx: &mut Cx<'_, Anywhere>,
    device: &Crossing,
    passage: &Passage,
    kind: EventKind,
    outcome: (Status, usize),
) {
    let number = passage.slot.swap(0, Ordering::AcqRel);
    if let Some(slot) = device.shelf.table.slot(number) {
        let entry = slot.read();
        if kind == EventKind::Completed {
            measure(device, passage, entry.op);
        }
        publish(cx, device, &entry, kind, outcome);
        device.shelf.table.free(number);
    }
    passage.arrived.store(0, Ordering::Relaxed);
}

/// Its latencies.
fn measure(device: &Crossing, passage: &Passage, op: u32) {
    let now = Stamp::now().units();
    let sent = passage.sent.load(Ordering::Relaxed);
    let below = now.saturating_sub(sent);
    let inside = sent.saturating_sub(passage.arrived.load(Ordering::Relaxed));
    let latencies = &device.shelf.latencies;
    if let Some(latency) = latencies.of(op, Measure::Below) {
        latency.record(below);
    }
    if let Some(latency) = latencies.of(op, Measure::Inside) {
        latency.record(inside);
    }
}

fn tell(cx: &mut Cx<'_, Anywhere>, device: &Crossing, passage: &Passage, kind: EventKind) {
    let number = passage.slot.load(Ordering::Relaxed);
    if let Some(entry) = device.shelf.table.slot(number).map(Slot::read) {
        publish(cx, device, &entry, kind, (Status::SUCCESS, 0));
    }
}

fn publish(
    cx: &mut Cx<'_, Anywhere>,
    device: &Crossing,
    entry: &InFlight,
    kind: EventKind,
    (status, information): (Status, usize),
) {
    let Some(ferry) = cx.driver::<Ferry>() else {
        return;
    };
    let event = Event {
        header: Event::expected(),
        number: 0,
        time: Stamp::now().units(),
        request: entry.request,
        handle: entry.handle,
        offset: entry.offset,
        device: device.id.get(),
        kind: kind.code(),
        op: entry.op,
        code: entry.code,
        length: entry.length,
        process: entry.process,
        rule: entry.rule,
        status: status.raw().cast_unsigned(),
        information: u32::try_from(information).unwrap_or(u32::MAX),
        reserved: 0,
        reserved2: 0,
    };
    telemetry::request(&event);
    if ferry.events.push(cx, event) {
        device.pump.wake();
    }
}
