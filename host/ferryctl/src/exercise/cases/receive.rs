//! How requests reach a driver, and that a request stays the same on its way.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use ferry_abi::control::{EventKind, ops};
use ferry_abi::pier::{self, action};

use super::super::Case;
use super::super::bed::{
    self, Bed, ended, finish, finish_all, pattern, still_pending, transferred,
};
use crate::observe::Stream;
use crate::platform::Result;
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "own/one-request-all-the-way",
        shows: "a request that is held, released, sent and answered late is the same request in every place",
        run: one_request,
    },
    Case {
        name: "receive/parallel",
        shows: "pier is given a read while it still has another one",
        run: parallel,
    },
    Case {
        name: "receive/sequential",
        shows: "pier is given a write only when it has ended the one before",
        run: sequential,
    },
    Case {
        name: "receive/manual",
        shows: "pier takes slow requests out of a manual queue when their time has come, in the order they came",
        run: manual,
    },
];

/// No case waits for this.
const LONG: Duration = Duration::from_secs(60);

fn one_request(bed: &Bed<'_>) -> Result<()> {
    let mut stream = Stream::open(bed.platform, bed.filter)?;
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    ferry.hold(bed.filter, ops::READ, LONG)?;
    bed.latency(Duration::from_millis(20))?;
    let read = bed::read(&*device, 512, 64)?;
    bed.until_held(&ferry, 1)?;
    ferry.release(bed.filter, 0)?;
    transferred(&finish(read)?, 64, "the read")?;
    let (mut seen, mut numbers) = (Vec::new(), BTreeSet::new());
    while seen.last() != Some(&EventKind::Completed.code()) {
        let batch = stream
            .next(bed::SOON)?
            .context("no event tells of the end of the read")?;
        for event in batch.events.iter().filter(|event| event.op == ops::READ) {
            seen.push(event.kind);
            numbers.insert((event.request, event.handle));
            ensure!(
                (event.offset, event.length) == (512, 64),
                "an event speaks of another request: offset {}, length {}",
                event.offset,
                event.length
            );
        }
    }
    ensure!(
        numbers.len() == 1,
        "the request had several numbers or handles: {numbers:?}"
    );
    let whole = [
        EventKind::Arrived,
        EventKind::Held,
        EventKind::Sent,
        EventKind::Completed,
    ];
    ensure!(
        seen == whole.map(EventKind::code),
        "the events were of kinds {seen:?}, not arrived, held, sent, completed"
    );
    Ok(())
}

fn parallel(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let before = bed.pier_state()?.faulted;
    bed.fault(ops::READ, action::STUCK, |fault| fault.count = 1)?;
    let mut first = bed::read(&*device, 0, 16)?;
    bed.until_faulted(before, 1)?;
    transferred(&finish(bed::read(&*device, 0, 16)?)?, 16, "the second read")?;
    still_pending(&mut *first, "the first read")?;
    ensure!(first.cancel()?, "there was nothing to cancel");
    ended(&finish(first)?, Status::CANCELLED, "the first read")
}

fn sequential(bed: &Bed<'_>) -> Result<()> {
    let (ferry, one, two) = (bed.ferry()?, bed.open()?, bed.open()?);
    let before = bed.pier_state()?.faulted;
    bed.fault(ops::WRITE, action::STUCK, |fault| fault.count = 1)?;
    let first = bed::write(&*one, 0, &[1; 16])?;
    bed.until_faulted(before, 1)?;
    let mut second = bed::write(&*two, 0, &[2; 16])?;
    bed.until_in_flight(&ferry, 2)?;
    // A read and the control that asks pass meanwhile: they have queues of their own.
    transferred(&finish(bed::read(&*one, 0, 16)?)?, 16, "a read meanwhile")?;
    let state = bed.pier_state()?;
    ensure!(
        state.outstanding <= 2,
        "pier was given {} requests, the second write among them",
        state.outstanding
    );
    still_pending(&mut *second, "the second write")?;
    ensure!(first.cancel()?, "there was nothing to cancel");
    ended(&finish(first)?, Status::CANCELLED, "the first write")?;
    transferred(&finish(second)?, 16, "the second write")
}

fn manual(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let before = bed.pier_state()?.from_dpc;
    bed.latency(Duration::from_millis(30))?;
    let data = pattern(3, 16);
    let write = bed::write(&*device, 0, &data)?;
    let read = bed::read(&*device, 0, 16)?;
    let echo = device.start(crate::platform::Operation::control(
        pier::IOCTL_PIER_ECHO,
        vec![7; 8],
        vec![0; 8],
    ))?;
    let done = finish_all([write, read, echo], Status::SUCCESS)?;
    ensure!(
        done[1].data == data,
        "the read was answered before the write that came first"
    );
    let after = bed.pier_state()?.from_dpc;
    ensure!(
        after - before == 3,
        "the DPC answered {} of 3 requests",
        after - before
    );
    Ok(())
}
