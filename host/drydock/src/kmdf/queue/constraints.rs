//! Execution level and synchronization scope: where a queue's callbacks may run (R-QUE-51, R-QUE-52, R-QUE-60 to
//! R-QUE-68).

use std::sync::Arc;

use super::super::device::Device;
use super::super::handle::{Ref, WDF_VIOLATION};
use super::super::kind::{ExecutionLevel, Scope};
use super::{Queue, State, dispatch};
use crate::nt;
use crate::nt::status::NtStatus;
use crate::nt::thread::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::sched::{self, Event, Lock, LockGuard, ThreadId};
use crate::verify;

/// What `WdfObjectAcquireLock` takes on a device or queue, and what automatic synchronization holds around callbacks: a
/// spin lock at level Dispatch, a mutex at level Passive (R-QUE-64).
pub struct CallbackLock {
    level: ExecutionLevel,
    holder: Lock<Holder>,
    freed: Event,
}

#[derive(Default)]
struct Holder {
    thread: Option<ThreadId>,
    waiting: u32,
    irql_before: u8,
}

impl CallbackLock {
    /// A lock for callbacks of this level.
    pub fn new(level: ExecutionLevel) -> Arc<Self> {
        Arc::new(Self {
            level,
            holder: Lock::new(Holder::default()),
            freed: Event::new(false, false),
        })
    }

    fn is_spin_lock(&self) -> bool {
        self.level != ExecutionLevel::Passive
    }

    /// Whether the calling thread holds it.
    pub fn is_mine(&self) -> bool {
        self.holder.lock().thread == Some(sched::current())
    }

    /// Takes the lock for the calling thread; `handle` is the object it was asked on.
    pub fn acquire(&self, handle: u64) {
        let me = sched::current();
        if self.is_mine() {
            // R-QUE-67
            verify::bug_check(
                WDF_VIOLATION,
                [2, handle, handle, 0],
                "a callback lock was acquired by the thread that holds it (R-QUE-67)",
            );
        }
        let irql = nt::thread::current().irql();
        if self.is_spin_lock() {
            if irql < DISPATCH_LEVEL {
                nt::thread::current().raise(DISPATCH_LEVEL);
            }
        } else {
            nt::thread::current().enter_critical_region();
        }
        loop {
            let mut holder = self.holder.lock();
            if holder.thread.is_none() {
                holder.thread = Some(me);
                holder.irql_before = irql;
                return;
            }
            holder.waiting += 1;
            drop(holder);
            self.freed.wait();
            self.holder.lock().waiting -= 1;
        }
    }

    /// Gives the lock back.
    pub fn release(&self) {
        let (irql, wake) = {
            let mut holder = self.holder.lock();
            if holder.thread != Some(sched::current()) {
                verify::violation(
                    "R-QUE-66",
                    "a callback lock was released by a thread that does not hold it",
                );
            }
            holder.thread = None;
            (holder.irql_before, holder.waiting > 0)
        };
        if wake {
            self.freed.set();
        }
        if self.is_spin_lock() {
            if irql < DISPATCH_LEVEL {
                nt::thread::current().lower(irql);
            }
        } else {
            nt::thread::current().leave_critical_region();
        }
    }
}

/// The level and scope a queue's attributes come to (R-QUE-60), with its lock.
pub(super) struct Constraints {
    pub level: ExecutionLevel,
    pub lock: Arc<CallbackLock>,
    pub synchronized: bool,
}

impl Constraints {
    /// # Errors
    /// STATUS_INVALID_PARAMETER if scope Device and the levels do not go together (R-QUE-63).
    pub(super) fn of(
        device: &Ref<Device>,
        level: ExecutionLevel,
        scope: Scope,
    ) -> Result<Self, NtStatus> {
        let level = level.or(device.effective_level());
        let scope = scope.or(device.effective_scope());
        Ok(match scope {
            Scope::Device => {
                if level != device.effective_level() {
                    return Err(NtStatus::INVALID_PARAMETER);
                }
                Self {
                    level,
                    lock: device.callback_lock().clone(),
                    synchronized: true,
                }
            }
            Scope::Queue | Scope::None | Scope::Inherit => Self {
                level,
                lock: CallbackLock::new(level),
                synchronized: scope == Scope::Queue,
            },
        })
    }
}

/// Whether the calling thread may make the queue's callbacks now.
pub(super) fn may_run_here(queue: &Queue) -> bool {
    let too_high =
        queue.level == ExecutionLevel::Passive && nt::thread::current().irql() > PASSIVE_LEVEL;
    !too_high && !queue.callback_lock.is_mine()
}

/// Leaves a visit of the queue to a DPC, or to a work item if callbacks run at PASSIVE_LEVEL.
pub(super) fn defer<'q>(queue: &'q Ref<Queue>, mut state: LockGuard<'q, State>) {
    if std::mem::replace(&mut state.deferred, true) {
        state.deferred_again = true;
        return;
    }
    drop(state);
    let later = queue.clone();
    let visit = move || deferred_visit(&later);
    if queue.level == ExecutionLevel::Passive {
        nt::workitem::queue(nt::workitem::Queue::Delayed, visit);
    } else {
        nt::dpc::call(visit);
    }
}

fn deferred_visit(queue: &Ref<Queue>) {
    loop {
        let mut state = queue.state.lock();
        state.deferred_again = false;
        dispatch::visit(queue, state, None);
        let mut state = queue.state.lock();
        if !std::mem::take(&mut state.deferred_again) {
            state.deferred = false;
            return;
        }
    }
}

/// Runs a callback of the queue, under its callback lock if it is synchronized (R-QUE-61), else at the level of whoever
/// brought it about (R-QUE-65).
pub(super) fn synchronized(queue: &Queue, callback: impl FnOnce()) {
    if !queue.synchronized {
        callback();
        return;
    }
    queue.callback_lock.acquire(queue.device.handle());
    callback();
    queue.callback_lock.release();
}
