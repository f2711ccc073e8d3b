//! ferry's pump: what is put down before a wake is seen by a run, and no two runs overlap.
//!
//! What is explored is ferry's own `wakes.rs`. A work item is a run on the thread that schedules it; a drain looks at one place per waker
//! without a lock, which is less than any real one does.

// What `wakes.rs` finds in the module above it.
use loom::sync::atomic;

#[path = "../../../src/wakes.rs"]
mod wakes;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use wakes::Wakes;

#[derive(Default)]
struct Bed {
    wakes: Wakes,
    /// What each waker has put down.
    waiting: [AtomicBool; 2],
    /// Runs. Not atomic: two at once are a data race.
    runs: UnsafeCell<u32>,
}

impl Bed {
    /// Something is put down, and the pump woken.
    fn put(&self, waker: usize) {
        self.waiting[waker].store(true, Ordering::Relaxed);
        if self.wakes.wake() {
            self.run();
        }
    }

    fn run(&self) {
        loop {
            self.wakes.look();
            self.count();
            for waiting in &self.waiting {
                if waiting.load(Ordering::Relaxed) {
                    waiting.store(false, Ordering::Relaxed);
                }
            }
            if self.wakes.rest() {
                return;
            }
        }
    }

    #[expect(unsafe_code, reason = "the way loom hands out a checked cell")]
    fn count(&self) {
        self.runs.with_mut(|runs| {
            // SAFETY: the cell is alive; exclusive, or loom has reported it.
            unsafe {
                *runs += 1;
            };
        });
    }
}

/// Filter rules 1 and 2. Found here: with a store in `look`, a wake could be overwritten by a run that had not seen what it was about.
#[test]
fn nothing_that_was_put_down_stays_and_no_two_runs_overlap() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let bed = Arc::new(Bed::default());
        let other = {
            let bed = Arc::clone(&bed);
            thread::spawn(move || bed.put(1))
        };
        bed.put(0);
        other.join().unwrap();
        for waiting in &bed.waiting {
            assert!(!waiting.load(Ordering::Relaxed), "overlooked");
        }
    });
}
