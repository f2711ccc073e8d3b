//! Many requests at once.

use std::time::Duration;

use anyhow::ensure;

use super::super::Case;
use super::super::bed::{self, Bed, finish, finish_all, pattern, transferred};
use crate::platform::{Operation, Result};
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "many/overlapped",
        shows: "256 requests in flight on one handle all come back with their own data",
        run: overlapped,
    },
    Case {
        name: "many/handles",
        shows: "16 handles with 16 requests each do not disturb each other",
        run: handles,
    },
    Case {
        name: "many/counters-add-up",
        shows: "ferry's counters agree with what was sent, and with each other",
        run: counters,
    },
];

const COUNT: u64 = 256;
const LENGTH: usize = 512;

fn overlapped(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let operation = |number: u64, data| Operation::Write {
        offset: number * LENGTH as u64,
        data,
    };
    let writes = (0..COUNT).map(|number| operation(number, pattern(number as u8, LENGTH)));
    for done in finish_all(device.start_all(writes.collect())?, Status::SUCCESS)? {
        transferred(&done, LENGTH, "a write")?;
    }
    bed.latency(Duration::from_millis(20))?;
    let reads = (0..COUNT).map(|number| Operation::Read {
        offset: number * LENGTH as u64,
        length: LENGTH,
    });
    let reads = device.start_all(reads.collect())?;
    for (number, read) in reads.into_iter().enumerate() {
        let done = finish(read)?;
        transferred(&done, LENGTH, "a read")?;
        ensure!(
            done.data == pattern(number as u8, LENGTH),
            "read {number} got data of another"
        );
    }
    Ok(())
}

fn handles(bed: &Bed<'_>) -> Result<()> {
    let devices: Vec<_> = (0..16).map(|_| bed.open()).collect::<Result<_>>()?;
    let at = |handle: usize, number: usize| ((handle * 16 + number) * 64) as u64;
    let mut writes = Vec::new();
    for (handle, device) in devices.iter().enumerate() {
        for number in 0..16 {
            writes.push(bed::write(
                &**device,
                at(handle, number),
                &pattern((handle * 16 + number) as u8, 64),
            )?);
        }
    }
    finish_all(writes, Status::SUCCESS)?;
    // Read what another handle wrote.
    for (handle, device) in devices.iter().rev().enumerate() {
        for number in 0..16 {
            let done = finish(bed::read(&**device, at(handle, number), 64)?)?;
            ensure!(
                done.data == pattern((handle * 16 + number) as u8, 64),
                "the data of handle {handle}, write {number} changed"
            );
        }
    }
    Ok(())
}

fn counters(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let before = bed.stats()?;
    for _ in 0..7 {
        finish(bed::read(&*device, 0, 16)?)?;
    }
    for _ in 0..5 {
        finish(bed::write(&*device, 0, &[1; 16])?)?;
    }
    for _ in 0..3 {
        crate::ferry::pier::state(&*device)?;
    }
    let after = bed.stats()?;
    let sent = (
        after.reads - before.reads,
        after.writes - before.writes,
        after.controls - before.controls,
    );
    ensure!(
        sent == (7, 5, 3),
        "ferry counted {sent:?} reads, writes, controls of (7, 5, 3)"
    );
    let forwarded = after.forwarded - before.forwarded;
    ensure!(forwarded == 15, "ferry counted {forwarded} forwarded of 15");
    let presented = after.reads + after.writes + after.controls + after.internal;
    let ended = after.completed + after.canceled + after.failed + after.forgotten;
    ensure!(
        presented == ended + after.in_flight,
        "{presented} were presented, {ended} ended and {} are in flight",
        after.in_flight
    );
    Ok(())
}
