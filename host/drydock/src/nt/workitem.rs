//! System worker threads and the work queued to them.

use super::thread;
use crate::sched::{self, Event, Lock};
use std::collections::VecDeque;
use std::sync::Arc;

/// WORK_QUEUE_TYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// CriticalWorkQueue.
    Critical,
    /// DelayedWorkQueue.
    Delayed,
}

type Work = Box<dyn FnOnce() + Send>;

/// Worker threads there can be; more work waits.
const WORKERS: usize = 16;

struct Workers {
    critical: VecDeque<Work>,
    delayed: VecDeque<Work>,
    idle: Vec<Arc<Event>>,
    threads: usize,
    /// Work queued or running.
    outstanding: usize,
    waiting_for_idle: Vec<Arc<Event>>,
}

static WORKERS_STATE: Lock<Workers> = Lock::new(Workers {
    critical: VecDeque::new(),
    delayed: VecDeque::new(),
    idle: Vec::new(),
    threads: 0,
    outstanding: 0,
    waiting_for_idle: Vec::new(),
});

/// Runs `work` on a system worker thread, at PASSIVE_LEVEL.
pub fn queue(queue: Queue, work: impl FnOnce() + Send + 'static) {
    let spawn = {
        let mut workers = WORKERS_STATE.lock();
        workers.outstanding += 1;
        match queue {
            Queue::Critical => workers.critical.push_back(Box::new(work)),
            Queue::Delayed => workers.delayed.push_back(Box::new(work)),
        }
        if let Some(idle) = workers.idle.pop() {
            idle.set();
            None
        } else if workers.threads < WORKERS {
            workers.threads += 1;
            Some(workers.threads)
        } else {
            None
        }
    };
    if let Some(number) = spawn {
        sched::spawn(&format!("worker {number}"), run);
    }
}

/// [`queue`] of work of the framework, in a box already.
pub fn queue_framework(work: Box<dyn FnOnce() + Send>) {
    queue(Queue::Delayed, work);
}

fn run() {
    loop {
        let next = {
            let mut workers = WORKERS_STATE.lock();
            let work = workers
                .critical
                .pop_front()
                .or_else(|| workers.delayed.pop_front());
            work.ok_or_else(|| {
                let event = Arc::new(Event::new(true, false));
                workers.idle.push(Arc::clone(&event));
                event
            })
        };
        let work = match next {
            Ok(work) => work,
            Err(event) => {
                event.wait();
                continue;
            }
        };
        work();
        let mut workers = WORKERS_STATE.lock();
        workers.outstanding -= 1;
        if workers.outstanding == 0 {
            for event in workers.waiting_for_idle.drain(..) {
                event.set();
            }
        }
    }
}

/// Work that is queued or running now.
pub fn outstanding() -> usize {
    WORKERS_STATE.lock().outstanding
}

/// Waits until no work is queued or running. Not for a worker thread.
pub fn wait_idle() {
    thread::require_at_most(thread::APC_LEVEL, "a wait for the worker threads");
    loop {
        let event = {
            let mut workers = WORKERS_STATE.lock();
            if workers.outstanding == 0 {
                return;
            }
            let event = Arc::new(Event::new(true, false));
            workers.waiting_for_idle.push(Arc::clone(&event));
            event
        };
        event.wait();
    }
}
