//! Requests over time: where each was, from its arrival to its end.

use std::collections::{HashMap, VecDeque};

use ferry_abi::control::{Event, EventKind};

use crate::observe::Batch;

/// Requests kept: the newest.
const KEPT: usize = 400;

/// A stay of a request in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// How it came there: the kind of an event.
    pub kind: u32,
    /// In 100 ns since the system was started.
    pub from: u64,
    /// As above.
    pub to: u64,
}

/// One request's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// Its number.
    pub request: u64,
    /// One operation.
    pub op: u32,
    /// Bytes asked for.
    pub length: u32,
    /// Where it was, in order.
    pub stays: Vec<Stay>,
    /// How it ended: the kind of the event and its status; nothing yet.
    pub end: Option<(u32, u32)>,
}

/// What the events tell.
#[derive(Debug, Default)]
pub struct Timeline {
    /// Events seen.
    pub events: u64,
    /// Events lost.
    pub lost: u64,
    /// Requests that ended, by time of their end.
    pub lives: VecDeque<Life>,
    open: HashMap<u64, Life>,
}

const fn ends(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Completed | EventKind::Canceled | EventKind::Failed | EventKind::Forgotten
    )
}

impl Timeline {
    /// Takes events in.
    pub fn add(&mut self, batch: &Batch) {
        self.lost += batch.lost;
        for event in &batch.events {
            self.events += 1;
            self.one(event);
        }
    }

    fn one(&mut self, event: &Event) {
        let Some(kind) = EventKind::from_code(event.kind) else {
            return;
        };
        // Numbers are the device's: one device is observed.
        if event.request == 0 {
            return;
        }
        let life = self.open.entry(event.request).or_insert_with(|| Life {
            request: event.request,
            op: event.op,
            length: event.length,
            stays: Vec::new(),
            end: None,
        });
        if let Some(last) = life.stays.last_mut() {
            last.to = event.time;
        }
        if !ends(kind) {
            life.stays.push(Stay {
                kind: event.kind,
                from: event.time,
                to: event.time,
            });
            return;
        }
        life.end = Some((event.kind, event.status));
        if let Some(life) = self.open.remove(&event.request) {
            if self.lives.len() == KEPT {
                self.lives.pop_front();
            }
            self.lives.push_back(life);
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use ferry_abi::control::ops;
    use zerocopy::FromZeros;

    /// An event of a request.
    pub fn event(request: u64, time: u64, kind: EventKind) -> Event {
        let mut event = Event::new_zeroed();
        (event.request, event.time, event.kind) = (request, time, kind.code());
        (event.op, event.length) = (ops::READ, 4096);
        event
    }

    #[test]
    fn a_life_is_cut_into_its_stays() {
        let mut timeline = Timeline::default();
        let events = vec![
            event(7, 100, EventKind::Arrived),
            event(8, 110, EventKind::Arrived),
            event(7, 120, EventKind::Held),
            event(7, 900, EventKind::Sent),
            event(7, 1000, EventKind::Completed),
        ];
        timeline.add(&Batch { lost: 2, events });
        assert_eq!(
            (timeline.events, timeline.lost, timeline.lives.len()),
            (5, 2, 1)
        );
        let life = &timeline.lives[0];
        let stays: Vec<_> = life.stays.iter().map(|stay| (stay.from, stay.to)).collect();
        assert_eq!(stays, [(100, 120), (120, 900), (900, 1000)]);
        assert_eq!(life.end, Some((EventKind::Completed.code(), 0)));
    }
}
