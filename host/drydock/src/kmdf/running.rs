//! Who runs a callback now, for those who must wait for it (R-DEV-84, R-DEV-85, R-DEV-87).

use crate::sched::{self, Event, Lock, ThreadId};

/// The runs of one object's callback: those that are certain to come, and those under way.
pub(super) struct Runs {
    state: Lock<State>,
    idle: Event,
}

struct State {
    /// Handed to a DPC or work item, not yet ended.
    outstanding: u32,
    /// Threads inside the callback.
    inside: Vec<ThreadId>,
}

impl Default for Runs {
    fn default() -> Self {
        Self {
            state: Lock::new(State {
                outstanding: 0,
                inside: Vec::new(),
            }),
            idle: Event::new(true, true),
        }
    }
}

impl Runs {
    /// A run is certain from now on.
    pub(super) fn promise(&self) {
        let mut state = self.state.lock();
        state.outstanding += 1;
        self.idle.clear();
    }

    /// A promised run will not happen after all, or has ended.
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.outstanding -= 1;
        if state.outstanding == 0 {
            self.idle.set();
        }
    }

    /// Runs `f`, a promised run, on the calling thread.
    pub(super) fn run(&self, f: impl FnOnce()) {
        let me = sched::current();
        self.state.lock().inside.push(me);
        f();
        {
            let mut state = self.state.lock();
            let place = state.inside.iter().rposition(|thread| *thread == me);
            if let Some(place) = place {
                state.inside.remove(place);
            }
        }
        self.end();
    }

    /// The calling thread is inside the callback.
    pub(super) fn is_inside(&self) -> bool {
        self.state.lock().inside.contains(&sched::current())
    }

    /// Waits until no run is promised or under way. PASSIVE_LEVEL, not from inside.
    pub(super) fn wait_idle(&self) {
        self.idle.wait();
    }
}
