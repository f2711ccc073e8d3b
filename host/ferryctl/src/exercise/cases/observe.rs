//! Watching: events, latencies, what is in flight; and how many requests are let down at once.

use std::time::Duration;

use anyhow::{Context, ensure};
use ferry_abi::control::{IOCTL_FERRY_WAIT, Measure, Place, ops};

use super::super::Case;
use super::super::bed::{self, Bed, ended, finish, finish_all, transferred};
use crate::observe::Stream;
use crate::platform::{Operation, Result};
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "observe/events-in-order",
        shows: "events are numbered without a gap, and each request's are in the order of its life",
        run: events,
    },
    Case {
        name: "observe/wait-is-cancelable",
        shows: "a pended wait for events can be cancelled, and one without observation is refused",
        run: wait_cancel,
    },
    Case {
        name: "observe/in-flight",
        shows: "requests in flight are listed with the place they are in",
        run: in_flight,
    },
    Case {
        name: "observe/latencies",
        shows: "latencies are counted per operation, those in ferry apart from those below",
        run: latencies,
    },
    Case {
        name: "limit/backlog",
        shows: "no more requests than the limit are below; the others wait, first in first out, and a new limit counts at once",
        run: backlog,
    },
    Case {
        name: "limit/cancel-in-backlog",
        shows: "a request that waits for the limit is cancelled at once",
        run: cancel_in_backlog,
    },
];

/// No case waits for this.
const LONG: Duration = Duration::from_secs(60);

fn events(bed: &Bed<'_>) -> Result<()> {
    let mut stream = Stream::open(bed.platform, bed.filter)?;
    let device = bed.open()?;
    for number in 0..100 {
        transferred(&finish(bed::read(&*device, number, 8)?)?, 8, "a read")?;
    }
    let mut next = None;
    let mut reads = 0;
    while reads < 300 {
        let batch = stream.next(bed::SOON)?.context("events are missing")?;
        ensure!(batch.lost == 0, "{} events were lost", batch.lost);
        for event in batch.events {
            ensure!(
                next.is_none_or(|next| next == event.number),
                "event {} follows where {next:?} should",
                event.number
            );
            next = Some(event.number + 1);
            reads += u32::from(event.op == ops::READ);
        }
    }
    ensure!(
        reads == 300,
        "{reads} events tell of 100 reads that arrived, were sent and completed"
    );
    Ok(())
}

fn wait_cancel(bed: &Bed<'_>) -> Result<()> {
    let ferry = bed.ferry()?;
    let wait = || Operation::control(IOCTL_FERRY_WAIT, Vec::new(), vec![0; 4096]);
    let done = bed::run(&*ferry.device, wait())?;
    ended(
        &done,
        Status::INVALID_DEVICE_STATE,
        "a wait without observation",
    )?;
    ferry.observe(bed.filter)?;
    let pended = ferry.device.start(wait())?;
    // Other controls pass a wait that is pended.
    ferry.info()?;
    ensure!(pended.cancel()?, "there was nothing to cancel");
    ended(&finish(pended)?, Status::CANCELLED, "the cancelled wait")
}

fn in_flight(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device, other) = (bed.ferry()?, bed.open()?, bed.open()?);
    ferry.observe(bed.filter)?;
    bed.latency(LONG)?;
    ferry.hold(bed.filter, ops::WRITE, LONG)?;
    let below = bed::read(&*device, 4096, 128)?;
    let held = bed::write(&*other, 512, &[1; 64])?;
    bed.until(&ferry, "one request held, one below", |entry| {
        (entry.held, entry.below) == (1, 1)
    })?;
    let mut places: Vec<_> = ferry
        .in_flight(bed.filter)?
        .iter()
        .map(|entry| (entry.op, entry.place, entry.offset, entry.length))
        .filter(|(op, ..)| *op != ops::CONTROL)
        .collect();
    places.sort_unstable();
    let wanted = [
        (ops::READ, Place::Below.code(), 4096, 128),
        (ops::WRITE, Place::Held.code(), 512, 64),
    ];
    ensure!(places == wanted, "in flight are {places:?}, not {wanted:?}");
    for pending in [below, held] {
        ensure!(pending.cancel()?, "there was nothing to cancel");
        ended(&finish(pending)?, Status::CANCELLED, "a cancelled request")?;
    }
    Ok(())
}

fn latencies(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    ferry.observe(bed.filter)?;
    let counted = |op, measure| ferry.histogram(bed.filter, op, measure);
    let before = (
        counted(ops::READ, Measure::Inside)?,
        counted(ops::READ, Measure::Below)?,
    );
    bed.latency(Duration::from_millis(40))?;
    ferry.delay(bed.filter, ops::READ, Duration::from_millis(80))?;
    transferred(&finish(bed::read(&*device, 0, 8)?)?, 8, "the read")?;
    let after = (
        counted(ops::READ, Measure::Inside)?,
        counted(ops::READ, Measure::Below)?,
    );
    ensure!(
        (
            after.0.count - before.0.count,
            after.1.count - before.1.count
        ) == (1, 1),
        "not one read was counted in each histogram"
    );
    // The system timer may be early by one tick.
    let (inside, below) = (
        after.0.total - before.0.total,
        after.1.total - before.1.total,
    );
    ensure!(
        inside >= 640_000,
        "the read was in ferry for {inside} units of 100 ns only"
    );
    ensure!(
        below >= 240_000,
        "the read was below for {below} units of 100 ns only"
    );
    Ok(())
}

fn backlog(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    bed.latency(LONG)?;
    ferry.set_limit(bed.filter, 2)?;
    let mut reads: Vec<_> = (0..6)
        .map(|_| bed::read(&*device, 0, 8))
        .collect::<Result<_>>()?;
    let is = |below, backlog| {
        move |entry: &ferry_abi::control::Device| (entry.below, entry.backlog) == (below, backlog)
    };
    bed.until(&ferry, "2 below and 4 in the backlog", is(2, 4))?;
    ferry.set_limit(bed.filter, 4)?;
    bed.until(&ferry, "4 below and 2 in the backlog", is(4, 2))?;
    ferry.set_limit(bed.filter, 1)?;
    let first = reads.remove(0);
    ensure!(first.cancel()?, "there was nothing to cancel");
    ended(&finish(first)?, Status::CANCELLED, "the first read")?;
    bed.until(&ferry, "3 below and 2 in the backlog", is(3, 2))?;
    ferry.set_limit(bed.filter, 0)?;
    bed.until(&ferry, "5 below and none in the backlog", is(5, 0))?;
    ensure!(device.cancel_all()?, "there was nothing to cancel");
    finish_all(reads, Status::CANCELLED).map(drop)
}

fn cancel_in_backlog(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    bed.latency(LONG)?;
    ferry.set_limit(bed.filter, 1)?;
    let first = bed::read(&*device, 0, 8)?;
    let waiting = bed::read(&*device, 0, 8)?;
    bed.until(&ferry, "one in the backlog", |entry| entry.backlog == 1)?;
    ensure!(waiting.cancel()?, "there was nothing to cancel");
    ended(&finish(waiting)?, Status::CANCELLED, "the waiting read")?;
    bed.until(&ferry, "one below, none in the backlog", |entry| {
        (entry.below, entry.backlog) == (1, 0)
    })?;
    ensure!(first.cancel()?, "there was nothing to cancel");
    ended(&finish(first)?, Status::CANCELLED, "the read below")
}
