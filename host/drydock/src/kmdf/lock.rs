//! WDFSPINLOCK, WDFWAITLOCK and the callback locks of devices and queues (R-DEV-70 to R-DEV-76, R-QUE-66 to R-QUE-68).

use std::sync::atomic::{AtomicU8, Ordering};

use super::attributes::{Attributes, Rules};
use super::ddi::{Call, DISPATCH, PASSIVE, export};
use super::device::Device;
use super::guest;
use super::handle::{self, Typed, WDF_VIOLATION};
use super::kind::Kind;
use super::object::{self, Body, ObjRef};
use super::parent_or_driver;
use super::queue::Queue;
use crate::nt;
use crate::nt::lock_order;
use crate::nt::spinlock::{self, KspinLock};
use crate::nt::status::NtStatus;
use crate::sched::{self, Event, Lock, ThreadId};
use crate::verify;

export! {
    "WdfSpinLockCreate" => spin_create[attributes: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfSpinLockAcquire" => spin_acquire[lock: u64], DISPATCH;
    "WdfSpinLockRelease" => spin_release[lock: u64], DISPATCH;
    "WdfWaitLockCreate" => wait_create[attributes: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfWaitLockAcquire" => wait_acquire[lock: u64, timeout: u64] -> NtStatus, DISPATCH;
    "WdfWaitLockRelease" => wait_release[lock: u64], DISPATCH;
    "WdfObjectAcquireLock" => object_acquire[object: u64], DISPATCH;
    "WdfObjectReleaseLock" => object_release[object: u64], DISPATCH;
}

/// The body of a WDFSPINLOCK; no callback lock, so holding it defers no callback (R-DEV-76).
#[derive(Default)]
pub struct SpinLock {
    lock: KspinLock,
    /// The level before the acquisition; written by the holder (R-DEV-70). It is this lock's own, so releases out of
    /// order restore a wrong one (R-DEV-72).
    before: AtomicU8,
}

impl Body for SpinLock {
    fn kind(&self) -> Kind {
        Kind::SpinLock
    }
}

impl Typed for SpinLock {
    const KIND: Kind = Kind::SpinLock;
}

/// The body of a WDFWAITLOCK.
pub struct WaitLock {
    holder: Lock<Option<ThreadId>>,
    freed: Event,
}

impl Body for WaitLock {
    fn kind(&self) -> Kind {
        Kind::WaitLock
    }
}

impl WaitLock {
    /// What lock order knows it by.
    fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// The lock and who has it, for the report of a run that stands still.
    fn describe(&self) -> String {
        match *self.holder.lock() {
            Some(holder) => format!("a WDFWAITLOCK that {} holds", nt::thread::name_of(holder)),
            None => "a WDFWAITLOCK that is free".to_owned(),
        }
    }
}

impl Drop for WaitLock {
    fn drop(&mut self) {
        lock_order::forget(self.address()..self.address() + size_of::<Self>());
    }
}

impl Typed for WaitLock {
    const KIND: Kind = Kind::WaitLock;
}

fn create<B: Body>(call: &Call, attributes: u64, out: u64, body: B) -> NtStatus {
    call.require(out, "the lock's handle");
    guest::write(out, 0_u64);
    let attributes = match Attributes::read(attributes, Rules::PLAIN) {
        Ok(attributes) => attributes,
        Err(status) => return status,
    };
    let parent = parent_or_driver(call, &attributes);
    match object::create(call.binding, &attributes, parent.as_ref(), body) {
        Ok(lock) => {
            guest::write(out, lock.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// `WdfSpinLockCreate`: a spin lock; parent: the driver by default. IRQL <= DISPATCH_LEVEL.
fn spin_create(call: &Call, attributes: u64, out: u64) -> NtStatus {
    create(call, attributes, out, SpinLock::default())
}

/// `WdfSpinLockAcquire`: R-DEV-70. Returns at DISPATCH_LEVEL.
fn spin_acquire(_call: &Call, lock: u64) {
    let lock = handle::resolve::<SpinLock>(lock);
    let before = spinlock::raise_and_acquire(&lock.lock);
    lock.before.store(before, Ordering::Relaxed);
}

/// `WdfSpinLockRelease`: R-DEV-70, R-DEV-71.
fn spin_release(call: &Call, handle: u64) {
    let lock = handle::resolve::<SpinLock>(handle);
    if call.verifier() && !spinlock::is_mine(&lock.lock) {
        invalid_lock_operation(
            handle,
            1,
            "a spin lock was released by a thread that does not hold it (R-DEV-71)",
        );
    }
    let before = lock.before.load(Ordering::Relaxed);
    spinlock::release_and_lower(&lock.lock, before);
}

/// `WdfWaitLockCreate`: a wait lock; parent: the driver by default. IRQL <= DISPATCH_LEVEL.
fn wait_create(call: &Call, attributes: u64, out: u64) -> NtStatus {
    let body = WaitLock {
        holder: Lock::new(None),
        freed: Event::new(false, false),
    };
    create(call, attributes, out, body)
}

/// `WdfWaitLockAcquire`: R-DEV-74, R-DEV-75. Not acquired: STATUS_TIMEOUT, which passes NT_SUCCESS.
fn wait_acquire(call: &Call, lock: u64, timeout: u64) -> NtStatus {
    let lock = handle::resolve::<WaitLock>(lock);
    let timeout = (timeout != 0).then(|| guest::read::<i64>(timeout));
    if timeout != Some(0) {
        if call.irql_too_high(PASSIVE) {
            return NtStatus::INVALID_DEVICE_REQUEST;
        }
        nt::thread::require_at_most(nt::thread::APC_LEVEL, "WdfWaitLockAcquire that may wait");
    }
    let me = sched::current();
    let deadline = timeout.map(|timeout| sched::now() + nt::wait::relative(timeout));
    let thread = nt::thread::current();
    thread.enter_critical_region();
    loop {
        {
            let mut holder = lock.holder.lock();
            match *holder {
                None => {
                    *holder = Some(me);
                    drop(holder);
                    lock_order::acquire_waitable(lock.address(), deadline.is_none());
                    return NtStatus::SUCCESS;
                }
                Some(other) if other == me && deadline.is_none() => verify::violation(
                    "R-DEV-75",
                    format!(
                        "{} is acquired by the thread that holds it: it would wait for ever",
                        lock.object().name()
                    ),
                ),
                Some(_) => {}
            }
        }
        match deadline {
            None => {
                let held = lock.clone();
                let _waiting = verify::waiting(move || held.describe());
                lock.freed.wait();
            }
            Some(deadline) => {
                let left = deadline - sched::now();
                if timeout == Some(0) || left <= 0 || !lock.freed.wait_timeout(left) {
                    thread.leave_critical_region();
                    return NtStatus::TIMEOUT;
                }
            }
        }
    }
}

/// `WdfWaitLockRelease`: by the thread that acquired it (R-DEV-75).
fn wait_release(_call: &Call, lock: u64) {
    let lock = handle::resolve::<WaitLock>(lock);
    {
        let mut holder = lock.holder.lock();
        if *holder != Some(sched::current()) {
            drop(holder);
            verify::violation(
                "R-DEV-75",
                format!(
                    "{} is released by a thread that does not hold it",
                    lock.object().name()
                ),
            );
        }
        *holder = None;
    }
    lock_order::release_waitable(lock.address());
    lock.freed.set();
    nt::thread::current().leave_critical_region();
}

fn invalid_lock_operation(handle: u64, what: u64, text: &str) -> ! {
    verify::bug_check(WDF_VIOLATION, [0xB, handle, what, 0], text)
}

/// Calls `f` with the callback lock of a device or queue; other types have none (R-QUE-68).
fn with_callback_lock(call: &Call, object: &ObjRef, f: impl FnOnce(&super::queue::CallbackLock)) {
    if let Some(device) = object.body::<Device>() {
        f(device.callback_lock());
    } else if let Some(queue) = object.body::<Queue>() {
        f(queue.callback_lock());
    } else {
        call.framework_break(
            "R-QUE-68",
            &format!("{} has no callback lock", object.name()),
        );
        invalid_lock_operation(
            object.handle().0,
            0,
            "a callback lock was asked of an object that has none (R-QUE-68)",
        );
    }
}

/// `WdfObjectAcquireLock`: R-QUE-66 to R-QUE-68.
fn object_acquire(call: &Call, object: u64) {
    call.require(object, "Object");
    let object = handle::resolve_any(object);
    with_callback_lock(call, &object, |lock| lock.acquire(object.handle().0));
}

/// `WdfObjectReleaseLock`: gives back what `WdfObjectAcquireLock` took.
fn object_release(call: &Call, object: u64) {
    call.require(object, "Object");
    let object = handle::resolve_any(object);
    with_callback_lock(call, &object, super::queue::CallbackLock::release);
}
