//! Requests that ferry parks for a while before they go down.

use std::time::{Duration, Instant};

use anyhow::ensure;
use ferry_abi::control::ops;

use super::super::Case;
use super::super::bed::{self, Bed, ended, finish, finish_all, pattern, transferred};
use crate::platform::Result;
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "delay/passes-later",
        shows: "a delayed write completes after its delay, not before, and its data arrives",
        run: passes_later,
    },
    Case {
        name: "delay/only-matching",
        shows: "a delay on writes lets reads pass at once",
        run: only_matching,
    },
    Case {
        name: "delay/same-handle-in-order",
        shows: "a read that follows a delayed write on the same handle sees what was written",
        run: same_handle_in_order,
    },
    Case {
        name: "delay/ended-by-command",
        shows: "ending a delay sends what it had parked, and lets new requests pass at once",
        run: ended_by_command,
    },
    Case {
        name: "delay/ended-by-close",
        shows: "closing the control handle that set a delay ends it and lets everything parked pass at once",
        run: ended_by_close,
    },
    Case {
        name: "delay/ended-and-set-anew",
        shows: "a delay that follows at once on one that ended delays in full, and none of the earlier one's requests",
        run: ended_and_set_anew,
    },
    Case {
        name: "delay/cancel",
        shows: "a delayed request that is cancelled ends with STATUS_CANCELLED at once",
        run: cancel,
    },
    Case {
        name: "delay/handle-closed",
        shows: "closing a handle ends its delayed requests",
        run: handle_closed,
    },
    Case {
        name: "delay/many",
        shows: "a hundred delayed requests all pass, together and not one after the other",
        run: many,
    },
];

const SHORT: Duration = Duration::from_millis(100);
/// No case waits for this.
const LONG: Duration = Duration::from_secs(60);
/// The system timer may be early by one tick.
const TICK: Duration = Duration::from_millis(16);

fn passes_later(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    ferry.delay(bed.filter, ops::WRITE, SHORT)?;
    let data = pattern(12, 128);
    let start = Instant::now();
    transferred(
        &finish(bed::write(&*device, 256, &data)?)?,
        128,
        "the delayed write",
    )?;
    let waited = start.elapsed();
    ensure!(
        waited + TICK >= SHORT,
        "it was back after {waited:?} already"
    );
    let done = finish(bed::read(&*device, 256, 128)?)?;
    ensure!(done.data == data, "the delayed write left other data");
    Ok(())
}

fn only_matching(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    ferry.delay(bed.filter, ops::WRITE, LONG)?;
    transferred(
        &finish(bed::read(&*device, 0, 8)?)?,
        8,
        "a read during the delay",
    )?;
    bed.until_delayed(&ferry, 0)
}

fn same_handle_in_order(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    transferred(
        &finish(bed::write(&*device, 0, &[0; 64])?)?,
        64,
        "the write before",
    )?;
    ferry.delay(bed.filter, ops::WRITE, SHORT)?;
    let data = pattern(15, 64);
    let delayed = bed::write(&*device, 0, &data)?;
    bed.until_delayed(&ferry, 1)?;
    let behind = finish(bed::read(&*device, 0, 64)?)?;
    transferred(&behind, 64, "the read behind it")?;
    ensure!(behind.data == data, "the read overtook the delayed write");
    transferred(&finish(delayed)?, 64, "the delayed write")
}

fn ended_by_command(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    ferry.delay(bed.filter, ops::WRITE, LONG)?;
    let parked = bed::write(&*device, 0, &[1; 8])?;
    bed.until_delayed(&ferry, 1)?;
    ferry.delay(bed.filter, 0, Duration::ZERO)?;
    transferred(&finish(parked)?, 8, "the parked write")?;
    let other = bed.open()?;
    transferred(
        &finish(bed::write(&*other, 64, &[1; 8])?)?,
        8,
        "a write after the delay",
    )?;
    bed.until_delayed(&ferry, 0)
}

fn ended_by_close(bed: &Bed<'_>) -> Result<()> {
    let (watcher, device) = (bed.ferry()?, bed.open()?);
    let delayer = bed.ferry()?;
    delayer.delay(bed.filter, ops::READ, LONG)?;
    let parked: Vec<_> = (0..5)
        .map(|_| bed::read(&*device, 0, 8))
        .collect::<Result<_>>()?;
    bed.until_delayed(&watcher, 5)?;
    delayer.device.close()?;
    finish_all(parked, Status::SUCCESS).map(drop)
}

fn ended_and_set_anew(bed: &Bed<'_>) -> Result<()> {
    let (device, other) = (bed.open()?, bed.open()?);
    for _ in 0..20 {
        let (first, second) = (bed.ferry()?, bed.ferry()?);
        first.delay(bed.filter, ops::READ, LONG)?;
        let earlier: Vec<_> = (0..3)
            .map(|_| bed::read(&*device, 0, 8))
            .collect::<Result<_>>()?;
        bed.until_delayed(&second, 3)?;
        first.device.close()?;
        second.delay(bed.filter, ops::READ, LONG)?;
        let later = bed::read(&*other, 0, 8)?;
        finish_all(earlier, Status::SUCCESS)?;
        bed.until_delayed(&second, 1)?;
        ensure!(
            later.cancel()?,
            "the read under the new delay was not delayed"
        );
        ended(
            &finish(later)?,
            Status::CANCELLED,
            "the read under the new delay",
        )?;
    }
    Ok(())
}

fn cancel(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    ferry.delay(bed.filter, ops::READ, LONG)?;
    let parked = bed::read(&*device, 0, 8)?;
    bed.until_delayed(&ferry, 1)?;
    ensure!(parked.cancel()?, "there was nothing to cancel");
    ended(&finish(parked)?, Status::CANCELLED, "the delayed read")?;
    bed.until_delayed(&ferry, 0)
}

fn handle_closed(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    ferry.delay(bed.filter, ops::READ, LONG)?;
    let parked: Vec<_> = (0..10)
        .map(|_| bed::read(&*device, 0, 8))
        .collect::<Result<_>>()?;
    bed.until_delayed(&ferry, 10)?;
    device.close()?;
    finish_all(parked, Status::CANCELLED).map(drop)
}

fn many(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    ferry.delay(bed.filter, ops::READ, SHORT)?;
    let start = Instant::now();
    let parked: Vec<_> = (0..100)
        .map(|_| bed::read(&*device, 0, 8))
        .collect::<Result<_>>()?;
    finish_all(parked, Status::SUCCESS)?;
    let waited = start.elapsed();
    ensure!(
        waited < SHORT * 50,
        "a hundred delays of {SHORT:?} took {waited:?} together"
    );
    Ok(())
}
