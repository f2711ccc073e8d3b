//! The order in which drivers take locks, as Driver Verifier's deadlock detection watches it.
//!
//! Two threads that take the same two locks in opposite orders will one day wait for each other. One thread doing both, one
//! after the other, is enough to see it.

use super::thread;
use crate::sched::Lock;
use crate::verify;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Each lock, with those that were taken while it was held.
static AFTER: Lock<BTreeMap<usize, BTreeSet<usize>>> = Lock::new(BTreeMap::new());
/// Whether there is anything in [`AFTER`]: most memory that is freed never held a lock.
static ANY: AtomicBool = AtomicBool::new(false);

/// The calling thread is about to take `lock` while it holds the locks of `held`.
pub(super) fn acquiring(held: &[usize], lock: usize) {
    let mut after = AFTER.lock();
    for before in held.iter().filter(|before| **before != lock) {
        if leads(&after, lock, *before) {
            drop(after);
            verify::violation(
                "NT-LOCK-08",
                "two locks are taken in one order here and were taken in the other order before: two threads \
                 that do so at the same time wait for each other for ever",
            );
        }
        after.entry(*before).or_default().insert(lock);
    }
    ANY.store(true, Ordering::Relaxed);
}

/// The calling thread is about to take a lock it will wait for: a wait lock, a fast mutex. `waits` is false where it only
/// tries to.
pub fn acquire_waitable(lock: usize, waits: bool) {
    if !verify::settings().verifier_on {
        return;
    }
    let mut held = thread::current().waitable.lock();
    let before = held.clone();
    held.push(lock);
    drop(held);
    if waits && !before.is_empty() {
        acquiring(&before, lock);
    }
}

/// The calling thread gives such a lock back, or did not get it.
pub fn release_waitable(lock: usize) {
    if !verify::settings().verifier_on {
        return;
    }
    let mut held = thread::current().waitable.lock();
    if let Some(position) = held.iter().rposition(|other| *other == lock) {
        held.remove(position);
    }
}

/// Whether `to` was ever taken, directly or through other locks, while `from` was held.
fn leads(after: &BTreeMap<usize, BTreeSet<usize>>, from: usize, to: usize) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(lock) = next.pop() {
        if lock == to {
            return true;
        }
        if seen.insert(lock) {
            next.extend(after.get(&lock).into_iter().flatten());
        }
    }
    false
}

/// Memory ends its life: what was a lock there is none any more.
pub fn forget(memory: Range<usize>) {
    if !ANY.load(Ordering::Relaxed) {
        return;
    }
    let mut after = AFTER.lock();
    after.retain(|lock, _| !memory.contains(lock));
    for later in after.values_mut() {
        later.retain(|lock| !memory.contains(lock));
    }
}
