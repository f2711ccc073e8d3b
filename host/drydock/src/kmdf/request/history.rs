//! Who owned a request when: a short memory that a report prints.

use crate::sched::{self, ThreadId, Time100ns};
use std::fmt::Write;

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
}

impl History {
    /// Notes what happened to the request, on the calling thread.
    pub fn note(&mut self, what: &'static str) {
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
