//! How requests reach a driver, and that a request stays the same on its way.

use std::time::Duration;

use anyhow::ensure;
use ferry_abi::control::ops;
use ferry_abi::pier::{self, action};

use super::super::Case;
use super::super::bed::{
    self, Bed, ended, finish, finish_all, pattern, still_pending, transferred,
};
use crate::platform::Result;
use crate::status::Status;

pub const CASES: &[Case] = &[
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
