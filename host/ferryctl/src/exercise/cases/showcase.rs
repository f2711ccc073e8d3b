//! What neither ferry nor pier needs by nature: shown by the example driver `showcase.sys` (tests/drivers/showcase) between them.
//!
//! Where that driver is not in the stack these cases are skipped, and say so.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::super::Case;
use super::super::bed::{self, Bed, Skipped, ended, finish, pattern, transferred};
use crate::platform::{Device, Operation, Result};
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "showcase/own-read-write-control",
        shows: "a driver makes a request of its own, formats it as read, write or control, sends it synchronously and deletes it",
        run: own_requests,
    },
    Case {
        name: "showcase/own-flush-query-set",
        shows: "a driver sends flush, query and set information for the file of its caller, and the lower driver's refusal comes up",
        run: flush_query_set,
    },
    Case {
        name: "showcase/poll-is-canceled",
        shows: "a driver that looks between its sub-requests whether its request was cancelled stops there",
        run: poll,
    },
    Case {
        name: "showcase/cancel-forwarded-told",
        shows: "a request forwarded to a queue with EvtIoCanceledOnQueue is cancelled there, and the driver is told",
        run: |bed| waits(bed, 0, 1, 0),
    },
    Case {
        name: "showcase/cancel-forwarded-silent",
        shows: "a request forwarded to a queue without EvtIoCanceledOnQueue is cancelled there by the framework",
        run: |bed| waits(bed, 1, 0, 0),
    },
    Case {
        name: "showcase/cancel-requeued-told",
        shows: "a request put back into a queue with EvtIoCanceledOnQueue is cancelled there, and the driver is told",
        run: |bed| waits(bed, 2, 1, 1),
    },
    Case {
        name: "showcase/cancel-requeued-silent",
        shows: "a request put back into a queue without EvtIoCanceledOnQueue is cancelled there by the framework",
        run: |bed| waits(bed, 3, 0, 1),
    },
];

const fn code(number: u32) -> u32 {
    0x22 << 16 | (0xB00 | number) << 2
}
const HELLO: u32 = code(0);
const FORMAT: u32 = code(1);
const POLL: u32 = code(2);
const WAIT: u32 = code(3);
const COUNTS: u32 = code(4);

fn ask(code: u32, input: u32, output: usize) -> Operation {
    Operation::Control {
        code,
        input: input.to_le_bytes().to_vec(),
        output: vec![0; output],
    }
}

/// A handle to a device whose stack has the example driver in it.
fn open(bed: &Bed<'_>) -> Result<Box<dyn Device>> {
    let device = bed.open()?;
    let done = bed::run(&*device, ask(HELLO, 0, 4))?;
    if done.data == b"show" {
        Ok(device)
    } else {
        Err(Skipped("the example driver showcase.sys is not in this stack").into())
    }
}

/// Sub-requests of polls, cancellations told of, requests put back, requests that wait.
fn counts(device: &dyn Device) -> Result<[u32; 4]> {
    let done = bed::run(device, ask(COUNTS, 0, 16))?;
    transferred(&done, 16, "the control that asks for counts")?;
    let (words, _) = done.data.as_chunks::<4>();
    let mut counts = [0; 4];
    for (count, word) in counts.iter_mut().zip(words) {
        *count = u32::from_le_bytes(*word);
    }
    Ok(counts)
}

fn own_requests(bed: &Bed<'_>) -> Result<()> {
    let device = open(bed)?;
    let data = pattern(51, 64);
    transferred(
        &finish(bed::write(&*device, 0, &data)?)?,
        64,
        "the write before",
    )?;
    // Read into the driver's memory; echoed there; written from there.
    for (way, what) in [(0, "read"), (2, "control")] {
        ended(
            &bed::run(&*device, ask(FORMAT, way, 0))?,
            Status::SUCCESS,
            &format!("the driver's own {what}"),
        )?;
    }
    transferred(
        &finish(bed::write(&*device, 0, &[0; 64])?)?,
        64,
        "a write in between",
    )?;
    ended(
        &bed::run(&*device, ask(FORMAT, 1, 0))?,
        Status::SUCCESS,
        "the driver's own write",
    )?;
    let done = finish(bed::read(&*device, 0, 64)?)?;
    ensure!(
        done.data == data,
        "the driver's own write wrote something else than its own read had read"
    );
    Ok(())
}

fn flush_query_set(bed: &Bed<'_>) -> Result<()> {
    let device = open(bed)?;
    for (way, what) in [
        (3, "flush"),
        (4, "query information"),
        (5, "set information"),
    ] {
        let done = bed::run(&*device, ask(FORMAT, way, 0))?;
        ended(
            &done,
            Status::INVALID_DEVICE_REQUEST,
            &format!("the driver's own {what}"),
        )?;
    }
    Ok(())
}

fn poll(bed: &Bed<'_>) -> Result<()> {
    const MANY: u32 = 100_000;
    let (device, other) = (open(bed)?, bed.open()?);
    let before = counts(&*other)?[0];
    bed.latency(Duration::from_millis(2))?;
    let polling = device.start(ask(POLL, MANY, 0))?;
    let deadline = Instant::now() + bed::SOON;
    while counts(&*other)?[0] < before + 3 {
        ensure!(Instant::now() < deadline, "the driver sent no sub-requests");
    }
    ensure!(polling.cancel()?, "there was nothing to cancel");
    ended(
        &finish(polling)?,
        Status::CANCELLED,
        "the control that polls",
    )?;
    let sent = counts(&*other)?[0] - before;
    ensure!(
        sent < MANY,
        "all {sent} sub-requests were sent all the same"
    );
    Ok(())
}

fn waits(bed: &Bed<'_>, place: u32, told: u32, put_back: u32) -> Result<()> {
    let (device, other) = (open(bed)?, bed.open()?);
    let before = counts(&*other)?;
    let waiting = device.start(ask(WAIT, place, 0))?;
    let deadline = Instant::now() + bed::SOON;
    while counts(&*other)?[3] == 0 {
        ensure!(Instant::now() < deadline, "the request does not wait");
    }
    ensure!(waiting.cancel()?, "there was nothing to cancel");
    ended(
        &finish(waiting)?,
        Status::CANCELLED,
        "the request that waited",
    )?;
    let after = counts(&*other)?;
    let moved = (after[1] - before[1], after[2] - before[2], after[3]);
    ensure!(
        moved == (told, put_back, 0),
        "told of, put back, waiting are {moved:?}, not {:?}",
        (told, put_back, 0)
    );
    Ok(())
}
