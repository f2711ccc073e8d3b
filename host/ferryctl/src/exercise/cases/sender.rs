//! Every way `wdf` has of sending: shown by the example driver `sender.sys` (tests/drivers/sender), a filter whose controls say how.
//!
//! Where that driver is not in the stack these cases are skipped, and say so.

use std::time::Duration;

use anyhow::ensure;

use super::super::Case;
use super::super::bed::{self, Bed, Skipped, ended, finish, pattern, transferred};
use crate::platform::{Device, Operation, Result};
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "sender/synchronously",
        shows: "a driver forwards a request synchronously and completes it with what came back, or cancels it at its timeout",
        run: synchronously,
    },
    Case {
        name: "sender/and-forget",
        shows: "a driver sends a request and forgets it, and the lower driver's answer reaches the program",
        run: |bed| whole(bed, FORGOTTEN),
    },
    Case {
        name: "sender/sequential",
        shows: "a driver serves a request by one sub-request used again and again, and adds their Information up",
        run: |bed| whole(bed, SEQUENTIAL),
    },
    Case {
        name: "sender/parallel",
        shows: "a driver serves a request by several asynchronous sub-requests at once",
        run: |bed| whole(bed, PARALLEL),
    },
    Case {
        name: "sender/own-request",
        shows: "a driver sends a request nobody asked for, synchronously, again and again, also after a timeout",
        run: own_request,
    },
    Case {
        name: "sender/cancel-tracked",
        shows: "a driver cancels a request it has sent, and never the one after it",
        run: cancel_tracked,
    },
    Case {
        name: "sender/cancel-split",
        shows: "the cancellation of a request reaches the sub-requests that serve it, and the last one back ends it",
        run: cancel_split,
    },
];

// As in the driver.
const CARRY: u32 = 0;
const TRACKED: u32 = 1;
const WAITING: u32 = 3;
const FORGOTTEN: u32 = 4;
const SEQUENTIAL: u32 = 5;
const PARALLEL: u32 = 6;
const SET_MODE: u32 = 0;
const CANCEL: u32 = 1;
const READ_BY_ITSELF: u32 = 2;

/// Longer than one part.
const LENGTH: usize = 3 * 4096 + 77;
/// No case waits for this.
const LONG: Duration = Duration::from_secs(60);

fn control(
    device: &dyn Device,
    number: u32,
    input: &[u8],
    output: usize,
) -> Result<crate::platform::Completion> {
    let code = 0x22 << 16 | (0xA00 | number) << 2;
    bed::run(
        device,
        Operation::Control {
            code,
            input: input.to_vec(),
            output: vec![0; output],
        },
    )
}

/// A handle to a device whose stack has the example driver in it, which sends like this from now on; at its end as it did before.
fn open(bed: &Bed<'_>, mode: u32) -> Result<Sender> {
    let device = bed.open()?;
    let done = control(&*device, SET_MODE, &mode.to_le_bytes(), 0)?;
    match done.status {
        Status::SUCCESS => Ok(Sender(device)),
        _ => Err(Skipped("the example driver sender.sys is not in this stack").into()),
    }
}

struct Sender(Box<dyn Device>);

impl Drop for Sender {
    fn drop(&mut self) {
        // A device that is gone sends nothing.
        let _ = control(&*self.0, SET_MODE, &CARRY.to_le_bytes(), 0);
    }
}

fn whole(bed: &Bed<'_>, mode: u32) -> Result<()> {
    let sender = open(bed, mode)?;
    let device = &*sender.0;
    let data = pattern(61, LENGTH);
    for latency in [Duration::ZERO, Duration::from_millis(1)] {
        bed.latency(latency)?;
        transferred(&finish(bed::write(device, 7, &data)?)?, LENGTH, "the write")?;
        let done = finish(bed::read(device, 7, LENGTH)?)?;
        transferred(&done, LENGTH, "the read")?;
        ensure!(done.data == data, "the data came back changed");
    }
    ended(
        &finish(bed::read(device, 1 << 40, 8)?)?,
        Status::END_OF_FILE,
        "a read behind the end",
    )
}

fn synchronously(bed: &Bed<'_>) -> Result<()> {
    let sender = open(bed, WAITING)?;
    let device = &*sender.0;
    let data = pattern(62, 100);
    transferred(&finish(bed::write(device, 0, &data)?)?, 100, "the write")?;
    let done = finish(bed::read(device, 0, 100)?)?;
    transferred(&done, 100, "the read")?;
    ensure!(done.data == data, "the data came back changed");
    bed.latency(LONG)?;
    ended(
        &finish(bed::read(device, 0, 8)?)?,
        Status::IO_TIMEOUT,
        "a read that takes longer than the driver waits",
    )
}

fn own_request(bed: &Bed<'_>) -> Result<()> {
    let sender = open(bed, CARRY)?;
    let device = &*sender.0;
    let data = pattern(63, 32);
    transferred(&finish(bed::write(device, 0, &data)?)?, 32, "the write")?;
    let read = || control(device, READ_BY_ITSELF, &[], 32);
    for _ in 0..20 {
        ensure!(
            read()?.data == data,
            "the driver's own read read something else"
        );
    }
    bed.latency(LONG)?;
    ended(
        &read()?,
        Status::IO_TIMEOUT,
        "a read of the driver's own that takes too long",
    )?;
    bed.latency(Duration::ZERO)?;
    ensure!(
        read()?.data == data,
        "the request was not fit for use after its timeout"
    );
    Ok(())
}

fn cancel_tracked(bed: &Bed<'_>) -> Result<()> {
    let sender = open(bed, TRACKED)?;
    let (device, ferry) = (&*sender.0, bed.ferry()?);
    bed.latency(LONG)?;
    let read = bed::read(device, 0, 8)?;
    bed.until_in_flight(&ferry, 1)?;
    ended(
        &control(device, CANCEL, &[], 0)?,
        Status::SUCCESS,
        "the control that cancels",
    )?;
    ended(&finish(read)?, Status::CANCELLED, "the read that was sent")?;
    bed.latency(Duration::ZERO)?;
    transferred(&finish(bed::read(device, 0, 8)?)?, 8, "the next read")?;
    // Its right to cancel is that of a request that has come back.
    ended(
        &control(device, CANCEL, &[], 0)?,
        Status::SUCCESS,
        "the control that cancels",
    )?;
    transferred(&finish(bed::read(device, 0, 8)?)?, 8, "the read after that")
}

fn cancel_split(bed: &Bed<'_>) -> Result<()> {
    for mode in [SEQUENTIAL, PARALLEL] {
        let sender = open(bed, mode)?;
        let (device, ferry) = (&*sender.0, bed.ferry()?);
        bed.latency(LONG)?;
        let read = bed::read(device, 0, LENGTH)?;
        bed.until_in_flight(&ferry, 1)?;
        ensure!(read.cancel()?, "there was nothing to cancel");
        ended(&finish(read)?, Status::CANCELLED, "the cancelled read")?;
        bed.latency(Duration::ZERO)?;
        transferred(
            &finish(bed::read(device, 0, LENGTH)?)?,
            LENGTH,
            "a read afterwards",
        )?;
    }
    Ok(())
}
