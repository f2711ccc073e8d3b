//! Requests no program sends: without a file, with one nobody opened, for paging, at a raised level, before the start, during a
//! stop. Drivers above, file systems and the memory manager send them.

use super::super::bed::Bed;
use super::super::inf::Inf;
use super::super::options::Options;
use super::super::traffic;
use super::{Counts, Session, stress};
use crate::nt::abi::{Address, DeviceObject};
use crate::nt::app::{Handle, Op, Process, RawFile, RawIo, RawRequest};
use crate::nt::device;
use crate::nt::thread::{APC_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::sched::{Event, Lock};
use crate::verify;
use std::sync::Arc;

/// Requests that were sent, and how many are not back.
struct Burst {
    process: Arc<Process>,
    sent: Vec<RawIo>,
    left: Arc<(Lock<u64>, Event)>,
}

impl Burst {
    fn new() -> Self {
        Self {
            process: Process::new("System"),
            sent: Vec::new(),
            left: Arc::new((Lock::new(0), Event::new(false, false))),
        }
    }

    fn send(&mut self, device: Address<DeviceObject>, request: RawRequest, counts: &Counts) {
        *self.left.0.lock() += 1;
        let left = Arc::clone(&self.left);
        let sent = self.process.send(device, request, move |_| {
            *left.0.lock() -= 1;
            left.1.set();
        });
        match sent {
            Ok(io) => {
                self.sent.push(io);
                counts.add("requests", 1);
            }
            Err(_) => *self.left.0.lock() -= 1,
        }
    }

    /// Cancels what is not back, and waits for it.
    fn end(self, counts: &Counts) {
        let cancels = self.sent.iter().filter(|io| io.cancel()).count();
        counts.add("cancels", cancels as u64);
        let left = Arc::clone(&self.left);
        let _waiting = verify::waiting(move || {
            format!(
                "{} canceled request(s) that no program sent",
                *left.0.lock()
            )
        });
        while *self.left.0.lock() != 0 {
            self.left.1.wait_timeout(100_000);
        }
        self.process.kill();
    }
}

fn plain(rng: &mut fastrand::Rng) -> Op {
    let length = traffic::length(rng);
    if rng.bool() {
        Op::Read {
            offset: 0,
            len: length,
        }
    } else {
        Op::Write {
            offset: 0,
            data: traffic::bytes(rng, length),
        }
    }
}

/// `handle`: the file the request is about; none for one no program has.
fn request(
    rng: &mut fastrand::Rng,
    known: &[u32],
    dispatch: bool,
    handle: Option<&Arc<Handle>>,
) -> RawRequest {
    let op = if rng.bool() {
        plain(rng)
    } else {
        traffic::control(rng, known)
    };
    let paging =
        matches!(op, Op::Read { .. } | Op::Write { .. }) && handle.is_none() && rng.u32(0..3) == 0;
    // A kernel-mode control with random content would be trusted rightly: such a request comes from a program here.
    let kernel = !matches!(op, Op::Ioctl { .. } | Op::IoctlWith { .. });
    let level = match rng.u32(0..4) {
        0 => APC_LEVEL,
        1 if dispatch => DISPATCH_LEVEL,
        _ => PASSIVE_LEVEL,
    };
    let file = match handle {
        Some(handle) => RawFile::Of(Arc::clone(handle)),
        None if rng.bool() => RawFile::None,
        None => RawFile::Unopened,
    };
    RawRequest {
        op,
        file,
        paging,
        kernel,
        level,
    }
}

/// Sends requests to a stack that is not started yet, cancels half of them at once and the others after the start.
///
/// # Errors
/// As [`Bed::up`].
pub(super) fn before_start(
    options: &Options,
    inf: Option<&Inf>,
    counts: &Counts,
) -> Result<Bed, String> {
    let mut rng = fastrand::Rng::with_seed(options.seed);
    let mut bed = Bed::load(options, inf)?;
    if let Err(reason) = bed.add() {
        bed.down()?;
        return Err(reason);
    }
    let (mut now, mut later) = (Burst::new(), Burst::new());
    for top in bed.tops() {
        for _ in 0..8 {
            now.send(top, request(&mut rng, &[], false, None), counts);
            later.send(top, request(&mut rng, &[], false, None), counts);
        }
    }
    now.end(counts);
    let started = bed.start();
    later.end(counts);
    match started {
        Ok(()) => Ok(bed),
        Err(reason) => {
            bed.down()?;
            Err(reason)
        }
    }
}

/// Odd requests to a started device, and across stops.
pub(super) fn run(session: &Arc<Session>) {
    let mut rng = session.rng(7);
    while !session.is_over() {
        let mut tops = session
            .bed
            .lock()
            .as_ref()
            .map(Bed::tops)
            .unwrap_or_default();
        let node = session
            .bed
            .lock()
            .as_ref()
            .and_then(|bed| bed.node().cloned());
        if tops.is_empty() {
            session.note("there is no device to send to".to_owned());
            return;
        }
        let mut burst = Burst::new();
        // Without the option, all of it is about files that programs have opened.
        let mut handle = None;
        if !session.kernel {
            let path = session.path(&mut rng);
            let opened = path.map(|path| burst.process.open(&path, 0xc000_0000, 3));
            let Some(Ok(opened)) = opened else {
                session.counts.add("refused opens", 1);
                burst.end(&session.counts);
                stress::pause();
                continue;
            };
            tops = vec![Address(device::related(opened.file()))];
            handle = Some(opened);
        }
        let known = session.codes.known();
        let some = |burst: &mut Burst, rng: &mut fastrand::Rng| {
            for _ in 0..rng.u32(1..16) {
                let top = tops[rng.usize(0..tops.len())];
                let request = request(rng, &known, session.dispatch, handle.as_ref());
                burst.send(top, request, &session.counts);
            }
        };
        some(&mut burst, &mut rng);
        if let Some(node) = node
            && rng.bool()
            && node.query_stop().is_ok()
        {
            some(&mut burst, &mut rng);
            let stopped = node.stop().is_ok();
            some(&mut burst, &mut rng);
            if stopped && let Err(status) = node.start() {
                session.fail(format!(
                    "the device does not start again after a stop: {status}"
                ));
                burst.end(&session.counts);
                return;
            }
            session.counts.add("restarts", 1);
        }
        some(&mut burst, &mut rng);
        burst.end(&session.counts);
        stress::pause();
    }
}
