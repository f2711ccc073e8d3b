//! The event ring of the driver, and who has read how far.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

use ferry_abi::control::Event;
use wdf::{
    Status,
    cx::{Anywhere, Cx, Setup},
    lock::SpinLock,
    zeroed::Zeroed,
};
use zerocopy::{FromZeros, transmute};

/// Events that are kept.
const KEPT: u64 = 1024;
/// Handles that can observe at the same time.
pub(crate) const OBSERVERS: usize = 16;
/// Words of an event.
const WORDS: usize = size_of::<Event>() / size_of::<u64>();

#[derive(FromZeros)]
#[repr(transparent)]
struct Slot([AtomicU64; WORDS]);

#[derive(FromZeros)]
#[repr(transparent)]
struct Slots([Slot; 1024]);
const _: () = assert!(KEPT == 1024);

/// The ring. Written and read under its lock, which only observed requests and observers take.
pub(crate) struct Ring {
    lock: SpinLock<()>,
    slots: Zeroed<Slots>,
    /// Number of the next event; the first is 1.
    next: AtomicU64,
    /// Number of the next event each observer has not had.
    cursors: [AtomicU64; OBSERVERS],
    /// Events nobody could be told of.
    missed: AtomicU64,
    /// Waits that are pended.
    pub(crate) pended: AtomicU32,
    /// Who answers them: see [`crate::watch`].
    pub(crate) gate: AtomicU8,
}

impl Ring {
    pub(crate) fn new(cx: &Cx<'_, Setup>) -> Result<Self, Status> {
        Ok(Self {
            lock: SpinLock::new(())?,
            slots: Zeroed::of_driver(cx, *b"Feve")?,
            next: AtomicU64::new(1),
            cursors: [const { AtomicU64::new(0) }; OBSERVERS],
            missed: AtomicU64::new(0),
            pended: AtomicU32::new(0),
            gate: AtomicU8::new(0),
        })
    }

    /// An event that has no place: the numbers jump, so every observer counts it as lost.
    pub(crate) fn lose(&self) {
        self.missed.fetch_add(1, Ordering::Relaxed);
    }

    fn slot(&self, number: u64) -> Option<&Slot> {
        let at = usize::try_from(number % KEPT).ok()?;
        self.slots.0.get(at)
    }

    /// Adds an event, instead of the oldest one. True if somebody waits for it.
    pub(crate) fn push(&self, cx: &mut Cx<'_, Anywhere>, event: Event) -> bool {
        self.lock.with(cx, |()| {
            let jump = self.missed.swap(0, Ordering::Relaxed);
            let number = self.next.load(Ordering::Relaxed).saturating_add(jump);
            let words: [u64; WORDS] = transmute!(Event { number, ..event });
            if let Some(slot) = self.slot(number) {
                for (to, word) in slot.0.iter().zip(words) {
                    to.store(word, Ordering::Relaxed);
                }
            }
            self.next.store(number.saturating_add(1), Ordering::Release);
        });
        self.pended.load(Ordering::SeqCst) != 0
    }

    /// An observer begins with the next event.
    pub(crate) fn begin(&self, observer: usize) {
        if let Some(cursor) = self.cursors.get(observer) {
            cursor.store(self.next.load(Ordering::Acquire), Ordering::Release);
        }
    }

    /// Whether there are events an observer has not had.
    pub(crate) fn has_more(&self, observer: u32) -> bool {
        usize::try_from(observer)
            .ok()
            .and_then(|at| self.cursors.get(at))
            .is_some_and(|cursor| {
                cursor.load(Ordering::Acquire) < self.next.load(Ordering::Acquire)
            })
    }

    /// Gives an observer the next events, as many as `batch` has room for: how many, and how many before them were lost.
    /// One at a time for each observer: see [`crate::watch`].
    pub(crate) fn take(
        &self,
        cx: &mut Cx<'_, Anywhere>,
        observer: u32,
        batch: &mut [Option<Event>],
    ) -> (usize, u64) {
        let cursor = usize::try_from(observer)
            .ok()
            .and_then(|at| self.cursors.get(at));
        let Some(cursor) = cursor else { return (0, 0) };
        self.lock.with(cx, |()| {
            let next = self.next.load(Ordering::Relaxed);
            let from = cursor.load(Ordering::Relaxed);
            let mut number = from.max(next.saturating_sub(KEPT));
            let mut given = 0usize;
            let mut room = batch.iter_mut();
            while number < next {
                let event = self.slot(number).map(|slot| {
                    let words = slot.0.each_ref().map(|word| word.load(Ordering::Relaxed));
                    let event: Event = transmute!(words);
                    event
                });
                // A number nobody has: it was lost before it came here.
                if let Some(event) = event.filter(|event| event.number == number) {
                    let Some(place) = room.next() else { break };
                    *place = Some(event);
                    given = given.saturating_add(1);
                }
                number = number.saturating_add(1);
            }
            cursor.store(number, Ordering::Release);
            let passed = number.saturating_sub(from);
            let lost = passed.saturating_sub(u64::try_from(given).unwrap_or(passed));
            (given, lost)
        })
    }
}
