//! Time, and what is to happen at a time.

use super::{Mode, baton, mode, thread, world};
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A time or a span of time, in units of 100 ns; a time counts from the start of the machine.
pub type Time100ns = i64;

/// The clock thread's priority: it stands for the clock interrupt.
const INTERRUPT_PRIORITY: i32 = i32::MAX;

type Action = Box<dyn FnOnce() + Send>;

/// Names something scheduled by [`at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerToken {
    due: Time100ns,
    /// Two of the same time run in the order in which they were scheduled.
    sequence: u64,
}

struct Schedule {
    actions: BTreeMap<TimerToken, Action>,
    next_sequence: u64,
    clock_runs: bool,
}

static SCHEDULE: Mutex<Schedule> = Mutex::new(Schedule {
    actions: BTreeMap::new(),
    next_sequence: 0,
    clock_runs: false,
});
static EARLIER: Condvar = Condvar::new();

fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// The time since the machine was first asked for it.
pub fn now() -> Time100ns {
    if mode() == Mode::Explore {
        return world::now();
    }
    // On the path of every change of hands of a request: no division of 128 bits.
    let elapsed = start().elapsed();
    let seconds = i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX);
    seconds
        .saturating_mul(10_000_000)
        .saturating_add(i64::from(elapsed.subsec_nanos() / 100))
}

/// Runs `f` on the clock thread at `due`, or as soon as possible if that has passed. `f` stands for a clock interrupt:
/// it must not wait.
pub fn at(due: Time100ns, f: impl FnOnce() + Send + 'static) -> TimerToken {
    let mut schedule = SCHEDULE.lock();
    let token = TimerToken {
        due,
        sequence: schedule.next_sequence,
    };
    schedule.next_sequence += 1;
    let first = schedule
        .actions
        .first_key_value()
        .is_none_or(|(earliest, _)| token < *earliest);
    schedule.actions.insert(token, Box::new(f));
    if !schedule.clock_runs {
        schedule.clock_runs = true;
        drop(schedule);
        start_clock();
    } else if first {
        EARLIER.notify_one();
    }
    token
}

/// Takes back what [`at`] scheduled. True: it will not run; false: it has run, is running, or was taken back before.
pub fn cancel(token: &TimerToken) -> bool {
    // The action is dropped after the schedule is released: its captures may do anything.
    let action = SCHEDULE.lock().actions.remove(token);
    action.is_some()
}

/// When the first action is due.
pub(super) fn first_due() -> Option<Time100ns> {
    let schedule = SCHEDULE.lock();
    schedule
        .actions
        .first_key_value()
        .map(|(token, _)| token.due)
}

/// The clock of a world: its thread runs one action whenever the world lets time reach it.
fn run_world_clock() {
    loop {
        let action = SCHEDULE.lock().actions.pop_first();
        if let Some((_, action)) = action {
            action();
        }
        world::wait_for_clock();
    }
}

fn start_clock() {
    if mode() == Mode::Explore {
        world::spawn_clock(thread::new_record("clock"), Box::new(run_world_clock));
        return;
    }
    let started = std::thread::Builder::new()
        .name("clock".to_owned())
        .spawn(run_clock);
    if let Err(error) = started {
        panic!("the system gave no thread for the clock: {error}");
    }
}

fn run_clock() {
    let record = thread::record();
    super::set_priority(INTERRUPT_PRIORITY);
    let one_processor = mode() == Mode::OneProcessor;
    if one_processor {
        baton::release(&record);
    }
    loop {
        let action = next_due();
        if one_processor {
            baton::make_ready(&record);
            baton::wait_for_turn(&record);
        }
        action();
        if one_processor {
            baton::release(&record);
        }
    }
}

/// Sleeps until the earliest action is due, and takes it.
fn next_due() -> Action {
    let mut schedule = SCHEDULE.lock();
    loop {
        match schedule.actions.first_key_value() {
            None => EARLIER.wait(&mut schedule),
            Some((token, _)) => {
                let left = token.due - now();
                if left <= 0 {
                    if let Some((_, action)) = schedule.actions.pop_first() {
                        return action;
                    }
                } else {
                    let span = Duration::from_nanos(left.unsigned_abs().saturating_mul(100));
                    EARLIER.wait_for(&mut schedule, span);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::Event;
    use std::sync::Arc;

    #[test]
    fn what_is_due_first_runs_first_and_what_is_canceled_does_not_run() {
        let order = Arc::new(Mutex::new(Vec::new()));
        let done = Arc::new(Event::new(true, false));
        let base = now() + 50_000;
        let push = |value: u32| {
            let order = Arc::clone(&order);
            move || order.lock().push(value)
        };
        at(base + 2, push(3));
        at(base + 1, push(1));
        at(base + 1, push(2));
        let never = at(base + 1, push(9));
        assert!(cancel(&never));
        assert!(!cancel(&never));
        let end = Arc::clone(&done);
        at(base + 3, move || {
            end.set();
        });
        done.wait();
        assert_eq!(*order.lock(), [1, 2, 3]);
    }
}
