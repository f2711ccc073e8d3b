//! Requests of programs: which, how many at a time, and what the programs do to them meanwhile.

use super::phases::{Counts, Session};
use crate::nt::abi::mj;
use crate::nt::app::{Completion, Handle, IoId, Op, OpenOptions, Process};
use crate::nt::status::NtStatus;
use crate::sched::{Event, Lock};
use crate::verify;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Requests a program has under way at most.
const DEPTH: u64 = 24;

/// A control that succeeded: its code, what went in, and how much could come out.
#[derive(Clone)]
struct Seen {
    code: u32,
    input: Vec<u8>,
    output_len: u32,
}

/// Codes of a kind that are remembered.
const KNOWN: usize = 64;
/// Controls that are remembered, and how large they may be.
const REMEMBERED: usize = 128;
const LARGEST: usize = 512;

/// Control codes a driver took, learned while it runs.
pub(super) struct Codes {
    /// Those with which something succeeded.
    succeeded: Lock<BTreeSet<u32>>,
    /// Those that were refused for another reason than the code.
    answered: Lock<BTreeSet<u32>>,
    /// Controls that succeeded, to be sent again with a change.
    seen: Lock<Vec<Seen>>,
    /// Numbers of the image that may be codes.
    hints: Vec<u32>,
}

impl Codes {
    /// Nothing is known yet but numbers that may be codes.
    pub(super) fn new(hints: Vec<u32>) -> Self {
        Self {
            succeeded: Lock::new(BTreeSet::new()),
            answered: Lock::new(BTreeSet::new()),
            seen: Lock::new(Vec::new()),
            hints,
        }
    }

    /// A code to try that nothing but the image speaks for.
    fn hint(&self, rng: &mut fastrand::Rng) -> Option<u32> {
        (!self.hints.is_empty()).then(|| self.hints[rng.usize(0..self.hints.len())])
    }

    /// A driver that knows a code does not answer "invalid device request"; some say "not supported".
    fn learn(&self, code: u32, status: NtStatus) {
        let unknown = [
            NtStatus::INVALID_DEVICE_REQUEST,
            NtStatus::NOT_SUPPORTED,
            NtStatus::NOT_IMPLEMENTED,
            NtStatus::CANCELLED,
            NtStatus::ACCESS_DENIED,
            NtStatus::DELETE_PENDING,
            NtStatus::INVALID_DEVICE_STATE,
            NtStatus::NO_SUCH_DEVICE,
            // Of the way there, not of the code: a closed handle, a dying process, a device that is going or gone.
            NtStatus::INVALID_HANDLE,
            NtStatus::PROCESS_IS_TERMINATING,
            NtStatus::INSUFFICIENT_RESOURCES,
            NtStatus::DEVICE_NOT_READY,
            NtStatus::DEVICE_BUSY,
            NtStatus::DEVICE_DOES_NOT_EXIST,
            NtStatus::DEVICE_REMOVED,
        ];
        if unknown.contains(&status) {
            return;
        }
        let answered = if status.is_success() {
            &self.succeeded
        } else {
            &self.answered
        };
        let mut codes = answered.lock();
        if codes.len() < KNOWN {
            codes.insert(code);
        }
    }

    fn remember(&self, seen: Seen) {
        let mut all = self.seen.lock();
        if all.len() < REMEMBERED {
            all.push(seen);
        } else {
            // The older ones give way in turn.
            let place = seen.input.len() * 31 % REMEMBERED;
            all[place] = seen;
        }
    }

    /// A control that has succeeded before, with something in it changed.
    fn mutated(&self, rng: &mut fastrand::Rng) -> Option<Op> {
        let mut seen = {
            let all = self.seen.lock();
            all.get(rng.usize(0..all.len().max(1)))?.clone()
        };
        for _ in 0..rng.u32(1..4) {
            match rng.u32(0..6) {
                0 => seen.output_len = length(rng),
                1 => seen.input.truncate(rng.usize(0..=seen.input.len())),
                2 => seen.input.extend(bytes(rng, 4)),
                _ if seen.input.is_empty() => {}
                3 => {
                    let place = rng.usize(0..seen.input.len());
                    seen.input[place] = [0, 1, 0x7f, 0x80, 0xff][rng.usize(0..5)];
                }
                4 => {
                    let place = rng.usize(0..seen.input.len());
                    seen.input[place] ^= 1 << rng.u32(0..8);
                }
                _ => {
                    // A number where lengths, counts and offsets are.
                    let place = rng.usize(0..seen.input.len()) & !3;
                    let number = [0, 1, u32::MAX, 0x8000_0000, length(rng)][rng.usize(0..5)];
                    let end = seen.input.len().min(place + 4);
                    seen.input[place..end].copy_from_slice(&number.to_le_bytes()[..end - place]);
                }
            }
        }
        Some(Op::Ioctl {
            code: seen.code,
            input: seen.input,
            output_len: seen.output_len,
        })
    }

    /// The codes known so far.
    pub(super) fn known(&self) -> Vec<u32> {
        let mut known = self.succeeded.lock().clone();
        known.extend(self.answered.lock().iter());
        known.into_iter().collect()
    }
}

/// A control code: random, or near one the driver took.
pub(super) fn code(rng: &mut fastrand::Rng, known: &[u32]) -> u32 {
    let method = rng.u32(0..4);
    if !known.is_empty() && rng.u32(0..4) != 0 {
        let code = known[rng.usize(0..known.len())];
        return match rng.u32(0..6) {
            // The same function by another method, and its neighbors: drivers number their functions one after the other, and
            // some of them only ever end as canceled, which says nothing about the code.
            0 => code & !3 | method,
            1 => code.wrapping_add(4 * rng.u32(1..12)) & !3 | method,
            2 => code.wrapping_add(4 * rng.u32(1..12)),
            3 => code.wrapping_sub(4 * rng.u32(1..12)),
            _ => code,
        };
    }
    let kind = match rng.u32(0..4) {
        0 => 0x22, // FILE_DEVICE_UNKNOWN
        1 => rng.u32(0..0x60),
        2 => 0x8000 + rng.u32(0..0x100),
        _ => rng.u32(0..0x1_0000),
    };
    let function = match rng.u32(0..3) {
        0 => 0x800 + rng.u32(0..0x40),
        1 => rng.u32(0..0x40),
        _ => rng.u32(0..0x1000),
    };
    kind << 16 | rng.u32(0..4) << 14 | function << 2 | method
}

/// Lengths drivers get wrong.
pub(super) fn length(rng: &mut fastrand::Rng) -> u32 {
    const ODD: [u32; 16] = [0, 0, 1, 2, 3, 4, 7, 8, 12, 16, 24, 31, 64, 255, 4096, 4097];
    match rng.u32(0..8) {
        0 => rng.u32(0..70_000),
        _ => ODD[rng.usize(0..ODD.len())],
    }
}

pub(super) fn bytes(rng: &mut fastrand::Rng, length: u32) -> Vec<u8> {
    let kind = rng.u32(0..4);
    (0..length)
        .map(|index| match kind {
            0 => 0,
            1 => 0xff,
            2 => index as u8,
            _ => rng.u8(..),
        })
        .collect()
}

pub(super) fn offset(rng: &mut fastrand::Rng) -> i64 {
    match rng.u32(0..6) {
        0 => i64::MAX,
        1 => i64::from(rng.u32(..)) << 32,
        2 => -1,
        _ => i64::from(rng.u32(0..1 << 20)),
    }
}

/// Any request a program may send.
pub(super) fn request(rng: &mut fastrand::Rng, known: &[u32]) -> Op {
    match rng.u32(0..8) {
        0 | 1 => Op::Read {
            offset: offset(rng),
            len: length(rng),
        },
        2 | 3 => {
            let length = length(rng);
            Op::Write {
                offset: offset(rng),
                data: bytes(rng, length),
            }
        }
        4 => Op::Flush,
        _ => control(rng, known),
    }
}

/// A device control with ordinary buffers.
pub(super) fn control(rng: &mut fastrand::Rng, known: &[u32]) -> Op {
    let (input, output) = (length(rng), length(rng));
    let code = code(rng, known);
    if rng.bool() {
        Op::Ioctl {
            code,
            input: bytes(rng, input),
            output_len: output,
        }
    } else {
        Op::IoctlWith {
            code,
            input: bytes(rng, input),
            output: bytes(rng, output),
        }
    }
}

/// A request that file systems serve and other drivers refuse: none may be lost, whatever it asks.
pub(super) fn of_file_systems(rng: &mut fastrand::Rng, known: &[u32]) -> Op {
    const MAJORS: [u8; 12] = [
        mj::QUERY_INFORMATION,
        mj::SET_INFORMATION,
        mj::QUERY_EA,
        mj::SET_EA,
        mj::QUERY_VOLUME_INFORMATION,
        mj::SET_VOLUME_INFORMATION,
        mj::DIRECTORY_CONTROL,
        mj::LOCK_CONTROL,
        mj::QUERY_SECURITY,
        mj::SET_SECURITY,
        mj::QUERY_QUOTA,
        mj::SET_QUOTA,
    ];
    if rng.u32(0..4) == 0 {
        let (input, output_len) = (length(rng), length(rng));
        return Op::FsControl {
            code: code(rng, known) & 0xffff | 0x0009_0000, // FILE_DEVICE_FILE_SYSTEM
            input: bytes(rng, input),
            output_len,
        };
    }
    let length = length(rng);
    Op::OfFileSystems {
        major: MAJORS[rng.usize(0..MAJORS.len())],
        minor: rng.u8(0..4),
        class: match rng.u32(0..4) {
            0 => rng.u32(..),
            _ => rng.u32(0..80),
        },
        length,
        data: bytes(rng, length),
    }
}

/// What a program does at the end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Waits for its requests, closes its handles, exits.
    Orderly,
    /// Is killed with requests under way.
    Killed,
}

/// A program at work: an open file, and what it has under way.
pub(super) struct Program {
    process: Arc<Process>,
    handles: Vec<Arc<Handle>>,
    under_way: Arc<UnderWay>,
}

/// Requests that are not back.
struct UnderWay {
    ids: Lock<BTreeSet<IoId>>,
    count: AtomicU64,
    fewer: Event,
}

impl Program {
    /// A program with a handle. None: the device cannot be opened now.
    pub(super) fn open(session: &Session, rng: &mut fastrand::Rng) -> Option<Self> {
        let path = session.path(rng)?;
        let process = Process::new("check.exe");
        let options = OpenOptions {
            options: rng.u32(0..2) << 5,
            ..OpenOptions::default()
        };
        match process.open_with(&path, options) {
            Ok(handle) => {
                session.counts.add("opens", 1);
                Some(Self {
                    process,
                    handles: vec![handle],
                    under_way: Arc::new(UnderWay {
                        ids: Lock::new(BTreeSet::new()),
                        count: AtomicU64::new(0),
                        fewer: Event::new(false, false),
                    }),
                })
            }
            Err(status) => {
                session.counts.add("refused opens", 1);
                session.note_status("opening", status);
                process.kill();
                None
            }
        }
    }

    /// One of its handles.
    pub(super) fn first(&self) -> Arc<Handle> {
        Arc::clone(&self.handles[0])
    }

    /// Waits until there is room for another request; cancels if there is none.
    pub(super) fn drain(&self, session: &Session) {
        self.wait_below(DEPTH);
        session.while_frozen();
        if self.under_way.count.load(Ordering::Acquire) >= DEPTH {
            for handle in &self.handles {
                session.counts.add("cancels", handle.cancel_all() as u64);
            }
        }
    }

    /// Starts a request; notes how it ends.
    pub(super) fn start(&self, session: &Session, handle: &Handle, op: Op) {
        let under_way = Arc::clone(&self.under_way);
        under_way.count.fetch_add(1, Ordering::AcqRel);
        let code = match &op {
            Op::Ioctl { code, .. } | Op::IoctlWith { code, .. } => Some(*code),
            _ => None,
        };
        let seen = match &op {
            Op::Ioctl {
                code,
                input,
                output_len,
            } if input.len() <= LARGEST => Some(Seen {
                code: *code,
                input: input.clone(),
                output_len: *output_len,
            }),
            _ => None,
        };
        let codes = Arc::clone(&session.codes);
        let counts = Arc::clone(&session.counts);
        let id = Arc::new(AtomicU64::new(0));
        let own = Arc::clone(&id);
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let there = Arc::clone(&under_way);
        let number = handle.start(op, move |completion: Completion| {
            is_done.store(true, Ordering::SeqCst);
            counts.completed(completion.status);
            if let Some(code) = code {
                codes.learn(code, completion.status);
            }
            if let Some(seen) = seen.filter(|_| completion.status.is_success()) {
                codes.remember(seen);
            }
            there.ids.lock().remove(&IoId(own.load(Ordering::SeqCst)));
            there.count.fetch_sub(1, Ordering::AcqRel);
            there.fewer.set();
        });
        id.store(number.0, Ordering::SeqCst);
        under_way.ids.lock().insert(number);
        if done.load(Ordering::SeqCst) {
            under_way.ids.lock().remove(&number);
        }
    }

    fn wait_below(&self, limit: u64) {
        while self.under_way.count.load(Ordering::Acquire) >= limit.max(1) {
            let count = Arc::clone(&self.under_way);
            let _waiting = verify::waiting(move || {
                let count = count.count.load(Ordering::Relaxed);
                format!("the end of {count} request(s) of a program")
            });
            // A driver may hold requests for as long as it likes: then something else happens to them.
            if !self.under_way.fewer.wait_timeout(200_000) {
                return;
            }
        }
    }

    /// One step: mostly a request, sometimes a cancel, another handle, a close.
    pub(super) fn step(&mut self, session: &Session, rng: &mut fastrand::Rng) {
        session.while_frozen();
        let Some(handle) = self.handles.get(rng.usize(0..self.handles.len())).cloned() else {
            return;
        };
        match rng.u32(0..32) {
            0 => {
                session.counts.add("cancels", handle.cancel_all() as u64);
            }
            1..=3 => {
                let ids: Vec<IoId> = self.under_way.ids.lock().iter().copied().collect();
                if !ids.is_empty() && handle.cancel(ids[rng.usize(0..ids.len())]) {
                    session.counts.add("cancels", 1);
                }
            }
            4 if self.handles.len() < 4 => {
                if let Ok(other) = handle.duplicate(&self.process) {
                    self.handles.push(other);
                }
            }
            5 if self.handles.len() < 4 => {
                if let Some(path) = session.path(rng)
                    && let Ok(other) = self.process.open(&path, 0xc000_0000, 3)
                {
                    session.counts.add("opens", 1);
                    self.handles.push(other);
                }
            }
            6 if self.handles.len() > 1 => {
                let last = self.handles.swap_remove(rng.usize(0..self.handles.len()));
                last.close();
            }
            _ => {
                let mut known = session.codes.known();
                if rng.u32(0..3) == 0 {
                    known.extend(session.codes.hint(rng));
                }
                let replayed = session.replays && rng.u32(0..3) == 0;
                let op = match session.codes.mutated(rng).filter(|_| replayed) {
                    Some(op) => {
                        session.counts.add("replayed with a change", 1);
                        op
                    }
                    None => (session.mix)(rng, &known),
                };
                self.start(session, &handle, op);
                session.counts.add("requests", 1);
            }
        }
        self.drain(session);
    }

    /// Ends the program; all its requests are back and its handles closed when this returns.
    pub(super) fn end(self, session: &Session, how: End) {
        session.while_frozen();
        if how == End::Orderly {
            for handle in &self.handles {
                session.counts.add("cancels", handle.cancel_all() as u64);
            }
            self.wait_below(1);
            for handle in &self.handles {
                handle.close();
            }
        } else {
            session.counts.add("kills", 1);
        }
        self.process.kill();
    }
}

/// Counts of what was done, shared by all threads of a phase.
impl Counts {
    /// A request came back.
    fn completed(&self, status: NtStatus) {
        self.add(
            if status.is_success() {
                "succeeded"
            } else if status == NtStatus::CANCELLED {
                "canceled"
            } else {
                "refused"
            },
            1,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_by_an_answer_that_is_about_it() {
        let codes = Codes::new(Vec::new());
        codes.learn(1, NtStatus::INVALID_DEVICE_REQUEST);
        codes.learn(2, NtStatus::PROCESS_IS_TERMINATING);
        codes.learn(3, NtStatus::INVALID_PARAMETER);
        codes.learn(4, NtStatus::SUCCESS);
        assert_eq!(codes.known(), [3, 4]);
    }

    #[test]
    fn what_succeeded_is_sent_again_with_a_change() {
        let codes = Codes::new(Vec::new());
        let mut rng = fastrand::Rng::with_seed(1);
        assert_eq!(codes.mutated(&mut rng), None);
        codes.remember(Seen {
            code: 0x22_2000,
            input: vec![1, 2, 3, 4, 5, 6, 7, 8],
            output_len: 8,
        });
        let sent: BTreeSet<String> = (0..100)
            .filter_map(|_| codes.mutated(&mut rng))
            .map(|op| format!("{op:?}"))
            .collect();
        assert!(sent.len() > 20, "{sent:?}");
    }
}
