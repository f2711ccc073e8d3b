//! Cancellation, wherever the request is.

use std::time::{Duration, Instant};

use anyhow::ensure;
use ferry_abi::control::ops;
use ferry_abi::pier::{self, action};

use super::super::Case;
use super::super::bed::{self, Bed, ended, finish, finish_all, transferred};
use crate::platform::{Device, Operation, Pending, Result};
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "pier/latency",
        shows: "pier takes as long as it was told, and completes from its timer",
        run: latency,
    },
    Case {
        name: "cancel/at-pier",
        shows: "a request that pier keeps is cancelled through ferry, and ends with STATUS_CANCELLED",
        run: at_pier,
    },
    Case {
        name: "cancel/before-delivery",
        shows: "a write that waits undelivered in the queue writes are dispatched to is cancelled without pier ever seeing it",
        run: before_delivery,
    },
    Case {
        name: "cancel/marked",
        shows: "a request pier has marked cancelable is cancelled through its EvtRequestCancel",
        run: marked,
    },
    Case {
        name: "cancel/unmarked",
        shows: "closing a handle makes pier take back what it had marked cancelable, and end it",
        run: unmarked,
    },
    Case {
        name: "cancel/enqueued-from-caller",
        shows: "a METHOD_NEITHER control that was enqueued from its caller's context is cancelled while it waits",
        run: enqueued,
    },
    Case {
        name: "cancel/handle-closed-at-pier",
        shows: "closing a handle ends its requests that pier keeps",
        run: handle_closed_at_pier,
    },
    Case {
        name: "cancel/all-places-at-once",
        shows: "cancelling a handle ends its requests wherever they are: held, delayed, at pier",
        run: all_places,
    },
    Case {
        name: "cancel/too-late",
        shows: "cancelling what is finished finds nothing and changes nothing",
        run: too_late,
    },
    Case {
        name: "cancel/race",
        shows: "a cancel that races with the answer ends each request once, with one of the two statuses",
        run: race,
    },
];

/// No case waits for this.
const LONG: Duration = Duration::from_secs(60);

fn latency(bed: &Bed<'_>) -> Result<()> {
    let (takes, tick) = (Duration::from_millis(80), Duration::from_millis(16));
    let device = bed.open()?;
    bed.latency(takes)?;
    let start = Instant::now();
    transferred(&finish(bed::read(&*device, 0, 8)?)?, 8, "the slow read")?;
    let waited = start.elapsed();
    ensure!(
        waited + tick >= takes,
        "it was back after {waited:?} already"
    );
    Ok(())
}

fn echo() -> Operation {
    Operation::control(pier::IOCTL_PIER_ECHO, vec![7; 32], vec![0; 32])
}

fn at_pier(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    bed.latency(LONG)?;
    let operations = [
        Operation::Read {
            offset: 0,
            length: 8,
        },
        Operation::Write {
            offset: 0,
            data: vec![1; 8],
        },
        echo(),
    ];
    let kept = device.start_all(operations.to_vec())?;
    bed.until_in_flight(&ferry, 3)?;
    for pending in kept {
        ensure!(pending.cancel()?, "there was nothing to cancel");
        let done = finish(pending)?;
        ended(&done, Status::CANCELLED, "the cancelled request")?;
        ensure!(
            done.information == 0,
            "it claims {} bytes",
            done.information
        );
    }
    Ok(())
}

fn before_delivery(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    let before = bed.pier_state()?.faulted;
    bed.fault(ops::WRITE, action::STUCK, |fault| fault.count = 1)?;
    let stuck = bed::write(&*device, 0, &[1; 16])?;
    bed.until_faulted(before, 1)?;
    let waiting = bed::write(&*device, 0, &[2; 16])?;
    bed.until_in_flight(&ferry, 2)?;
    let seen = bed.pier_state()?.received;
    ensure!(waiting.cancel()?, "there was nothing to cancel");
    ended(&finish(waiting)?, Status::CANCELLED, "the waiting write")?;
    // Only the control that asks was presented meanwhile.
    let received = bed.pier_state()?.received - seen;
    ensure!(
        received == 1,
        "pier was presented {received} requests meanwhile, not one"
    );
    ensure!(stuck.cancel()?, "there was nothing to cancel");
    ended(&finish(stuck)?, Status::CANCELLED, "the stuck write")
}

fn stuck(bed: &Bed<'_>, device: &dyn Device, count: u32) -> Result<Vec<Box<dyn Pending>>> {
    let before = bed.pier_state()?.faulted;
    bed.fault(ops::READ, action::STUCK, |fault| fault.count = count)?;
    let reads = (0..count)
        .map(|_| bed::read(device, 0, 8))
        .collect::<Result<_>>()?;
    bed.until_faulted(before, count.into())?;
    Ok(reads)
}

fn marked(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    for read in stuck(bed, &*device, 5)? {
        ensure!(read.cancel()?, "there was nothing to cancel");
        ended(&finish(read)?, Status::CANCELLED, "the marked read")?;
    }
    Ok(())
}

fn unmarked(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let reads = stuck(bed, &*device, 5)?;
    device.close()?;
    finish_all(reads, Status::CANCELLED).map(drop)
}

fn enqueued(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    bed.latency(LONG)?;
    let before = bed.pier_state()?.outstanding;
    let echo = Operation::control(pier::IOCTL_PIER_ECHO_NEITHER, vec![7; 32], vec![0; 32]);
    let echo = device.start(echo)?;
    let deadline = Instant::now() + LONG;
    while bed.pier_state()?.outstanding <= before {
        ensure!(Instant::now() < deadline, "pier was not given the control");
        std::thread::yield_now();
    }
    ensure!(echo.cancel()?, "there was nothing to cancel");
    ended(
        &finish(echo)?,
        Status::CANCELLED,
        "the METHOD_NEITHER control",
    )
}

fn handle_closed_at_pier(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    bed.latency(LONG)?;
    let kept: Vec<_> = (0..10)
        .map(|_| bed::read(&*device, 0, 8))
        .collect::<Result<_>>()?;
    bed.until_in_flight(&ferry, 10)?;
    device.close()?;
    finish_all(kept, Status::CANCELLED).map(drop)
}

fn all_places(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    bed.latency(LONG)?;
    let mut kept = device.start_all(vec![echo(); 8])?;
    bed.until_in_flight(&ferry, 8)?;
    ferry.hold(bed.filter, ops::READ, LONG)?;
    ferry.delay(bed.filter, ops::WRITE, LONG)?;
    for _ in 0..8 {
        kept.push(bed::write(&*device, 0, &[1; 8])?);
    }
    bed.until_delayed(&ferry, 8)?;
    for _ in 0..8 {
        kept.push(bed::read(&*device, 0, 8)?);
    }
    bed.until(&ferry, "24 requests in their three places", |entry| {
        (entry.held, entry.delayed, entry.in_flight) == (8, 8, 24)
    })?;
    ensure!(device.cancel_all()?, "there was nothing to cancel");
    finish_all(kept, Status::CANCELLED)?;
    bed.until_in_flight(&ferry, 0)
}

fn too_late(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let mut read = bed::read(&*device, 0, 8)?;
    ensure!(
        read.is_done_within(crate::ferry::LIMIT),
        "a plain read did not complete"
    );
    ensure!(!read.cancel()?, "something was found to cancel");
    ensure!(
        !device.cancel_all()?,
        "something was found to cancel on the handle"
    );
    transferred(&finish(read)?, 8, "the read")
}

fn race(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    bed.latency(Duration::from_millis(1))?;
    let (mut cancelled, mut succeeded) = (0, 0);
    for _ in 0..10 {
        let kept: Vec<_> = (0..20)
            .map(|_| bed::read(&*device, 0, 8))
            .collect::<Result<_>>()?;
        device.cancel_all()?;
        for pending in kept {
            match finish(pending)?.status {
                Status::CANCELLED => cancelled += 1,
                Status::SUCCESS => succeeded += 1,
                other => anyhow::bail!("a request ended with {other}"),
            }
        }
    }
    ensure!(
        cancelled + succeeded == 200,
        "{cancelled} + {succeeded} of 200 came back"
    );
    Ok(())
}
