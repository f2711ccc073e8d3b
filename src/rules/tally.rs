//! How often a rule matched and acted, and the decisions that hang on it.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ferry_abi::control::CERTAIN;
use zerocopy::FromZeros;

use super::Verdict;
use crate::hold::Grant;

/// The counts of one rule. Free while `id` is 0.
#[derive(FromZeros)]
pub(super) struct Tally {
    id: AtomicU32,
    unused: AtomicU32,
    matched: AtomicU64,
    hits: AtomicU64,
    /// What of its held requests an operator lets go.
    pub(super) released: Grant,
}

impl Tally {
    /// Whether it counts for that rule.
    pub(super) fn is_of(&self, id: u32) -> bool {
        self.id.load(Ordering::Acquire) == id
    }

    /// Counts for a new rule.
    pub(super) fn begin(&self, id: u32) {
        self.matched.store(0, Ordering::Relaxed);
        self.hits.store(0, Ordering::Relaxed);
        self.released.take_back();
        self.id.store(id, Ordering::Release);
    }

    /// Its rule has ended: what it kept may go.
    pub(super) fn end(&self) {
        self.id.store(0, Ordering::Release);
    }

    pub(super) fn counts(&self) -> (u64, u64) {
        (
            self.matched.load(Ordering::Relaxed),
            self.hits.load(Ordering::Relaxed),
        )
    }

    /// Counts one request that meets the rule's conditions, and says whether the rule acts on it: by its number, nothing else.
    pub(super) fn acts(&self, rule: &Verdict) -> bool {
        let number = self
            .matched
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        if number.checked_rem(u64::from(rule.every.max(1))) != Some(0)
            || !drawn(rule.seed, number, rule.probability)
        {
            return false;
        }
        let more =
            |hits: u64| (rule.times == 0 || hits < rule.times).then_some(hits.saturating_add(1));
        self.hits
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }
}

/// Whether the request of that number is among `probability` parts of [`CERTAIN`]: the same for the same seed (the finaliser of `SplitMix64`).
fn drawn(seed: u64, number: u64, probability: u32) -> bool {
    let mut z = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    z.checked_rem(u64::from(CERTAIN))
        .is_some_and(|drawn| drawn < u64::from(probability))
}
