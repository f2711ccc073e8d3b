//! Dispatcher objects: events, semaphores, mutexes, timers and threads, and waiting for them.
//!
//! The state of an object is in its header, in driver memory; who waits is kept here, under one lock that is never held
//! while a thread sleeps.

use super::abi::{Address, DispatcherHeader, Kevent, Kmutant, Ksemaphore, at, object_type};
use super::status::NtStatus;
use super::thread::{self, APC_LEVEL, DISPATCH_LEVEL};
use crate::sched::{Event, Lock, Time100ns, now};
use crate::verify;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// One thread's wait for one or more objects.
struct Wait {
    wake: Event,
    objects: Vec<Address<DispatcherHeader>>,
    /// All objects at once, not any of them.
    all: bool,
    thread: Address<u8>,
    /// Set, under the dispatcher lock, by whoever satisfies the wait.
    result: Lock<Option<NtStatus>>,
}

#[derive(Default)]
struct Dispatcher {
    waiting: BTreeMap<usize, VecDeque<Arc<Wait>>>,
}

static DISPATCHER: Lock<Option<Dispatcher>> = Lock::new(None);

/// What kind of object it is, and who has it.
fn describe(object: &DispatcherHeader) -> String {
    match object.kind.get() {
        object_type::EVENT_NOTIFICATION | object_type::EVENT_SYNCHRONIZATION => "an event".into(),
        object_type::SEMAPHORE => "a semaphore".into(),
        object_type::MUTANT => match thread::by_ethread(mutant(object).owner_thread.get()) {
            Some(name) => format!("a mutex that {name} owns"),
            None => "a mutex".into(),
        },
        object_type::TIMER_NOTIFICATION | object_type::TIMER_SYNCHRONIZATION => "a timer".into(),
        _ => "the end of a thread or process".into(),
    }
}

fn is_signaled(object: &DispatcherHeader, for_thread: *mut u8) -> bool {
    object.signal_state.get() > 0
        || (object.kind.get() == object_type::MUTANT
            && mutant(object).owner_thread.get() == for_thread)
}

fn mutant(object: &DispatcherHeader) -> &Kmutant {
    at(std::ptr::from_ref(object).cast_mut().cast())
}

/// Takes what a satisfied wait takes from the object. True: the mutex was abandoned.
fn consume(object: &DispatcherHeader, by: *mut u8) -> bool {
    match object.kind.get() {
        object_type::EVENT_SYNCHRONIZATION | object_type::TIMER_SYNCHRONIZATION => {
            object.signal_state.set(0);
        }
        object_type::SEMAPHORE => object.signal_state.update(|count| count - 1),
        object_type::MUTANT => {
            object.signal_state.update(|state| state - 1);
            let mutant = mutant(object);
            mutant.owner_thread.set(by);
            return mutant.abandoned.get() != 0 && {
                mutant.abandoned.set(0);
                true
            };
        }
        _ => {}
    }
    false
}

/// Satisfies the wait if its objects allow; says with which status.
fn try_satisfy(wait: &Wait) -> Option<NtStatus> {
    let by = wait.thread.0;
    if wait.all {
        if !wait
            .objects
            .iter()
            .all(|object| is_signaled(at(object.0), by))
        {
            return None;
        }
        let mut abandoned = false;
        for object in &wait.objects {
            abandoned |= consume(at(object.0), by);
        }
        return Some(if abandoned {
            NtStatus::ABANDONED_WAIT_0
        } else {
            NtStatus::SUCCESS
        });
    }
    let index = wait
        .objects
        .iter()
        .position(|object| is_signaled(at(object.0), by))?;
    let abandoned = consume(at(wait.objects[index].0), by);
    let base = if abandoned {
        NtStatus::ABANDONED_WAIT_0.0
    } else {
        0
    };
    Some(NtStatus(base + index as i32))
}

impl Dispatcher {
    fn enqueue(&mut self, wait: &Arc<Wait>) {
        for object in &wait.objects {
            self.waiting
                .entry(object.0 as usize)
                .or_default()
                .push_back(Arc::clone(wait));
        }
    }

    fn remove(&mut self, wait: &Arc<Wait>) {
        for object in &wait.objects {
            let address = object.0 as usize;
            if let Some(queue) = self.waiting.get_mut(&address) {
                queue.retain(|other| !Arc::ptr_eq(other, wait));
                if queue.is_empty() {
                    self.waiting.remove(&address);
                }
            }
        }
    }

    /// The object's state has changed: lets go on whoever can, in the order of arrival.
    fn wake(&mut self, object: *mut DispatcherHeader) {
        let mut skipped = 0;
        while let Some(wait) = self
            .waiting
            .get(&(object as usize))
            .and_then(|queue| queue.get(skipped).cloned())
        {
            if at(object).signal_state.get() <= 0 {
                return;
            }
            match try_satisfy(&wait) {
                Some(status) => {
                    self.remove(&wait);
                    *wait.result.lock() = Some(status);
                    wait.wake.set();
                }
                None => skipped += 1,
            }
        }
    }
}

fn with_dispatcher<R>(f: impl FnOnce(&mut Dispatcher) -> R) -> R {
    f(DISPATCHER.lock().get_or_insert_default())
}

/// Waits for any or all of `objects`. `timeout`: none waits for ever, zero only asks.
pub fn wait_for(
    objects: &[*mut DispatcherHeader],
    all: bool,
    timeout: Option<Time100ns>,
) -> NtStatus {
    let me = thread::current();
    if timeout == Some(0) {
        thread::require_at_most(DISPATCH_LEVEL, "a wait with a timeout of zero");
    } else {
        thread::require_at_most(APC_LEVEL, "a wait");
    }
    let wait = Arc::new(Wait {
        wake: Event::new(true, false),
        objects: objects.iter().map(|object| Address(*object)).collect(),
        all,
        thread: Address(me.ethread()),
        result: Lock::new(None),
    });
    let satisfied = with_dispatcher(|dispatcher| {
        let satisfied = try_satisfy(&wait);
        if satisfied.is_none() && timeout != Some(0) {
            dispatcher.enqueue(&wait);
        }
        satisfied
    });
    if let Some(status) = satisfied {
        return status;
    }
    match timeout {
        Some(0) => return NtStatus::TIMEOUT,
        Some(timeout) => {
            wait.wake.wait_timeout(timeout);
        }
        None => {
            let objects: Vec<String> = wait.objects.iter().map(|o| describe(at(o.0))).collect();
            let text = objects.join(if all { " and " } else { " or " });
            let _waiting = verify::waiting(move || text.clone());
            wait.wake.wait();
        }
    }
    with_dispatcher(|dispatcher| {
        let result = *wait.result.lock();
        result.unwrap_or_else(|| {
            dispatcher.remove(&wait);
            NtStatus::TIMEOUT
        })
    })
}

/// KeWaitForSingleObject, with a timeout as the kernel takes it: see [`relative`].
pub fn wait_for_one(object: *mut DispatcherHeader, timeout: Option<i64>) -> NtStatus {
    wait_for(&[object], false, timeout.map(relative))
}

/// The time of day the machine starts at, in 100 ns since 1601: every run has the same one.
pub const BOOT_TIME: i64 = 134_000_000_000_000_000;

/// KeQuerySystemTime.
pub fn system_time() -> i64 {
    BOOT_TIME + now()
}

/// How long from now a kernel timeout is: negative values are relative, positive ones times of day.
pub fn relative(timeout: i64) -> Time100ns {
    if timeout <= 0 {
        timeout.saturating_neg()
    } else {
        (timeout - system_time()).max(0)
    }
}

/// KeInitializeEvent.
pub fn initialize_event(event: *mut Kevent, notification: bool, set: bool) {
    let kind = if notification {
        object_type::EVENT_NOTIFICATION
    } else {
        object_type::EVENT_SYNCHRONIZATION
    };
    at(event).header.initialize(kind, 6, i32::from(set));
}

/// KeSetEvent: gives the state before.
pub fn set_event(event: *mut Kevent) -> i32 {
    with_dispatcher(|dispatcher| {
        let header = &at(event).header;
        let before = header.signal_state.get();
        header.signal_state.set(1);
        dispatcher.wake(event.cast());
        before
    })
}

/// KePulseEvent: releases whoever waits now and leaves the event clear.
pub fn pulse_event(event: *mut Kevent) -> i32 {
    with_dispatcher(|dispatcher| {
        let header = &at(event).header;
        let before = header.signal_state.get();
        header.signal_state.set(1);
        dispatcher.wake(event.cast());
        header.signal_state.set(0);
        before
    })
}

/// KeResetEvent: gives the state before.
pub fn reset_event(event: *mut Kevent) -> i32 {
    with_dispatcher(|_| {
        let header = &at(event).header;
        let before = header.signal_state.get();
        header.signal_state.set(0);
        before
    })
}

/// Signals an object for good (a timer that went off, a thread that ended).
pub fn signal_permanently(object: *mut DispatcherHeader) {
    with_dispatcher(|dispatcher| {
        at(object).signal_state.set(1);
        dispatcher.wake(object);
    });
}

/// KeInitializeSemaphore.
pub fn initialize_semaphore(semaphore: *mut Ksemaphore, count: i32, limit: i32) {
    let view = at(semaphore);
    view.header.initialize(object_type::SEMAPHORE, 8, count);
    view.limit.set(limit);
}

/// KeReleaseSemaphore: gives the count before.
pub fn release_semaphore(semaphore: *mut Ksemaphore, adjustment: i32) -> i32 {
    let result = with_dispatcher(|dispatcher| {
        let view = at(semaphore);
        let before = view.header.signal_state.get();
        let after = before
            .checked_add(adjustment)
            .filter(|after| *after <= view.limit.get())?;
        view.header.signal_state.set(after);
        dispatcher.wake(semaphore.cast());
        Some(before)
    });
    result.unwrap_or_else(|| {
        verify::violation(
            "NT-WAIT-01",
            "KeReleaseSemaphore above the semaphore's limit raises an exception",
        )
    })
}

/// KeInitializeMutex.
pub fn initialize_mutex(mutex: *mut Kmutant) {
    let view = at(mutex);
    view.header.initialize(object_type::MUTANT, 14, 1);
    view.mutant_list_entry.make_empty();
    view.owner_thread.set(std::ptr::null_mut());
    view.abandoned.set(0);
    view.apc_disable.set(1);
}

/// KeReleaseMutex: gives the state before; 0 means it is free now.
pub fn release_mutex(mutex: *mut Kmutant) -> i32 {
    let me = thread::current().ethread();
    let result = with_dispatcher(|dispatcher| {
        let view = at(mutex);
        if view.owner_thread.get() != me {
            return None;
        }
        let before = view.header.signal_state.get();
        view.header.signal_state.set(before + 1);
        if before + 1 == 1 {
            view.owner_thread.set(std::ptr::null_mut());
            dispatcher.wake(mutex.cast());
        }
        Some(before)
    });
    result.unwrap_or_else(|| {
        verify::violation(
            "NT-WAIT-02",
            "KeReleaseMutex by a thread that does not own the mutex raises an exception",
        )
    })
}

/// KeDelayExecutionThread.
pub fn delay(timeout: i64) {
    thread::require_at_most(APC_LEVEL, "KeDelayExecutionThread");
    Event::new(true, false).wait_timeout(relative(timeout));
}
