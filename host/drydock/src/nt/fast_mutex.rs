//! Fast mutexes in driver memory.
//!
//! ExInitializeFastMutex is inline in the headers: the count says that the mutex is free, and the event, at first not
//! signaled, only wakes whoever waits.

use super::abi::{FastMutex, at, object_type};
use super::{lock_order, thread, wait};
use crate::sched::Lock;
use crate::verify;

/// Guards the count, the owner and the number of waiters of every fast mutex.
static STATE: Lock<()> = Lock::new(());

/// FM_LOCK_BIT: the mutex is free.
const FREE: i32 = 1;

/// ExInitializeFastMutex.
pub(super) fn initialize(mutex: *mut FastMutex) {
    let view = at(mutex);
    view.count.set(FREE);
    view.owner.set(std::ptr::null_mut());
    view.contention.set(0);
    view.event
        .header
        .initialize(object_type::EVENT_SYNCHRONIZATION, 6, 0);
    view.old_irql.set(0);
}

/// Takes the mutex if it is free.
pub(super) fn try_acquire(mutex: *mut FastMutex) -> bool {
    let view = at(mutex);
    let _guard = STATE.lock();
    let free = view.count.get() == FREE;
    if free {
        view.count.set(0);
        view.owner.set(thread::current().ethread());
    }
    free
}

/// Takes the mutex, and waits until it is free.
pub(super) fn acquire(mutex: *mut FastMutex) {
    let view = at(mutex);
    if view.owner.get() == thread::current().ethread() {
        verify::violation(
            "NT-LOCK-06",
            "a fast mutex is acquired by the thread that holds it: it would wait for ever",
        );
    }
    lock_order::acquire_waitable(mutex as usize, true);
    while !try_acquire(mutex) {
        {
            let _guard = STATE.lock();
            view.contention.update(|waiting| waiting + 1);
            if view.count.get() == FREE {
                // Released in between: nobody would set the event for this thread.
                view.contention.update(|waiting| waiting - 1);
                continue;
            }
        }
        let _ = wait::wait_for_one(std::ptr::from_ref(&view.event.header).cast_mut(), None);
    }
}

/// Frees the mutex and wakes one waiter, which has to compete for it like any other thread.
pub(super) fn release(mutex: *mut FastMutex) {
    let view = at(mutex);
    if view.owner.get() != thread::current().ethread() {
        verify::violation(
            "NT-LOCK-07",
            "a fast mutex is released by a thread that does not hold it",
        );
    }
    lock_order::release_waitable(mutex as usize);
    let woken = {
        let _guard = STATE.lock();
        view.owner.set(std::ptr::null_mut());
        view.count.set(FREE);
        let waiting = view.contention.get();
        view.contention.set(waiting.saturating_sub(1));
        waiting != 0
    };
    if woken {
        wait::set_event(std::ptr::from_ref(&view.event).cast_mut());
    }
}
