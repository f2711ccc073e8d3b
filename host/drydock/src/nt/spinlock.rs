//! Spin locks in driver memory.
//!
//! A lock word is free (0) or says who holds it. A thread that finds it held sleeps here instead of spinning, which is the
//! same to drivers and lets one OS thread run many driver threads.

use super::abi::{Address, Field, Shared};
use super::lock_order;
use super::thread::{self, DISPATCH_LEVEL, Thread};
use crate::sched::{Event, Lock, ThreadId};
use crate::verify;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// KSPIN_LOCK.
#[repr(transparent)]
pub struct KspinLock(AtomicUsize);

// SAFETY: one atomic word.
#[expect(unsafe_code, reason = "a shared structure that is not made of fields")]
unsafe impl Shared for KspinLock {
    const NAME: &'static str = "KSPIN_LOCK";
}

impl KspinLock {
    /// A free lock, for the model's own use.
    pub const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }
}

impl Default for KspinLock {
    fn default() -> Self {
        Self::new()
    }
}

const CONTENDED: usize = 1;

fn word_of(thread: ThreadId) -> usize {
    (thread.0 as usize + 1) << 1
}

/// A lock a thread holds.
#[derive(Clone, Copy)]
pub struct Held {
    lock: Address<KspinLock>,
}

/// Who sleeps for which lock.
static SLEEPERS: Lock<BTreeMap<usize, VecDeque<Arc<Event>>>> = Lock::new(BTreeMap::new());

/// KeAcquireSpinLockAtDpcLevel: the caller is at DISPATCH_LEVEL.
pub fn acquire(lock: &KspinLock) {
    let me = thread::current();
    if me.irql() < DISPATCH_LEVEL {
        verify::violation(
            "NT-LOCK-02",
            format!(
                "a spin lock is acquired at IRQL {} by a function for DISPATCH_LEVEL",
                me.irql()
            ),
        );
    }
    let address = Address(std::ptr::from_ref(lock).cast_mut());
    if verify::settings().verifier_on {
        // Before the wait: two threads that meet in it would never come to the check.
        let held: Vec<usize> = me.held.lock().iter().map(|h| h.lock.0 as usize).collect();
        if !held.is_empty() {
            lock_order::acquiring(&held, address.0 as usize);
        }
    }
    let mine = word_of(me.id());
    if lock
        .0
        .compare_exchange(0, mine, Ordering::Acquire, Ordering::Relaxed)
        .is_err()
    {
        acquire_held(lock, mine);
    }
    me.held.lock().push(Held { lock: address });
}

#[cold]
fn acquire_held(lock: &KspinLock, mine: usize) {
    let key = std::ptr::from_ref(lock) as usize;
    loop {
        let event = {
            let mut sleepers = SLEEPERS.lock();
            let word = lock.0.load(Ordering::Acquire);
            if word & !CONTENDED == mine {
                verify::violation(
                    "NT-LOCK-03",
                    "a thread acquires a spin lock it holds already: it would spin for ever",
                );
            }
            let queue = sleepers.entry(key).or_default();
            let wanted = if queue.is_empty() {
                mine
            } else {
                mine | CONTENDED
            };
            if word == 0 {
                if lock
                    .0
                    .compare_exchange(0, wanted, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
                {
                    if queue.is_empty() {
                        sleepers.remove(&key);
                    }
                    return;
                }
                continue;
            }
            if lock
                .0
                .compare_exchange(word, word | CONTENDED, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
            {
                continue;
            }
            let event = Arc::new(Event::new(true, false));
            queue.push_back(Arc::clone(&event));
            event
        };
        let _waiting = verify::waiting(move || {
            let word = holder_of(key);
            match word {
                Some(holder) => format!("a spin lock that {} holds", thread::name_of(holder)),
                None => "a spin lock".to_owned(),
            }
        });
        event.wait();
    }
}

/// The thread that holds the lock at this address. The lock cannot go away while somebody waits for it.
fn holder_of(lock: usize) -> Option<ThreadId> {
    let word = super::abi::at(lock as *mut KspinLock)
        .0
        .load(Ordering::Relaxed);
    let number = (word >> 1).checked_sub(1)?;
    Some(ThreadId(number as u32))
}

/// KeReleaseSpinLockFromDpcLevel.
pub fn release(lock: &KspinLock) {
    let me = thread::current();
    let address = Address(std::ptr::from_ref(lock).cast_mut());
    let known = {
        let mut held = me.held.lock();
        let position = held.iter().rposition(|held| held.lock == address);
        position.map(|position| held.remove(position)).is_some()
    };
    if !known {
        verify::violation(
            "NT-LOCK-04",
            "a spin lock is released by a thread that does not hold it",
        );
    }
    let mine = word_of(me.id());
    if lock
        .0
        .compare_exchange(mine, 0, Ordering::Release, Ordering::Relaxed)
        .is_err()
    {
        let key = address.0 as usize;
        let mut sleepers = SLEEPERS.lock();
        lock.0.store(0, Ordering::Release);
        if let Some(queue) = sleepers.get_mut(&key) {
            if let Some(event) = queue.pop_front() {
                event.set();
            }
            if queue.is_empty() {
                sleepers.remove(&key);
            }
        }
    }
}

/// KeAcquireSpinLockRaiseToDpc: gives the level before.
pub fn raise_and_acquire(lock: &KspinLock) -> u8 {
    thread::require_at_most(DISPATCH_LEVEL, "the acquisition of a spin lock");
    let old = thread::current().raise(DISPATCH_LEVEL);
    acquire(lock);
    old
}

/// KeReleaseSpinLock.
pub fn release_and_lower(lock: &KspinLock, old: u8) {
    release(lock);
    thread::current().lower(old);
}

/// KeTryToAcquireSpinLockAtDpcLevel.
pub fn try_acquire(lock: &KspinLock) -> bool {
    let me = thread::current();
    let taken = lock
        .0
        .compare_exchange(0, word_of(me.id()), Ordering::Acquire, Ordering::Relaxed)
        .is_ok();
    if taken {
        me.held.lock().push(Held {
            lock: Address(std::ptr::from_ref(lock).cast_mut()),
        });
    }
    taken
}

/// True if the calling thread holds the lock.
pub fn is_mine(lock: &KspinLock) -> bool {
    lock.0.load(Ordering::Relaxed) & !CONTENDED == word_of(thread::current().id())
}

/// What the thread holds last acquired, for reports.
pub(super) fn innermost(thread: &Thread) -> Option<String> {
    let held = thread.held.lock();
    held.last().map(|_| format!("{} spin lock(s)", held.len()))
}

/// How many spin locks the calling thread holds.
pub fn held_count() -> usize {
    thread::current().held.lock().len()
}

/// The word itself, for code that initialises driver memory (KeInitializeSpinLock).
pub fn initialize(lock: *mut Field<u64>)
where
    Field<u64>: Sized,
{
    super::abi::write_out(lock.cast::<u64>(), 0);
}
