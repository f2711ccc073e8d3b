//! Events: the only way to wait.

use super::thread::{self, Record};
use super::{Mode, Time100ns, at, baton, cancel, mode, now, world};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Something that is set or not, and that threads wait for. Waiters are released in the order of their arrival.
#[derive(Debug)]
pub struct Event {
    manual_reset: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    set: bool,
    waiters: VecDeque<Arc<Waiter>>,
}

#[derive(Debug)]
struct Waiter {
    record: Arc<Record>,
    released: AtomicBool,
}

impl Waiter {
    fn release(&self) {
        self.released.store(true, Ordering::SeqCst);
        match mode() {
            Mode::OneProcessor => baton::make_ready(&self.record),
            Mode::Explore => world::ready(&self.record),
            Mode::Live => {
                if let Some(os) = self.record.os.get() {
                    os.unpark();
                }
            }
        }
    }
}

impl Event {
    /// Makes an event. One with `manual_reset` (a notification event) releases all waiters and stays set; one without
    /// (a synchronization event) releases one and is clear again.
    pub const fn new(manual_reset: bool, set: bool) -> Self {
        Self {
            manual_reset,
            state: Mutex::new(State {
                set,
                waiters: VecDeque::new(),
            }),
        }
    }

    /// Sets the event; says whether it was set before. A released thread does not run before the next scheduling
    /// point, so this may be called under a [`super::Lock`].
    pub fn set(&self) -> bool {
        let mut state = self.state.lock();
        let before = state.set;
        if self.manual_reset {
            state.set = true;
            for waiter in state.waiters.drain(..) {
                waiter.release();
            }
        } else if let Some(waiter) = state.waiters.pop_front() {
            waiter.release();
        } else {
            state.set = true;
        }
        before
    }

    /// Clears the event; says whether it was set before.
    pub fn clear(&self) -> bool {
        std::mem::take(&mut self.state.lock().set)
    }

    /// Whether the event is set now.
    pub fn is_set(&self) -> bool {
        self.state.lock().set
    }

    /// Waits until the event is set.
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits until the event is set, but no longer than `timeout` (100 ns units). True: it was set.
    /// A timeout of zero asks without waiting.
    pub fn wait_timeout(&self, timeout: Time100ns) -> bool {
        if timeout <= 0 {
            super::assert_no_lock_held("a wait");
            let mut state = self.state.lock();
            let set = state.set;
            state.set = set && self.manual_reset;
            return set;
        }
        self.wait_until(Some(now().saturating_add(timeout)))
    }

    fn wait_until(&self, deadline: Option<Time100ns>) -> bool {
        super::assert_no_lock_held("a wait");
        let waiter = {
            let mut state = self.state.lock();
            if state.set {
                state.set = self.manual_reset;
                return true;
            }
            let waiter = Arc::new(Waiter {
                record: thread::record(),
                released: AtomicBool::new(false),
            });
            state.waiters.push_back(Arc::clone(&waiter));
            waiter
        };
        if mode() == Mode::Explore {
            return self.wait_in_world(&waiter, deadline);
        }
        let one_processor = mode() == Mode::OneProcessor;
        if one_processor {
            baton::release(&waiter.record);
        }
        let released = self.sleep(&waiter, deadline);
        if one_processor {
            if !released {
                baton::make_ready(&waiter.record);
            }
            baton::wait_for_turn(&waiter.record);
        }
        released
    }

    /// Sleeps until the waiter is released or the deadline has passed; says which.
    fn sleep(&self, waiter: &Arc<Waiter>, deadline: Option<Time100ns>) -> bool {
        while !waiter.released.load(Ordering::SeqCst) {
            let Some(deadline) = deadline else {
                std::thread::park();
                continue;
            };
            let left = deadline - now();
            if left > 0 {
                std::thread::park_timeout(Duration::from_nanos(left.unsigned_abs() * 100));
                continue;
            }
            if self.leave(waiter) {
                return false;
            }
            // Whoever took the waiter off the list is releasing it under the lock we now hold.
        }
        true
    }

    /// Takes a waiter off the list; false if it is not there any more.
    fn leave(&self, waiter: &Arc<Waiter>) -> bool {
        let mut state = self.state.lock();
        let before = state.waiters.len();
        state.waiters.retain(|other| !Arc::ptr_eq(other, waiter));
        state.waiters.len() < before
    }

    /// [`Event::sleep`] where no OS thread sleeps: the deadline is one of the clock's actions.
    fn wait_in_world(&self, waiter: &Arc<Waiter>, deadline: Option<Time100ns>) -> bool {
        let alarm = deadline.map(|deadline| {
            let record = Arc::clone(&waiter.record);
            at(deadline, move || world::ready(&record))
        });
        while !waiter.released.load(Ordering::SeqCst) {
            world::block();
            if deadline.is_some_and(|deadline| deadline <= now()) && self.leave(waiter) {
                return false;
            }
        }
        if let Some(alarm) = alarm {
            cancel(&alarm);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::spawn;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn a_synchronization_event_releases_one_waiter_per_set() {
        let event = Arc::new(Event::new(false, false));
        let released = Arc::new(AtomicU32::new(0));
        let done = Arc::new(Event::new(false, false));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (event, released, done) = (event.clone(), released.clone(), done.clone());
                spawn("waiter", move || {
                    event.wait();
                    released.fetch_add(1, Ordering::SeqCst);
                    done.set();
                })
            })
            .collect();
        for expected in 1..=3 {
            event.set();
            done.wait();
            assert_eq!(released.load(Ordering::SeqCst), expected);
        }
        for thread in threads {
            thread.join();
        }
    }

    #[test]
    fn a_notification_event_stays_set_until_cleared() {
        let event = Event::new(true, false);
        assert!(!event.set());
        event.wait();
        assert!(event.wait_timeout(0));
        assert!(event.clear());
        assert!(!event.wait_timeout(0));
    }

    #[test]
    fn a_wait_that_times_out_leaves_nothing_behind() {
        let event = Event::new(false, false);
        assert!(!event.wait_timeout(1000));
        event.set();
        assert!(
            event.is_set(),
            "the set was given to a waiter that had left"
        );
    }
}
