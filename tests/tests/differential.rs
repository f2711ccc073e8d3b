//! The same programs with and without ferry: nothing a program or the device can see may differ (filter-rules 4, 5, 16; issue 5).
//!
//! A seed makes a list of steps: opens, reads, writes, controls, flushes and cancels of several programs. The list runs on a stack
//! without ferry and on the same stack with ferry, once per way a request can travel. Compared are how every operation ended, and how every
//! IRP arrived at the device: `wdm-witness.sys`, right above it, notes that.
//!
//! `FERRY_SEED` and `FERRY_STEPS` choose another list and a longer one.

use std::sync::{Arc, Mutex};

use drydock::nt::app::{Completion, IoId, Op};
use drydock::nt::status::NtStatus;
use ferry_abi::control::{IOCTL_FERRY_POLICY, PolicyKind, SetPolicy};
use ferry_abi::pier;
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program, Session};
use zerocopy::IntoBytes;

/// Steps of one list: more than 100,000 operations with the twelve lower drivers.
const STEPS: usize = 10_000;
/// Handles open at a time.
const SLOTS: usize = 4;
/// Operations waiting at a time.
const WAITING: usize = 24;

const BUFFERED: u32 = 0;
const IN_DIRECT: u32 = 1;
const OUT_DIRECT: u32 = 2;
const NEITHER: u32 = 3;

/// A control code of the drivers in C.
const fn code(number: u32, method: u32) -> u32 {
    0x22 << 16 | (0x800 + number) << 2 | method
}

/// `CODE_ARRIVALS` of the witness, and the size of one of its notes.
const ARRIVALS: u32 = code(0x101, BUFFERED);
const ARRIVAL: usize = 48;

/// A device to be filtered, and what its programs do.
struct Lower {
    image: &'static str,
    /// Its name; none: pier's interface.
    name: Option<&'static str>,
    /// Codes it knows.
    codes: &'static [u32],
    /// The control that ends what nobody can cancel.
    finish: Option<u32>,
    /// What waits at the end ends by itself, in a thread of its own: wait for each operation before the next.
    patient: bool,
}

const fn wdm(image: &'static str, name: &'static str, codes: &'static [u32]) -> Lower {
    Lower {
        image,
        name: Some(name),
        codes,
        finish: None,
        patient: false,
    }
}

const INLINE: Lower = wdm(
    "c/wdm-inline.sys",
    "TestInline",
    &[code(0, BUFFERED), code(1, IN_DIRECT), code(2, OUT_DIRECT)],
);
const PASSIVE: Lower = wdm("c/wdm-passive.sys", "TestPassive", &[]);
const HANDLE: Lower = wdm("c/wdm-handle.sys", "TestHandle", &[code(0, BUFFERED)]);
const RAW: Lower = wdm("c/wdm-neither.sys", "TestNeither", &[code(0, NEITHER)]);
const UNTIL_CANCELED: Lower = wdm("c/wdm-until-canceled.sys", "TestUntilCanceled", &[]);
const IGNORES_CANCEL: Lower = Lower {
    finish: Some(code(1, BUFFERED)),
    ..wdm(
        "c/wdm-ignores-cancel.sys",
        "TestIgnoresCancel",
        &[code(1, BUFFERED), code(2, BUFFERED)],
    )
};
const EARLY: Lower = wdm("c/wdm-early.sys", "TestEarly", &[]);
const WARNING: Lower = wdm("c/wdm-warning.sys", "TestWarning", &[code(0, BUFFERED)]);
const MESSAGE: Lower = wdm("c/wdm-message.sys", "TestMessage", &[]);
const MANUAL: Lower = wdm("c/manual.sys", "TestManual", &[]);
const POWER: Lower = wdm(
    "c/power.sys",
    "TestPower",
    &[code(1, BUFFERED), code(2, BUFFERED)],
);
const PIER: Lower = Lower {
    image: "pier.sys",
    name: None,
    codes: &[
        pier::IOCTL_PIER_ECHO.0,
        pier::IOCTL_PIER_SUM.0,
        pier::IOCTL_PIER_ECHO_DIRECT.0,
        pier::IOCTL_PIER_ECHO_NEITHER.0,
    ],
    finish: None,
    patient: true,
};

/// What one operation is.
#[derive(Clone, Debug)]
enum Step {
    Open(usize),
    Close(usize),
    Start(usize, Op),
    /// Cancels one of those that wait.
    Cancel(usize),
}

/// A length a program might choose: nothing, one byte, a page, and what is around and between.
fn length(random: &mut fastrand::Rng) -> u32 {
    match random.u32(..10) {
        0 => 0,
        1 => 1,
        2 => 4,
        3 => random.u32(2..16),
        4..=7 => random.u32(..600),
        8 => random.u32(4090..4100),
        _ => random.u32(..9000),
    }
}

fn offset(random: &mut fastrand::Rng) -> i64 {
    match random.u32(..8) {
        0 | 1 => 0,
        2..=5 => random.i64(..4096),
        6 => random.i64(4080..4100),
        _ => random.i64(..i64::from(u32::MAX)),
    }
}

fn bytes(random: &mut fastrand::Rng, len: u32) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    random.fill(&mut bytes);
    bytes
}

fn operation(lower: &Lower, random: &mut fastrand::Rng) -> Op {
    let len = length(random);
    match random.u32(..12) {
        0..=3 => Op::Read {
            offset: offset(random),
            len,
        },
        4..=6 => Op::Write {
            offset: offset(random),
            data: bytes(random, len),
        },
        7..=9 if !lower.codes.is_empty() => {
            let code = *random.choice(lower.codes).unwrap_or(&0);
            let output_len = length(random);
            // Where the control stores to or fetches from, more often than chance would have it.
            let input = if random.bool() {
                random.u32(..5000).to_le_bytes().to_vec()
            } else {
                bytes(random, len)
            };
            // What a device reads from the second buffer is part of the list.
            if code & 3 != IN_DIRECT && random.bool() {
                Op::Ioctl {
                    code,
                    input,
                    output_len,
                }
            } else {
                Op::IoctlWith {
                    code,
                    input,
                    output: bytes(random, output_len),
                }
            }
        }
        10 => Op::Flush,
        11 if random.bool() => Op::Internal {
            code: code(random.u32(0x200..0x7ff), random.u32(..3)),
            input: bytes(random, len),
            output_len: length(random),
        },
        _ => Op::Ioctl {
            code: code(random.u32(0x200..0x7ff), random.u32(..4)),
            input: bytes(random, len),
            output_len: length(random),
        },
    }
}

/// The list a seed stands for. It does not depend on any answer.
fn steps(lower: &Lower, seed: u64, count: usize) -> Vec<Step> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count)
        .map(|_| match random.u32(..40) {
            0..=2 => Step::Open(random.usize(..SLOTS)),
            3 => Step::Close(random.usize(..SLOTS)),
            4..=7 => Step::Cancel(random.usize(..WAITING)),
            _ => Step::Start(random.usize(..SLOTS), operation(lower, &mut random)),
        })
        .collect()
}

/// What one run showed.
#[derive(Default)]
struct Seen {
    /// How each operation ended, by number.
    ends: Vec<Completion>,
    /// How each IRP arrived at the device.
    arrivals: Vec<u8>,
}

type Slot = Arc<Mutex<Option<Completion>>>;

/// An operation that has not ended.
struct Waiting {
    number: usize,
    slot: usize,
    id: IoId,
    end: Slot,
}

/// One run of a list.
struct Run<'a> {
    lower: &'a Lower,
    path: String,
    handles: Vec<Option<Session>>,
    waiting: Vec<Waiting>,
    ends: Vec<Option<Completion>>,
    /// Reads the witness.
    notary: Session,
    arrivals: Vec<u8>,
}

impl<'a> Run<'a> {
    fn new(lower: &'a Lower) -> Self {
        let path = lower
            .name
            .map_or_else(Bed::device_path, |name| format!(r"\\.\{name}"));
        let notary = Program::new().open(&path);
        let handles = (0..SLOTS)
            .map(|_| Some(Program::new().open(&path)))
            .collect();
        Self {
            lower,
            path,
            handles,
            waiting: Vec::new(),
            ends: Vec::new(),
            notary,
            arrivals: Vec::new(),
        }
    }

    /// Takes over what has ended since.
    fn collect(&mut self) {
        let ends = &mut self.ends;
        self.waiting.retain(|waiting| {
            let ended = waiting.end.lock().ok().and_then(|mut end| end.take());
            let waits = ended.is_none();
            if let Some(end) = ended {
                ends[waiting.number] = Some(end);
            }
            waits
        });
    }

    fn start(&mut self, slot: usize, op: Op) {
        let Some(session) = &self.handles[slot] else {
            return;
        };
        let number = self.ends.len();
        self.ends.push(None);
        if self.lower.patient {
            self.ends[number] = Some(session.start(op).wait());
            return;
        }
        let end = Slot::default();
        let place = end.clone();
        let id = session.handle.start(op, move |completion| {
            if let Ok(mut place) = place.lock() {
                *place = Some(completion);
            }
        });
        self.waiting.push(Waiting {
            number,
            slot,
            id,
            end,
        });
    }

    fn cancel(&mut self, index: usize) {
        let Some(waiting) = self.waiting.get(index) else {
            return;
        };
        if let Some(session) = &self.handles[waiting.slot] {
            // Whether a driver had a cancel routine at that moment is its affair; how the operation ends is compared.
            let _ = session.handle.cancel(waiting.id);
        }
    }

    fn note_arrivals(&mut self) {
        let output_len = u32::try_from(ARRIVAL * 256).unwrap_or(0);
        let op = Op::Ioctl {
            code: ARRIVALS,
            input: Vec::new(),
            output_len,
        };
        self.arrivals.extend(self.notary.start(op).wait().data);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Open(slot) => {
                if self.handles[*slot].is_none() {
                    self.handles[*slot] = Some(Program::new().open(&self.path));
                }
            }
            // A handle with something under way stays open: when CLEANUP comes is then the last operation's affair.
            Step::Close(slot) => {
                if self.waiting.iter().all(|waiting| waiting.slot != *slot)
                    && let Some(session) = self.handles[*slot].take()
                {
                    session.close();
                }
            }
            Step::Start(slot, op) => {
                if self.waiting.len() < WAITING {
                    self.start(*slot, op.clone());
                } else if self.lower.finish.is_some() {
                    self.finish();
                } else {
                    self.cancel(0);
                }
            }
            Step::Cancel(index) => self.cancel(*index),
        }
        self.collect();
    }

    /// Has the device end what nobody can cancel.
    fn finish(&self) {
        if let Some(code) = self.lower.finish {
            let op = Op::Ioctl {
                code,
                input: Vec::new(),
                output_len: 0,
            };
            let ended = self.notary.start(op).wait();
            assert_eq!(ended.status, NtStatus::SUCCESS);
        }
    }

    /// Ends what waits, closes everything.
    fn end(mut self) -> Seen {
        for index in 0..self.waiting.len() {
            self.cancel(index);
        }
        self.finish();
        self.collect();
        assert!(
            self.waiting.is_empty(),
            "{} operations are lost",
            self.waiting.len()
        );
        for session in self.handles.drain(..).flatten() {
            session.close();
        }
        self.note_arrivals();
        self.notary.close();
        Seen {
            ends: self.ends.into_iter().flatten().collect(),
            arrivals: self.arrivals,
        }
    }
}

/// Runs the list on the lower driver, its witness, and what stands above.
fn run(lower: &Lower, above: &[&str], policy: Option<PolicyKind>, list: &[Step]) -> Seen {
    let images: Vec<&str> = [lower.image, "c/wdm-witness.sys"]
        .into_iter()
        .chain(above.iter().copied())
        .collect();
    let bed = Bed::of(&images);
    let controller = policy.map(|policy| {
        let controller = Program::new().open_ferry();
        let set = SetPolicy::new(controller.device().id, policy as u32);
        controller.tell(IOCTL_FERRY_POLICY, set.as_bytes());
        controller
    });
    let mut run = Run::new(lower);
    for (number, step) in list.iter().enumerate() {
        run.step(step);
        if number % 64 == 63 {
            run.note_arrivals();
        }
    }
    let seen = run.end();
    if let Some(controller) = controller {
        controller.close();
    }
    bed.end();
    seen
}

fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Compares a stack without ferry with the same stack with it.
fn compare(lower: &Lower) {
    let seed = number_from("FERRY_SEED").unwrap_or(1);
    let count =
        number_from("FERRY_STEPS").map_or(STEPS, |count| usize::try_from(count).unwrap_or(STEPS));
    let list = steps(lower, seed, count);
    let alone = run(lower, &[], None, &list);
    assert!(
        alone.ends.len() > count / 2 && alone.arrivals.len() > count / 2 * ARRIVAL,
        "the list must be about something"
    );
    let between = run(lower, &["c/toaster.sys"], None, &list);
    let compared: &[(&Seen, &[&str], Option<PolicyKind>)] = &[
        (&alone, &["ferry.sys"], None),
        (&alone, &["ferry.sys"], Some(PolicyKind::SendAndForget)),
        (&alone, &["ferry.sys"], Some(PolicyKind::Bypass)),
        (&alone, &["ferry.sys", "ferry.sys"], None),
        (&between, &["ferry.sys", "c/toaster.sys"], None),
        (&between, &["c/toaster.sys", "ferry.sys"], None),
    ];
    for (without, above, policy) in compared {
        let with = run(lower, above, *policy, &list);
        let what = format!(
            "{} under {above:?}, {policy:?}, FERRY_SEED={seed}",
            lower.image
        );
        for (number, (without, with)) in without.ends.iter().zip(&with.ends).enumerate() {
            assert_eq!(without, with, "{what}: operation {number} ended otherwise");
        }
        let notes = without
            .arrivals
            .chunks(ARRIVAL)
            .zip(with.arrivals.chunks(ARRIVAL));
        for (number, (without, with)) in notes.enumerate() {
            assert_eq!(without, with, "{what}: IRP {number} arrived otherwise");
        }
        assert_eq!(without.ends.len(), with.ends.len(), "{what}");
        assert_eq!(without.arrivals.len(), with.arrivals.len(), "{what}");
    }
    println!(
        "{}: {} operations, {} arrivals, equal in {} stacks",
        lower.image,
        alone.ends.len(),
        alone.arrivals.len() / ARRIVAL,
        compared.len()
    );
}

rusty_fork_test! {
    #[test]
    fn memory_that_completes_inline_cannot_tell_ferry_is_there() { compare(&INLINE); }

    #[test]
    fn a_driver_for_passive_level_cannot_tell_ferry_is_there() { compare(&PASSIVE); }

    #[test]
    fn a_driver_with_state_per_handle_cannot_tell_ferry_is_there() { compare(&HANDLE); }

    #[test]
    fn a_driver_of_raw_addresses_cannot_tell_ferry_is_there() { compare(&RAW); }

    #[test]
    fn a_driver_that_waits_for_cancel_cannot_tell_ferry_is_there() { compare(&UNTIL_CANCELED); }

    #[test]
    fn a_driver_that_ignores_cancel_cannot_tell_ferry_is_there() { compare(&IGNORES_CANCEL); }

    #[test]
    fn a_driver_that_completes_before_it_says_pending_cannot_tell_ferry_is_there() { compare(&EARLY); }

    #[test]
    fn a_driver_that_warns_cannot_tell_ferry_is_there() { compare(&WARNING); }

    #[test]
    fn a_driver_of_messages_cannot_tell_ferry_is_there() { compare(&MESSAGE); }

    #[test]
    fn a_kmdf_meeting_place_cannot_tell_ferry_is_there() { compare(&MANUAL); }

    #[test]
    fn a_kmdf_device_with_power_cannot_tell_ferry_is_there() { compare(&POWER); }

    #[test]
    fn pier_cannot_tell_ferry_is_there() { compare(&PIER); }
}
