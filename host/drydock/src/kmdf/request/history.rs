//! Who owned a request when: a short memory that a report prints.

use crate::sched::world::{self, What};
use crate::sched::{self, ThreadId, Time100ns};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

const KEPT: usize = 12;

/// One change of hands.
#[derive(Clone, Copy, Debug)]
struct Entry {
    what: &'static str,
    thread: ThreadId,
    at: Time100ns,
}

/// The last changes of hands of one request.
#[derive(Debug, Default)]
pub struct History {
    entries: [Option<Entry>; KEPT],
    count: usize,
    /// Counts the requests; 0 before the first event.
    number: u64,
    owner: &'static str,
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

impl History {
    /// Notes that the request has an owner from here on; [`History::note`] says how that came.
    pub fn own(&mut self, owner: &'static str) {
        self.owner = owner;
    }

    /// Notes what happened to the request, on the calling thread.
    pub fn note(&mut self, what: &'static str) {
        if self.number == 0 {
            self.number = NEXT_NUMBER.fetch_add(1, Ordering::Relaxed);
        }
        world::observe(What::Hands(self.number, self.owner, what));
        self.entries[self.count % KEPT] = Some(Entry {
            what,
            thread: sched::current(),
            at: sched::now(),
        });
        self.count += 1;
    }

    /// The entries, oldest first, as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if self.count > KEPT {
            let _ = write!(text, "\n    ({} events before these)", self.count - KEPT);
        }
        for at in self.count.saturating_sub(KEPT)..self.count {
            if let Some(entry) = self.entries[at % KEPT] {
                let _ = write!(
                    text,
                    "\n    {:>10.1} us  thread {:<3} {}",
                    entry.at as f64 / 10.0,
                    entry.thread.0,
                    entry.what
                );
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_events_are_kept_in_order() {
        let mut history = History::default();
        for _ in 0..KEPT {
            history.note("early");
        }
        history.note("delivered");
        history.note("completed");
        let text = history.text();
        assert!(text.contains("(2 events before these)"));
        assert_eq!(text.matches(" early").count(), KEPT - 2);
        assert!(text.find("delivered") < text.find("completed"));
    }
}
