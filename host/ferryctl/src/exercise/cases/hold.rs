//! Requests that wait in ferry's held queue.

use std::time::{Duration, Instant};

use anyhow::ensure;
use ferry_abi::control::ops;

use super::super::Case;
use super::super::bed::{
    self, Bed, ended, finish, finish_all, pattern, still_pending, transferred,
};
use crate::platform::{Pending, Result};
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "hold/release",
        shows: "a held read waits, and completes with its data once released",
        run: release,
    },
    Case {
        name: "hold/order",
        shows: "requests are released oldest first, as many as asked for",
        run: order,
    },
    Case {
        name: "hold/only-matching",
        shows: "a hold on reads lets writes and controls pass",
        run: only_matching,
    },
    Case {
        name: "hold/same-handle-in-order",
        shows: "what comes later on a handle waits behind its held requests; other handles do not",
        run: same_handle_in_order,
    },
    Case {
        name: "hold/ended-by-command",
        shows: "ending a hold releases everything it kept",
        run: ended_by_command,
    },
    Case {
        name: "hold/ended-by-close",
        shows: "closing the control handle that set a hold ends it and releases everything",
        run: ended_by_close,
    },
    Case {
        name: "hold/ended-and-set-anew",
        shows: "a hold that follows at once on one that ended keeps none of the earlier one's requests",
        run: ended_and_set_anew,
    },
    Case {
        name: "hold/maximum-age",
        shows: "a held request is released by itself at its maximum age, not before",
        run: maximum_age,
    },
    Case {
        name: "hold/cancel",
        shows: "a held request that is cancelled ends with STATUS_CANCELLED, once; the others wait on",
        run: cancel,
    },
    Case {
        name: "hold/handle-closed",
        shows: "closing a handle ends its held requests, and no others",
        run: handle_closed,
    },
];

/// No case waits for this.
const LONG: Duration = Duration::from_secs(60);

fn reads(device: &dyn crate::platform::Device, count: u64) -> Result<Vec<Box<dyn Pending>>> {
    (0..count)
        .map(|number| bed::read(device, number * 16, 16))
        .collect()
}

fn release(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    let data = pattern(11, 64);
    transferred(&finish(bed::write(&*device, 0, &data)?)?, 64, "the write")?;
    ferry.hold(bed.filter, ops::READ, LONG)?;
    let mut held = bed::read(&*device, 0, 64)?;
    bed.until_held(&ferry, 1)?;
    still_pending(&mut *held, "the held read")?;
    let count = ferry.release(bed.filter, 0)?;
    ensure!(count == 1, "{count} requests were released");
    let done = finish(held)?;
    transferred(&done, 64, "the released read")?;
    ensure!(
        done.data == data,
        "the released read came back with other data"
    );
    Ok(())
}

fn order(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    ferry.hold(bed.filter, ops::READ, LONG)?;
    let mut waiting = Vec::new();
    for read in 0..6_u32 {
        waiting.push(bed::read(&*device, u64::from(read), 4)?);
        // The default queue is parallel: the next one must not overtake on its way to the held queue.
        bed.until_held(&ferry, read + 1)?;
    }
    for count in [1, 2] {
        let released = ferry.release(bed.filter, count)?;
        ensure!(
            released == count,
            "{released} were released where {count} were asked for"
        );
        let rest = waiting.split_off(count as usize);
        finish_all(waiting, Status::SUCCESS)?;
        waiting = rest;
        for (number, read) in waiting.iter_mut().enumerate() {
            still_pending(&mut **read, &format!("younger read {number}"))?;
        }
    }
    let released = ferry.release(bed.filter, 0)?;
    ensure!(released == 3, "{released} were released where 3 waited");
    finish_all(waiting, Status::SUCCESS).map(drop)
}

fn only_matching(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    ferry.hold(bed.filter, ops::READ, LONG)?;
    let other = bed.open()?;
    let mut held = bed::read(&*device, 0, 8)?;
    bed.until_held(&ferry, 1)?;
    transferred(
        &finish(bed::write(&*other, 64, &[1; 8])?)?,
        8,
        "a write during the hold",
    )?;
    bed.pier_state()?;
    still_pending(&mut *held, "the held read")?;
    ferry.release(bed.filter, 0)?;
    transferred(&finish(held)?, 8, "the released read")
}

fn same_handle_in_order(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device, other) = (bed.ferry()?, bed.open()?, bed.open()?);
    ferry.hold(bed.filter, ops::READ, LONG)?;
    let before = pattern(13, 8);
    transferred(
        &finish(bed::write(&*other, 0, &before)?)?,
        8,
        "the write before",
    )?;
    let held = bed::read(&*device, 0, 8)?;
    bed.until_held(&ferry, 1)?;
    let mut behind = bed::write(&*device, 0, &pattern(14, 8))?;
    bed.until_in_flight(&ferry, 2)?;
    transferred(
        &finish(bed::write(&*other, 64, &[1; 8])?)?,
        8,
        "a write of another handle",
    )?;
    still_pending(&mut *behind, "the write behind the held read")?;
    ferry.release(bed.filter, 0)?;
    let done = finish(held)?;
    transferred(&done, 8, "the released read")?;
    ensure!(done.data == before, "the write behind the read overtook it");
    transferred(&finish(behind)?, 8, "the write behind it")
}

fn ended_by_command(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    ferry.hold(bed.filter, ops::READ, LONG)?;
    let held = reads(&*device, 5)?;
    bed.until_held(&ferry, 5)?;
    ferry.hold(bed.filter, 0, Duration::ZERO)?;
    finish_all(held, Status::SUCCESS)?;
    transferred(
        &finish(bed::read(&*device, 0, 8)?)?,
        8,
        "a read after the hold",
    )
}

fn ended_by_close(bed: &Bed<'_>) -> Result<()> {
    let (watcher, device) = (bed.ferry()?, bed.open()?);
    let holder = bed.ferry()?;
    holder.hold(bed.filter, ops::READ, LONG)?;
    let held = reads(&*device, 5)?;
    bed.until_held(&watcher, 5)?;
    holder.device.close()?;
    finish_all(held, Status::SUCCESS)?;
    transferred(
        &finish(bed::read(&*device, 0, 8)?)?,
        8,
        "a read after the hold",
    )
}

fn ended_and_set_anew(bed: &Bed<'_>) -> Result<()> {
    let (device, other) = (bed.open()?, bed.open()?);
    for _ in 0..20 {
        let (first, second) = (bed.ferry()?, bed.ferry()?);
        first.hold(bed.filter, ops::READ, LONG)?;
        let earlier = reads(&*device, 3)?;
        bed.until_held(&second, 3)?;
        first.device.close()?;
        second.hold(bed.filter, ops::READ, LONG)?;
        let mut later = bed::read(&*other, 0, 8)?;
        finish_all(earlier, Status::SUCCESS)?;
        bed.until_held(&second, 1)?;
        still_pending(&mut *later, "the read under the new hold")?;
        second.release(bed.filter, 0)?;
        transferred(&finish(later)?, 8, "the read under the new hold")?;
    }
    Ok(())
}

fn maximum_age(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    let age = Duration::from_millis(120);
    ferry.hold(bed.filter, ops::READ, age)?;
    let start = Instant::now();
    let done = finish(bed::read(&*device, 0, 8)?)?;
    transferred(&done, 8, "the read that grew too old")?;
    let waited = start.elapsed();
    // The system timer may be early by one tick.
    ensure!(
        waited + Duration::from_millis(16) >= age,
        "it was released after {waited:?} already"
    );
    Ok(())
}

fn cancel(bed: &Bed<'_>) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    ferry.hold(bed.filter, ops::READ, LONG)?;
    let mut held = reads(&*device, 3)?;
    bed.until_held(&ferry, 3)?;
    let middle = held.remove(1);
    ensure!(middle.cancel()?, "there was nothing to cancel");
    ended(&finish(middle)?, Status::CANCELLED, "the cancelled read")?;
    bed.until_held(&ferry, 2)?;
    for read in &mut held {
        still_pending(&mut **read, "another held read")?;
    }
    ferry.release(bed.filter, 0)?;
    finish_all(held, Status::SUCCESS).map(drop)
}

fn handle_closed(bed: &Bed<'_>) -> Result<()> {
    let (ferry, closing, staying) = (bed.ferry()?, bed.open()?, bed.open()?);
    ferry.hold(bed.filter, ops::READ, LONG)?;
    let ending = reads(&*closing, 10)?;
    let mut waiting = reads(&*staying, 2)?;
    bed.until_held(&ferry, 12)?;
    closing.close()?;
    finish_all(ending, Status::CANCELLED)?;
    bed.until_held(&ferry, 2)?;
    for read in &mut waiting {
        still_pending(&mut **read, "a read of the other handle")?;
    }
    ferry.release(bed.filter, 0)?;
    finish_all(waiting, Status::SUCCESS).map(drop)
}
