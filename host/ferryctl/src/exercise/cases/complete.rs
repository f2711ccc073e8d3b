//! With what a request may end: status, Information, priority boost, and from where.

use std::time::Duration;

use anyhow::ensure;
use ferry_abi::control::ops;
use ferry_abi::pier::{self, MAX_BOOST, action};
use zerocopy::IntoBytes;

use super::super::Case;
use super::super::bed::{self, Bed, ended, finish, pattern, transferred};
use crate::ferry;
use crate::platform::Result;
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "complete/status",
        shows: "an error or a warning of pier's comes up unchanged, once, with Information 0",
        run: status,
    },
    Case {
        name: "complete/information",
        shows: "a transfer pier cuts short comes up with success, the shorter length and no byte more",
        run: information,
    },
    Case {
        name: "complete/boost",
        shows: "pier completes with the priority boost it is told, and refuses one no driver may give",
        run: boost,
    },
    Case {
        name: "complete/from-dpc",
        shows: "a slow request is completed by the DPC of pier's timer, a quick one by its handler",
        run: from_dpc,
    },
    Case {
        name: "complete/invalid",
        shows: "a transfer longer than pier takes is refused with STATUS_INVALID_BUFFER_SIZE; one that fits is not",
        run: invalid,
    },
];

fn status(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    for status in [
        Status::IO_DEVICE_ERROR,
        Status::CRC_ERROR,
        Status::NO_MORE_ENTRIES,
    ] {
        bed.fault(ops::READ, action::FAIL, |fault| {
            (fault.status, fault.count) = (status.0.cast_unsigned(), 1);
        })?;
        let done = finish(bed::read(&*device, 0, 64)?)?;
        ended(&done, status, "the read that fails")?;
        ensure!(
            done.information == 0,
            "it claims {} bytes",
            done.information
        );
        transferred(&finish(bed::read(&*device, 0, 64)?)?, 64, "the next read")?;
    }
    Ok(())
}

fn information(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let data = pattern(5, 512);
    transferred(
        &finish(bed::write(&*device, 0, &data)?)?,
        512,
        "the write before",
    )?;
    bed.fault(ops::READ | ops::WRITE, action::SHORT, |fault| {
        fault.bytes = 100
    })?;
    let done = finish(bed::read(&*device, 0, 512)?)?;
    transferred(&done, 100, "the short read")?;
    ensure!(done.data == data[..100], "the short read came back changed");
    transferred(
        &finish(bed::write(&*device, 0, &[0xEE; 512])?)?,
        100,
        "the short write",
    )?;
    ferry::pier::clear_fault(&*device)?;
    let done = finish(bed::read(&*device, 0, 512)?)?;
    ensure!(
        done.data[..100] == [0xEE; 100] && done.data[100..] == data[100..],
        "the short write wrote something else than its first 100 bytes"
    );
    Ok(())
}

fn boost(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    ferry::pier::set_boost(&*device, MAX_BOOST)?;
    ensure!(
        bed.pier_state()?.boost == MAX_BOOST,
        "pier has another boost in force"
    );
    bed.latency(Duration::from_millis(1))?;
    transferred(
        &finish(bed::read(&*device, 0, 64)?)?,
        64,
        "a read with that boost",
    )?;
    let input = pier::Boost::new(MAX_BOOST + 1, 0);
    let done = bed::control(&*device, pier::IOCTL_PIER_SET_BOOST, input.as_bytes(), &[])?;
    ended(&done, Status::INVALID_PARAMETER, "a boost that is too high")
}

fn from_dpc(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    let counted = || bed.pier_state().map(|state| state.from_dpc);
    let before = counted()?;
    transferred(&finish(bed::read(&*device, 0, 8)?)?, 8, "the quick read")?;
    ensure!(counted()? == before, "the DPC answered a quick read");
    bed.latency(Duration::from_millis(10))?;
    transferred(&finish(bed::read(&*device, 0, 8)?)?, 8, "the slow read")?;
    ensure!(
        counted()? == before + 1,
        "the DPC did not answer the slow read"
    );
    Ok(())
}

fn invalid(bed: &Bed<'_>) -> Result<()> {
    let device = bed.open()?;
    ferry::pier::set_max_transfer(&*device, 512)?;
    transferred(
        &finish(bed::write(&*device, 0, &[1; 512])?)?,
        512,
        "a write that fits",
    )?;
    for done in [
        finish(bed::write(&*device, 0, &[1; 513])?)?,
        finish(bed::read(&*device, 0, 4096)?)?,
    ] {
        ended(
            &done,
            Status::INVALID_BUFFER_SIZE,
            "a transfer that is too long",
        )?;
    }
    Ok(())
}
