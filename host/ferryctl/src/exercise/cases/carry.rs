//! What ferry must not change: data, offsets, lengths, statuses.

use anyhow::ensure;
use ferry_abi::pier::CAPACITY;

use super::super::Case;
use super::super::bed::{self, Bed, ended, finish, pattern, transferred};
use crate::platform::{Operation, Result};
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "carry/write-then-read",
        shows: "what was written is what is read, byte for byte",
        run: write_then_read,
    },
    Case {
        name: "carry/offsets",
        shows: "writes at neighbouring offsets do not touch each other",
        run: offsets,
    },
    Case {
        name: "carry/zero-length",
        shows: "reads and writes of no bytes reach the device and succeed",
        run: zero_length,
    },
    Case {
        name: "carry/large",
        shows: "a transfer of 256 KiB arrives whole",
        run: large,
    },
    Case {
        name: "carry/short-at-end",
        shows: "a read across the end of the device is short, and the length says so",
        run: short_at_end,
    },
    Case {
        name: "carry/end-of-file",
        shows: "a read at the end of the device gets STATUS_END_OF_FILE from pier, unchanged",
        run: end_of_file,
    },
];

fn write_then_read(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let data = pattern(1, 4096);
    transferred(
        &finish(bed::write(&*device, 0, &data)?)?,
        data.len(),
        "the write",
    )?;
    let done = finish(bed::read(&*device, 0, data.len())?)?;
    transferred(&done, data.len(), "the read")?;
    ensure!(done.data == data, "other bytes were read than written");
    Ok(())
}

fn offsets(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    for (seed, offset) in [(2, 1000), (3, 1010), (4, 990)] {
        transferred(
            &finish(bed::write(&*device, offset, &pattern(seed, 10))?)?,
            10,
            "a write",
        )?;
    }
    let done = finish(bed::read(&*device, 990, 30)?)?;
    transferred(&done, 30, "the read")?;
    let expected = [pattern(4, 10), pattern(2, 10), pattern(3, 10)].concat();
    ensure!(
        done.data == expected,
        "the three writes did not land side by side"
    );
    Ok(())
}

fn zero_length(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let before = bed.stats()?;
    transferred(&finish(bed::read(&*device, 0, 0)?)?, 0, "the read")?;
    transferred(&finish(bed::write(&*device, 0, &[])?)?, 0, "the write")?;
    let after = bed.stats()?;
    ensure!(
        (after.reads - before.reads, after.writes - before.writes) == (1, 1),
        "ferry was not presented one read and one write"
    );
    Ok(())
}

fn large(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let data = pattern(5, 256 << 10);
    transferred(
        &finish(bed::write(&*device, 4096, &data)?)?,
        data.len(),
        "the write",
    )?;
    let done = finish(bed::read(&*device, 4096, data.len())?)?;
    transferred(&done, data.len(), "the read")?;
    ensure!(done.data == data, "other bytes were read than written");
    Ok(())
}

fn short_at_end(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let data = pattern(6, 100);
    transferred(
        &finish(bed::write(&*device, CAPACITY - 100, &data)?)?,
        100,
        "the write",
    )?;
    let done = finish(bed::read(&*device, CAPACITY - 100, 512)?)?;
    transferred(&done, 100, "the read across the end")?;
    ensure!(done.data == data, "other bytes were read than written");
    Ok(())
}

fn end_of_file(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    for offset in [CAPACITY, CAPACITY + 1, u64::from(u32::MAX) + 7] {
        let done = bed::run(&*device, Operation::Read { offset, length: 16 })?;
        ended(&done, Status::END_OF_FILE, &format!("a read at {offset}"))?;
        ensure!(
            done.information == 0,
            "it claims {} bytes",
            done.information
        );
    }
    Ok(())
}
