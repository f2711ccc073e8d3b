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
