//! Kernel timers: dispatcher objects that go off at a time and may queue a DPC.

use super::abi::{Address, DispatcherHeader, Kdpc, Ktimer, at, object_type};
use super::{dpc, thread, wait};
use crate::sched::{self, Lock, TimerToken};
use std::collections::BTreeMap;

/// A timer that is set.
struct Armed {
    token: TimerToken,
    generation: u64,
}

#[derive(Default)]
struct Timers {
    armed: BTreeMap<usize, Armed>,
    generation: u64,
}

static TIMERS: Lock<Option<Timers>> = Lock::new(None);

fn with_timers<R>(f: impl FnOnce(&mut Timers) -> R) -> R {
    f(TIMERS.lock().get_or_insert_default())
}

/// KeInitializeTimerEx.
pub fn initialize(timer: *mut Ktimer, notification: bool) {
    let view = at(timer);
    let kind = if notification {
        object_type::TIMER_NOTIFICATION
    } else {
        object_type::TIMER_SYNCHRONIZATION
    };
    view.header.initialize(kind, 16, 0);
    view.due_time.set(0);
    view.timer_list_entry.make_empty();
    view.dpc.set(std::ptr::null_mut());
    view.processor.set(0);
    view.period.set(0);
}

/// KeSetTimerEx: `due` as the kernel takes it (negative is relative), `period` in milliseconds (0: once). True: it was set before.
pub fn set(timer: *mut Ktimer, due: i64, period: u32, dpc: *mut Kdpc) -> bool {
    thread::require_at_most(thread::DISPATCH_LEVEL, "KeSetTimer");
    let was_set = disarm(timer);
    let view = at(timer);
    view.header.signal_state.set(0);
    view.dpc.set(dpc);
    view.period.set(period);
    view.due_time.set(due as u64);
    arm(timer, sched::now() + wait::relative(due));
    was_set
}

fn arm(timer: *mut Ktimer, due: sched::Time100ns) {
    at(timer).header.inserted.set(1);
    let address = Address(timer);
    with_timers(|timers| {
        timers.generation += 1;
        let generation = timers.generation;
        let token = sched::at(due, move || go_off(address, generation, due));
        timers
            .armed
            .insert(address.0 as usize, Armed { token, generation });
    });
}

fn disarm(timer: *mut Ktimer) -> bool {
    let armed = with_timers(|timers| timers.armed.remove(&(timer as usize)));
    let Some(armed) = armed else { return false };
    at(timer).header.inserted.set(0);
    sched::cancel(&armed.token);
    true
}

/// The clock reached the timer's time.
fn go_off(timer: Address<Ktimer>, generation: u64, due: sched::Time100ns) {
    let Address(timer) = timer;
    let current = with_timers(|timers| {
        let current = timers
            .armed
            .get(&(timer as usize))
            .is_some_and(|armed| armed.generation == generation);
        if current {
            timers.armed.remove(&(timer as usize));
            // Whoever finds the timer no longer set can flush the DPCs and then free timer and DPC.
            dpc::expect_one();
        }
        current
    });
    if !current {
        // It was set again or canceled while the clock was on its way here.
        return;
    }
    expire(timer, due);
    dpc::one_less();
}

fn expire(timer: *mut Ktimer, due: sched::Time100ns) {
    let view = at(timer);
    view.header.inserted.set(0);
    let dpc = view.dpc.get();
    let period = view.period.get();
    if period != 0 {
        let next = due + i64::from(period) * 10_000;
        arm(timer, next.max(sched::now()));
    }
    wait::signal_permanently(timer.cast::<DispatcherHeader>());
    if !dpc.is_null() {
        dpc::insert(dpc, std::ptr::null_mut(), std::ptr::null_mut());
    }
}

/// KeCancelTimer. True: it was set.
pub fn cancel(timer: *mut Ktimer) -> bool {
    disarm(timer)
}

/// KeReadStateTimer.
pub fn is_signaled(timer: *mut Ktimer) -> bool {
    at(timer).header.signal_state.get() > 0
}

/// Timers that are set now.
pub fn armed() -> usize {
    with_timers(|timers| timers.armed.len())
}
