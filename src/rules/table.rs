//! A table of rules that one writes and many read, in atomic words: a reader that meets a writer reads nonsense and notices.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use zerocopy::{FromZeros, transmute};

use super::{ROOM, Verdict};

/// Words of a rule.
const WORDS: usize = size_of::<Verdict>() / size_of::<u64>();

/// Room for one rule.
#[derive(FromZeros)]
#[repr(transparent)]
pub(super) struct Slot([AtomicU64; WORDS]);

impl Slot {
    /// The operations it is about: the upper half of its first word.
    pub(super) fn ops(&self) -> u32 {
        let [first, ..] = &self.0;
        let [_, _, _, _, a, b, c, d] = first.load(Ordering::Relaxed).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    pub(super) fn read(&self) -> Verdict {
        let words = self.0.each_ref().map(|word| word.load(Ordering::Relaxed));
        transmute!(words)
    }

    fn write(&self, rule: Verdict) {
        let words: [u64; WORDS] = transmute!(rule);
        for (to, word) in self.0.iter().zip(words) {
            to.store(word, Ordering::Relaxed);
        }
    }
}

/// Rules in the order they are tried.
#[derive(FromZeros)]
pub(super) struct Table {
    count: AtomicU32,
    slots: [Slot; ROOM],
}

impl Table {
    pub(super) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Its rules.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        let count = usize::try_from(self.count()).unwrap_or(ROOM);
        self.slots.iter().take(count)
    }

    /// Other rules instead. Nobody may be reading, or must notice.
    pub(super) fn fill(&self, rules: impl Iterator<Item = Verdict>) {
        let mut count = 0u32;
        for (slot, rule) in self.slots.iter().zip(rules) {
            slot.write(rule);
            count = count.saturating_add(1);
        }
        self.count.store(count, Ordering::Relaxed);
    }
}
