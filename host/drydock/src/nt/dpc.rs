//! Deferred procedure calls.
//!
//! A thread stands for the processor it runs on: a DPC queued below DISPATCH_LEVEL interrupts it at once, one queued at
//! DISPATCH_LEVEL runs when the level drops.

use super::abi::{Address, Deferred, Kdpc, at, object_type};
use super::callout;
use super::thread::{self, DISPATCH_LEVEL, Thread};
use crate::sched::{self, Event, Lock, ThreadId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What waits on a processor.
pub(super) enum Queued {
    /// A driver's KDPC.
    Driver(Address<Kdpc>),
    /// A function of the model.
    Model(Box<dyn FnOnce() + Send>),
}

/// Guards the queued/not queued state of every KDPC (its `DpcData`).
static INSERTED: Lock<()> = Lock::new(());
/// DPCs that are queued or run now, and who waits for none to be.
static OUTSTANDING: AtomicU32 = AtomicU32::new(0);
static FLUSHERS: Lock<Vec<Arc<Event>>> = Lock::new(Vec::new());

/// KeInitializeDpc.
pub fn initialize(dpc: *mut Kdpc, routine: Option<Deferred>, context: *mut u8) {
    let view = at(dpc);
    view.kind.set(object_type::DPC);
    view.importance.set(1);
    view.number.set(0);
    view.reserved.set(0);
    view.deferred_routine.set(routine);
    view.deferred_context.set(context);
    view.dpc_data.set(std::ptr::null_mut());
}

/// KeInsertQueueDpc. False: it was queued already.
pub fn insert(dpc: *mut Kdpc, first: *mut u8, second: *mut u8) -> bool {
    let me = thread::current();
    let view = at(dpc);
    {
        let _guard = INSERTED.lock();
        if !view.dpc_data.get().is_null() {
            return false;
        }
        view.dpc_data.set((me.id().0 as usize + 1) as *mut u8);
        view.system_argument1.set(first);
        view.system_argument2.set(second);
    }
    enqueue(me, Queued::Driver(Address(dpc)));
    true
}

/// KeRemoveQueueDpc. True: it was queued and will not run.
pub fn remove(dpc: *mut Kdpc) -> bool {
    let view = at(dpc);
    let _guard = INSERTED.lock();
    let processor = view.dpc_data.get() as usize;
    if processor == 0 {
        return false;
    }
    let Some(thread) = thread::by_id(ThreadId(processor as u32 - 1)) else {
        return false;
    };
    let mut queue = thread.dpcs.lock();
    let before = queue.len();
    queue.retain(|queued| !matches!(queued, Queued::Driver(other) if other.0 == dpc));
    let removed = queue.len() < before;
    drop(queue);
    if removed {
        thread.dpcs_waiting.fetch_sub(1, Ordering::Release);
        view.dpc_data.set(std::ptr::null_mut());
        one_less();
    }
    removed
}

/// Runs a function of the model as a DPC: at DISPATCH_LEVEL, now or when the calling thread's level drops.
pub fn call(f: impl FnOnce() + Send + 'static) {
    enqueue(thread::current(), Queued::Model(Box::new(f)));
}

/// [`call`] with the function in a box already, as the framework keeps it.
pub fn queue_framework(f: Box<dyn FnOnce() + Send>) {
    enqueue(thread::current(), Queued::Model(f));
}

fn enqueue(thread: &Thread, queued: Queued) {
    OUTSTANDING.fetch_add(1, Ordering::AcqRel);
    thread.dpcs.lock().push_back(queued);
    thread.dpcs_waiting.fetch_add(1, Ordering::Release);
    if thread.irql() < DISPATCH_LEVEL {
        let old = thread.raise(DISPATCH_LEVEL);
        thread.lower(old);
    }
}

/// Runs what waits; the thread is at DISPATCH_LEVEL.
pub(super) fn drain(thread: &Thread) {
    while thread.dpcs_waiting.load(Ordering::Acquire) != 0 {
        let next = thread.dpcs.lock().pop_front();
        let Some(next) = next else { return };
        thread.dpcs_waiting.fetch_sub(1, Ordering::Release);
        match next {
            Queued::Driver(dpc) => run(dpc.0),
            Queued::Model(f) => f(),
        }
        one_less();
    }
}

/// A DPC is certain to be queued soon: [`flush`] waits for it as if it were. [`one_less`] ends the expectation.
pub(super) fn expect_one() {
    OUTSTANDING.fetch_add(1, Ordering::AcqRel);
}

/// One DPC less to wait for.
pub(super) fn one_less() {
    if OUTSTANDING.fetch_sub(1, Ordering::AcqRel) == 1 {
        for flusher in FLUSHERS.lock().drain(..) {
            flusher.set();
        }
    }
}

fn run(dpc: *mut Kdpc) {
    let (routine, arguments) = {
        let _guard = INSERTED.lock();
        let view = at(dpc);
        // From here on it may be queued again, or its memory freed.
        view.dpc_data.set(std::ptr::null_mut());
        let arguments = [
            view.deferred_context.get(),
            view.system_argument1.get(),
            view.system_argument2.get(),
        ];
        (view.deferred_routine.get(), arguments)
    };
    sched::point();
    if let Some(routine) = routine {
        callout::deferred(routine, dpc, arguments);
    }
}

/// KeFlushQueuedDpcs: waits until every DPC that runs or is queued now has run.
pub fn flush() {
    thread::require_at_most(thread::APC_LEVEL, "KeFlushQueuedDpcs");
    loop {
        let event = {
            let mut flushers = FLUSHERS.lock();
            if OUTSTANDING.load(Ordering::Acquire) == 0 {
                return;
            }
            let event = Arc::new(Event::new(true, false));
            flushers.push(Arc::clone(&event));
            event
        };
        event.wait();
    }
}
