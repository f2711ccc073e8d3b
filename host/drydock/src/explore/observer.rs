//! What happens in a schedule: its choices, a digest of everything the scheduler saw, and the events if somebody wants them.

use super::strategy::Strategy;
use crate::loader;
use crate::sched::world::{Chooser, Observation, What};
use crate::sched::{ThreadId, Time100ns};

/// Something that happened in a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The thread on which it happened.
    pub thread: ThreadId,
    /// When, on the machine's clock.
    pub at: Time100ns,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A call into the framework or the kernel, by name.
    Call(String),
    /// An instruction of an image that touches memory, with its place.
    Access(String),
    /// Something happened to a request: its number, who owns it now, and what it was.
    Hands(u64, String, String),
    /// A thread of this name began.
    Begin(String),
}

pub(super) struct Observer {
    pub(super) strategy: Box<dyn Strategy>,
    pub(super) choices: Vec<u16>,
    pub(super) digest: u64,
    pub(super) events: Vec<Event>,
    pub(super) outcome: Option<String>,
    record: bool,
}

impl Observer {
    pub(super) fn new(strategy: Box<dyn Strategy>, record: bool) -> Self {
        Self {
            strategy,
            choices: Vec::with_capacity(256),
            digest: 0xCBF2_9CE4_8422_2325,
            events: Vec::new(),
            outcome: None,
            record,
        }
    }

    /// FNV-1a, eight bytes at a time.
    fn mix(&mut self, value: u64) {
        self.digest = (self.digest ^ value).wrapping_mul(0x0000_0100_0000_01B3);
        self.digest ^= self.digest >> 29;
    }

    fn mix_text(&mut self, text: &str) {
        for part in text.as_bytes().chunks(8) {
            let mut bytes = [0; 8];
            bytes[..part.len()].copy_from_slice(part);
            self.mix(u64::from_le_bytes(bytes));
        }
    }
}

impl Chooser for Observer {
    fn choose(&mut self, ways: &[ThreadId], current: Option<ThreadId>) -> usize {
        let chosen = self.strategy.choose(ways, current).min(ways.len() - 1);
        self.choices.push(chosen as u16);
        for way in ways {
            self.mix(u64::from(way.0));
        }
        self.mix(chosen as u64 | 1 << 32);
        chosen
    }

    fn observe(&mut self, event: &Observation<'_>) {
        self.mix(u64::from(event.thread.0) | 1 << 33);
        self.mix(event.at as u64);
        match event.what {
            What::Call(text) | What::Begin(text) => self.mix_text(text),
            What::Access(address) => self.mix(address as u64 | 1 << 62),
            What::Hands(number, owner, text) => {
                self.mix(number);
                self.mix_text(owner);
                self.mix_text(text);
            }
            What::Outcome(text) => {
                self.mix_text(text);
                self.outcome = Some(text.to_owned());
                return;
            }
        }
        let kind = match event.what {
            _ if !self.record => return,
            What::Call(name) => EventKind::Call(name.to_owned()),
            What::Access(address) => EventKind::Access(loader::describe_access(address)),
            What::Begin(name) => EventKind::Begin(name.to_owned()),
            What::Hands(number, owner, text) => {
                EventKind::Hands(number, owner.to_owned(), text.to_owned())
            }
            What::Outcome(_) => return,
        };
        self.events.push(Event {
            thread: event.thread,
            at: event.at,
            kind,
        });
    }
}
