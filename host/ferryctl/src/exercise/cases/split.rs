//! Long transfers in chunks: one request used again and again, or several at once.

use std::time::Duration;

use anyhow::ensure;
use ferry_abi::control::{Split, SplitMode, matching, ops};
use ferry_abi::pier::action;

use super::super::Case;
use super::super::bed::{self, Bed, ended, finish, pattern, transferred};
use crate::ferry::{self, Ferry};
use crate::platform::Result;
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "split/sequential",
        shows: "a transfer longer than pier takes goes down in chunks, by one request of ferry's used again and again",
        run: |bed| whole(bed, SplitMode::Sequential),
    },
    Case {
        name: "split/parallel",
        shows: "a transfer longer than pier takes goes down in chunks, by several requests of ferry's at once",
        run: |bed| whole(bed, SplitMode::Parallel),
    },
    Case {
        name: "split/short-chunk",
        shows: "a chunk that comes back short ends the transfer with success and what is contiguous",
        run: |bed| both(bed, short_chunk),
    },
    Case {
        name: "split/failed-chunk",
        shows: "a chunk that fails ends the transfer with its status and Information 0",
        run: |bed| both(bed, failed_chunk),
    },
    Case {
        name: "split/cancel",
        shows: "cancelling a transfer cancels its chunks, and it ends once, when the last of them is back",
        run: |bed| both(bed, cancel),
    },
];

const CHUNK: u32 = 512;
/// Eight chunks, the last one not full.
const LENGTH: usize = 8 * CHUNK as usize - 100;
/// No case waits for this.
const LONG: Duration = Duration::from_secs(60);

fn set(ferry: &Ferry, bed: &Bed<'_>, mode: SplitMode) -> Result<()> {
    let depth = if mode == SplitMode::Parallel { 4 } else { 1 };
    let own = matching::OWN_PROCESS;
    ferry.set_split(&Split::new(
        bed.filter,
        CHUNK,
        mode.code(),
        depth,
        0,
        own,
        0,
    ))
}

fn both(bed: &Bed<'_>, run: fn(&Bed<'_>, &Ferry) -> Result<()>) -> Result<()> {
    for mode in [SplitMode::Sequential, SplitMode::Parallel] {
        let ferry = bed.ferry()?;
        set(&ferry, bed, mode)?;
        run(bed, &ferry)?;
    }
    Ok(())
}

fn whole(bed: &Bed<'_>, mode: SplitMode) -> Result<()> {
    let (ferry, device) = (bed.ferry()?, bed.open()?);
    ferry::pier::set_max_transfer(&*device, CHUNK)?;
    set(&ferry, bed, mode)?;
    let before = bed.stats()?;
    let data = pattern(31, LENGTH);
    transferred(
        &finish(bed::write(&*device, 1000, &data)?)?,
        LENGTH,
        "the write",
    )?;
    let done = finish(bed::read(&*device, 1000, LENGTH)?)?;
    transferred(&done, LENGTH, "the read")?;
    ensure!(done.data == data, "the data came back changed");
    let after = bed.stats()?;
    let moved = (after.split - before.split, after.chunks - before.chunks);
    ensure!(
        moved == (2, 16),
        "ferry counted {moved:?} split transfers and chunks of (2, 16)"
    );
    Ok(())
}

fn short_chunk(bed: &Bed<'_>, _ferry: &Ferry) -> Result<()> {
    let device = bed.open()?;
    bed.fault(ops::READ, action::SHORT, |fault| {
        (fault.bytes, fault.skip, fault.count) = (100, 2, 1)
    })?;
    let done = finish(bed::read(&*device, 0, LENGTH)?)?;
    transferred(
        &done,
        2 * CHUNK as usize + 100,
        "the read whose third chunk is short",
    )
}

fn failed_chunk(bed: &Bed<'_>, _ferry: &Ferry) -> Result<()> {
    let device = bed.open()?;
    bed.fault(ops::WRITE, action::FAIL, |fault| {
        (fault.status, fault.skip, fault.count) = (Status::IO_DEVICE_ERROR.0.cast_unsigned(), 2, 1);
    })?;
    let done = finish(bed::write(&*device, 0, &pattern(32, LENGTH))?)?;
    ended(
        &done,
        Status::IO_DEVICE_ERROR,
        "the write whose third chunk fails",
    )?;
    ensure!(
        done.information == 0,
        "it claims {} bytes",
        done.information
    );
    Ok(())
}

fn cancel(bed: &Bed<'_>, ferry: &Ferry) -> Result<()> {
    let device = bed.open()?;
    bed.latency(LONG)?;
    let read = bed::read(&*device, 0, LENGTH)?;
    bed.until_in_flight(ferry, 1)?;
    ensure!(read.cancel()?, "there was nothing to cancel");
    ended(&finish(read)?, Status::CANCELLED, "the cancelled read")?;
    bed.latency(Duration::ZERO)
}
