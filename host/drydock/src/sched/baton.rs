//! One processor: the baton that lets one thread run at a time.
//!
//! A thread is *running* (it holds the baton), *ready* (in the list, waiting for its turn) or neither (it blocks, or
//! has ended). Ready threads take turns by priority, then by the order in which they became ready.

use super::thread::Record;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[derive(Debug, Default)]
struct Baton {
    held: bool,
    ready: Vec<Arc<Record>>,
}

static BATON: Mutex<Baton> = Mutex::new(Baton {
    held: false,
    ready: Vec::new(),
});

impl Baton {
    /// Gives the free baton to the thread whose turn it is.
    fn pass(&mut self) {
        let mut chosen: Option<(usize, i32)> = None;
        for (index, record) in self.ready.iter().enumerate() {
            let priority = record.priority.load(Ordering::Relaxed);
            if chosen.is_none_or(|(_, best)| priority > best) {
                chosen = Some((index, priority));
            }
        }
        self.held = chosen.is_some();
        if let Some((index, _)) = chosen {
            let record = self.ready.remove(index);
            record.runs.store(true, Ordering::SeqCst);
            if let Some(os) = record.os.get() {
                os.unpark();
            }
        }
    }
}

/// The calling thread starts the one-processor machine: it is the one that runs.
pub(super) fn take_first(record: &Record) {
    BATON.lock().held = true;
    record.runs.store(true, Ordering::SeqCst);
}

/// Puts a thread at the end of the ready list.
pub(super) fn make_ready(record: &Arc<Record>) {
    let mut baton = BATON.lock();
    baton.ready.push(Arc::clone(record));
    if !baton.held {
        baton.pass();
    }
}

/// Waits until the calling thread, which is ready, holds the baton.
pub(super) fn wait_for_turn(record: &Record) {
    while !record.runs.load(Ordering::SeqCst) {
        std::thread::park();
    }
}

/// The first thing a spawned thread does: it can have been chosen already, with nobody to wake.
pub(super) fn come_up(record: &Record) {
    {
        let _baton = BATON.lock();
        let _ = record.os.set(std::thread::current());
    }
    wait_for_turn(record);
}

/// The calling thread gives the baton away: it blocks or ends.
pub(super) fn release(record: &Record) {
    let mut baton = BATON.lock();
    record.runs.store(false, Ordering::SeqCst);
    baton.pass();
}

/// Lets ready threads of higher priority than the calling one go first.
pub(super) fn yield_to_higher(record: &Arc<Record>) {
    if record.keeps.load(Ordering::Relaxed) {
        return;
    }
    {
        let mut baton = BATON.lock();
        let mine = record.priority.load(Ordering::Relaxed);
        if !baton
            .ready
            .iter()
            .any(|other| other.priority.load(Ordering::Relaxed) > mine)
        {
            return;
        }
        record.runs.store(false, Ordering::SeqCst);
        // In front: it becomes the first of its priority again.
        baton.ready.insert(0, Arc::clone(record));
        baton.pass();
    }
    wait_for_turn(record);
}

#[cfg(test)]
mod tests {
    use crate::sched::{self, Event, Lock, Mode, NORMAL_PRIORITY};
    use rusty_fork::rusty_fork_test;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    type Log = Arc<Lock<Vec<&'static str>>>;

    rusty_fork_test! {
        #[test]
        fn one_thread_runs_at_a_time_and_goes_on_until_it_blocks() {
            sched::set_mode(Mode::OneProcessor);
            let inside = Arc::new(AtomicU32::new(0));
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let inside = Arc::clone(&inside);
                    sched::spawn("worker", move || {
                        for _ in 0..1_000 {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            sched::point();
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    })
                })
                .collect();
            for thread in threads {
                thread.join();
            }
            assert_eq!(inside.load(Ordering::SeqCst), 0);
        }

        #[test]
        fn a_woken_thread_runs_when_its_waker_blocks() {
            sched::set_mode(Mode::OneProcessor);
            let log = Log::default();
            let event = Arc::new(Event::new(false, false));
            let (theirs, wake) = (Arc::clone(&log), Arc::clone(&event));
            let thread = sched::spawn("woken", move || {
                theirs.lock().push("waits");
                wake.wait();
                theirs.lock().push("woken");
            });
            log.lock().push("spawned");
            assert!(!Event::new(false, false).wait_timeout(10));
            event.set();
            sched::point();
            log.lock().push("set");
            thread.join();
            assert_eq!(*log.lock(), ["spawned", "waits", "set", "woken"]);
        }

        #[test]
        fn a_woken_thread_of_higher_priority_runs_at_the_next_point() {
            sched::set_mode(Mode::OneProcessor);
            let log = Log::default();
            let event = Arc::new(Event::new(false, false));
            let (theirs, wake) = (Arc::clone(&log), Arc::clone(&event));
            let thread = sched::spawn("urgent", move || {
                sched::set_priority(NORMAL_PRIORITY + 1);
                wake.wait();
                theirs.lock().push("urgent");
            });
            assert!(!Event::new(false, false).wait_timeout(10));
            event.set();
            log.lock().push("set");
            sched::keep_processor(true);
            sched::point();
            log.lock().push("kept");
            sched::keep_processor(false);
            sched::point();
            log.lock().push("after the point");
            thread.join();
            assert_eq!(*log.lock(), ["set", "kept", "urgent", "after the point"]);
        }

        #[test]
        fn the_clock_interrupts_a_thread_that_blocks() {
            sched::set_mode(Mode::OneProcessor);
            let event = Arc::new(Event::new(false, false));
            let wake = Arc::clone(&event);
            sched::at(sched::now() + 1_000, move || {
                wake.set();
            });
            event.wait();
            let other = Arc::new(Event::new(true, false));
            let outside = Arc::clone(&other);
            let thread = sched::spawn("meanwhile", move || {
                outside.set();
            });
            sched::blocking(|| while !other.is_set() { std::thread::yield_now(); });
            thread.join();
        }
    }
}
