//! Ex: pool, work items, fast mutexes, rundown protection, interlocked lists.

use super::exports;
use crate::nt::abi::{Address, FastMutex, Field, ListEntry, WorkQueueItem, at, layout, write_out};
use crate::nt::pool::{self, PoolKind, Tag};
use crate::nt::thread::{self, APC_LEVEL};
use crate::nt::{callout, fast_mutex, lock_order, process, spinlock, workitem};
use crate::sched::{Event, Lock};
use crate::verify;
use std::collections::BTreeMap;
use std::sync::Arc;

const NONE: Tag = Tag::new(b"None");

/// POOL_TYPE: odd numbers are paged.
fn pool_kind(kind: u32) -> PoolKind {
    if kind & 1 != 0 {
        PoolKind::Paged
    } else {
        PoolKind::NonPaged
    }
}

/// POOL_FLAG_PAGED and POOL_FLAG_UNINITIALIZED.
const FLAG_UNINITIALIZED: u64 = 0x2;
const FLAG_NON_PAGED: u64 = 0x40;
const FLAG_NON_PAGED_EXECUTE: u64 = 0x80;
const FLAG_PAGED: u64 = 0x100;

fn allocate(kind: PoolKind, size: u64, tag: u32, zero: bool) -> *mut u8 {
    if tag == 0 {
        verify::violation("NT-POOL-06", "an allocation of pool with a tag of zero");
    }
    let Ok(size) = usize::try_from(size) else {
        return std::ptr::null_mut();
    };
    pool::allocate(kind, size, Tag(tag), zero)
}

#[expect(unsafe_code, reason = "a worker routine is known by address only")]
fn run_worker(routine: usize, parameter: Address<u8>) {
    let null = std::ptr::null_mut();
    // SAFETY: the driver vouches that the address is a WORKER_THREAD_ROUTINE, which takes one argument.
    unsafe { callout::plain("work item", routine, [parameter.get(), null, null]) };
}

/// Who waits for which rundown protection to run down.
static RUNDOWNS: Lock<BTreeMap<usize, Arc<Event>>> = Lock::new(BTreeMap::new());

/// EX_RUNDOWN_REF: bit 0 says that rundown has begun, the rest counts users.
#[repr(C)]
struct Rundown {
    count: Field<u64>,
}
layout!(Rundown, "EX_RUNDOWN_REF", 8, { count: 0 });

fn rundown(reference: *mut Rundown) -> &'static Field<u64> {
    &at(reference).count
}

exports! {
    DISPATCH fn ExAllocatePoolWithTag(kind: u32, size: u64, tag: u32) -> *mut u8 {
        allocate(pool_kind(kind), size, tag, false)
    }
    DISPATCH fn ExAllocatePool(kind: u32, size: u64) -> *mut u8 {
        allocate(pool_kind(kind), size, NONE.0, false)
    }
    DISPATCH fn ExAllocatePoolZero(kind: u32, size: u64, tag: u32) -> *mut u8 {
        allocate(pool_kind(kind), size, tag, true)
    }
    DISPATCH fn ExAllocatePoolWithQuotaTag(kind: u32, size: u64, tag: u32) -> *mut u8 {
        allocate(pool_kind(kind), size, tag, false)
    }
    DISPATCH fn ExAllocatePoolWithTagPriority(kind: u32, size: u64, tag: u32, _priority: u32) -> *mut u8 {
        allocate(pool_kind(kind), size, tag, false)
    }
    DISPATCH fn ExAllocatePool2(flags: u64, size: u64, tag: u32) -> *mut u8 {
        let kinds = flags & (FLAG_NON_PAGED | FLAG_NON_PAGED_EXECUTE | FLAG_PAGED);
        if kinds.count_ones() != 1 || size == 0 || tag == 0 {
            return std::ptr::null_mut();
        }
        let kind = if kinds == FLAG_PAGED { PoolKind::Paged } else { PoolKind::NonPaged };
        allocate(kind, size, tag, flags & FLAG_UNINITIALIZED == 0)
    }
    DISPATCH fn ExFreePoolWithTag(block: *mut u8, tag: u32) {
        pool::free(block, Some(Tag(tag)));
    }
    DISPATCH fn ExFreePool(block: *mut u8) {
        pool::free(block, None);
    }
    DISPATCH fn ExFreePool2(block: *mut u8, tag: u32, _parameters: *mut u8, _count: u32) {
        pool::free(block, Some(Tag(tag)));
    }
    ANY fn ExGetPreviousMode() -> i8 {
        i8::from(thread::current().process().is_some())
    }
    ANY fn ExIsProcessorFeaturePresent(_feature: u32) -> u8 {
        1
    }
    DISPATCH fn ExQueueWorkItem(item: *mut WorkQueueItem, kind: u32) {
        let view = at(item);
        let (routine, parameter) = (view.worker_routine.get(), Address(view.parameter.get()));
        let Some(routine) = routine else {
            verify::violation("NT-WORK-01", "ExQueueWorkItem of a work item without a routine");
        };
        let queue = if kind == 1 { workitem::Queue::Delayed } else { workitem::Queue::Critical };
        workitem::queue(queue, move || run_worker(routine as usize, parameter));
    }

    ANY fn ExInitializeFastMutex(mutex: *mut FastMutex) {
        fast_mutex::initialize(mutex);
    }
    APC fn ExAcquireFastMutex(mutex: *mut FastMutex) {
        let me = thread::current();
        fast_mutex::acquire(mutex);
        let old = me.raise(APC_LEVEL);
        at(mutex).old_irql.set(old.into());
    }
    APC fn ExReleaseFastMutex(mutex: *mut FastMutex) {
        let old = at(mutex).old_irql.get();
        fast_mutex::release(mutex);
        thread::current().lower(old as u8);
    }
    APC fn ExTryToAcquireFastMutex(mutex: *mut FastMutex) -> u8 {
        if !fast_mutex::try_acquire(mutex) {
            return 0;
        }
        lock_order::acquire_waitable(mutex as usize, false);
        at(mutex).old_irql.set(thread::current().raise(APC_LEVEL).into());
        1
    }
    APC fn ExAcquireFastMutexUnsafe(mutex: *mut FastMutex) {
        if !thread::current().apcs_disabled() {
            verify::violation("NT-LOCK-05", "ExAcquireFastMutexUnsafe needs APCs disabled: a critical region or APC_LEVEL");
        }
        fast_mutex::acquire(mutex);
    }
    APC fn ExReleaseFastMutexUnsafe(mutex: *mut FastMutex) {
        fast_mutex::release(mutex);
    }

    ANY fn ExInitializeRundownProtection(reference: *mut Rundown) {
        rundown(reference).set(0);
    }
    DISPATCH fn ExAcquireRundownProtection(reference: *mut Rundown) -> u8 {
        let _guard = RUNDOWNS.lock();
        let word = rundown(reference);
        if word.get() & 1 != 0 {
            return 0;
        }
        word.update(|count| count + 2);
        1
    }
    DISPATCH fn ExReleaseRundownProtection(reference: *mut Rundown) {
        let rundowns = RUNDOWNS.lock();
        let word = rundown(reference);
        if word.get() < 2 {
            drop(rundowns);
            verify::violation("NT-RUNDOWN-01", "ExReleaseRundownProtection without an acquisition before");
        }
        word.update(|count| count - 2);
        if word.get() == 1
            && let Some(event) = rundowns.get(&(reference as usize))
        {
            event.set();
        }
    }
    APC fn ExWaitForRundownProtectionRelease(reference: *mut Rundown) {
        let event = Arc::new(Event::new(true, false));
        {
            let mut rundowns = RUNDOWNS.lock();
            let word = rundown(reference);
            word.update(|count| count | 1);
            if word.get() == 1 {
                return;
            }
            rundowns.insert(reference as usize, Arc::clone(&event));
        }
        event.wait();
        RUNDOWNS.lock().remove(&(reference as usize));
    }
    APC fn ExRundownCompleted(reference: *mut Rundown) {
        rundown(reference).set(1);
    }
    APC fn ExReInitializeRundownProtection(reference: *mut Rundown) {
        rundown(reference).set(0);
    }

    ANY fn ExInterlockedInsertHeadList(head: *mut ListEntry, entry: *mut ListEntry, lock: *mut spinlock::KspinLock) -> *mut ListEntry {
        locked(lock, || {
            let first = at(head).flink.get();
            link(head, entry, first);
            if first == head { std::ptr::null_mut() } else { first }
        })
    }
    ANY fn ExInterlockedInsertTailList(head: *mut ListEntry, entry: *mut ListEntry, lock: *mut spinlock::KspinLock) -> *mut ListEntry {
        locked(lock, || {
            let last = at(head).blink.get();
            link(last, entry, head);
            if last == head { std::ptr::null_mut() } else { last }
        })
    }
    ANY fn ExInterlockedRemoveHeadList(head: *mut ListEntry, lock: *mut spinlock::KspinLock) -> *mut ListEntry {
        locked(lock, || {
            let first = at(head).flink.get();
            if first == head {
                return std::ptr::null_mut();
            }
            let second = at(first).flink.get();
            at(head).flink.set(second);
            at(second).blink.set(head);
            first
        })
    }
    ANY fn ExUuidCreate(uuid: *mut u8) -> i32 {
        // The same in every run: version 4 by its mark, a counter by its content.
        let number = process::SYSTEM_ID + NEXT_UUID.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        write_out(uuid.cast::<u64>(), 0x4000_0000_0000_0000 | number);
        write_out(uuid.wrapping_add(8).cast::<u64>(), 0x80);
        0
    }
}

static NEXT_UUID: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

fn locked<R>(lock: *mut spinlock::KspinLock, f: impl FnOnce() -> R) -> R {
    let lock = at(lock);
    let old = spinlock::raise_and_acquire(lock);
    let result = f();
    spinlock::release_and_lower(lock, old);
    result
}

fn link(before: *mut ListEntry, entry: *mut ListEntry, after: *mut ListEntry) {
    at(entry).flink.set(after);
    at(entry).blink.set(before);
    at(before).flink.set(entry);
    at(after).blink.set(entry);
}
