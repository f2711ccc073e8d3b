//! One event as people and programs read it.

use std::fmt;

use ferry_abi::control::{Event, EventKind, Place};
use serde::Serialize;

use crate::rules::op_names;
use crate::status::Status;

/// What happened, in one word.
#[must_use]
pub fn kind_name(code: u32) -> &'static str {
    match EventKind::from_code(code) {
        Some(EventKind::Arrived) => "arrived",
        Some(EventKind::Held) => "held",
        Some(EventKind::Delayed) => "delayed",
        Some(EventKind::Backlogged) => "backlog",
        Some(EventKind::Dropped) => "dropped",
        Some(EventKind::Sent) => "sent",
        Some(EventKind::Split) => "split",
        Some(EventKind::Completed) => "completed",
        Some(EventKind::Canceled) => "canceled",
        Some(EventKind::Failed) => "failed",
        Some(EventKind::Forgotten) => "forgotten",
        None => "?",
    }
}

/// Where a request is, in one word.
#[must_use]
pub fn place_name(code: u32) -> &'static str {
    match Place::from_code(code) {
        Some(Place::Handler) => "handler",
        Some(Place::Held) => "held",
        Some(Place::Delayed) => "delayed",
        Some(Place::Backlog) => "backlog",
        Some(Place::Dropped) => "dropped",
        Some(Place::Below) => "below",
        Some(Place::Split) => "split",
        None => "?",
    }
}

/// An event, its time counted from the first one of the stream.
#[derive(Serialize)]
pub struct Line {
    number: u64,
    /// Since the first event, microseconds.
    microseconds: f64,
    device: u32,
    request: u64,
    op: String,
    event: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    code: u32,
    offset: u64,
    length: u32,
    process: u32,
    handle: u64,
    #[serde(skip_serializing_if = "is_zero")]
    rule: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    information: Option<u32>,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl Line {
    /// An event of a stream that began at `start`.
    #[must_use]
    pub fn of(event: &Event, start: u64) -> Self {
        let kind = EventKind::from_code(event.kind);
        let over = matches!(
            kind,
            Some(EventKind::Completed | EventKind::Canceled | EventKind::Failed)
        );
        Self {
            number: event.number,
            microseconds: event.time.saturating_sub(start) as f64 / 10.0,
            device: event.device,
            request: event.request,
            op: op_names(event.op),
            event: kind_name(event.kind),
            code: event.code,
            offset: event.offset,
            length: event.length,
            process: event.process,
            handle: event.handle,
            rule: event.rule,
            status: over.then(|| Status(event.status.cast_signed())),
            information: over.then_some(event.information),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>12.6}  {:>2}  #{:<7} {:<8} {:<10}",
            self.microseconds / 1e6,
            self.device,
            self.request,
            self.op,
            self.event
        )?;
        if self.code == 0 {
            write!(f, " {:>8} @{:<10}", self.length, self.offset)?;
        } else {
            write!(f, " {:>8} {:#010x} ", self.length, self.code)?;
        }
        write!(f, " pid {:<7}", self.process)?;
        if self.rule != 0 {
            write!(f, " rule {:<3}", self.rule)?;
        }
        if let (Some(status), Some(information)) = (self.status, self.information) {
            write!(f, " {} {information}", status.short())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferry_abi::control::ops;
    use zerocopy::FromZeros;

    fn event(number: u64, kind: EventKind) -> Event {
        let mut event = Event::new_zeroed();
        (event.number, event.time, event.request) = (number, 50_000 + number * 156_250, 7);
        (event.device, event.kind, event.op) = (1, kind.code(), ops::READ);
        (event.length, event.offset, event.process) = (512, 4096, 4242);
        event
    }

    #[test]
    fn events_are_lines_for_people() {
        let mut held = event(1, EventKind::Held);
        held.rule = 3;
        let mut done = event(2, EventKind::Completed);
        done.information = 512;
        let lines = [event(0, EventKind::Arrived), held, done];
        let told: Vec<_> = lines
            .iter()
            .map(|event| Line::of(event, 50_000).to_string().trim_end().to_owned())
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        0.000000   1  #7       read     arrived         512 @4096       pid 4242
        0.015625   1  #7       read     held            512 @4096       pid 4242    rule 3
        0.031250   1  #7       read     completed       512 @4096       pid 4242    STATUS_SUCCESS 512
        ");
    }

    #[test]
    fn an_event_is_an_object_for_programs_with_a_status_only_at_the_end() {
        let json = serde_json::to_value(Line::of(&event(0, EventKind::Arrived), 0)).unwrap();
        assert!(
            json.get("status").is_none() && json.get("rule").is_none(),
            "{json}"
        );
        let json = serde_json::to_value(Line::of(&event(0, EventKind::Completed), 0)).unwrap();
        assert_eq!(
            (&json["status"], &json["event"]),
            (&"STATUS_SUCCESS".into(), &"completed".into())
        );
    }
}
