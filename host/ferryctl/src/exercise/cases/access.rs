//! Who may do what with which handle.

use anyhow::{bail, ensure};
use ferry_abi::control::{self, Hold, ops};
use ferry_abi::pier;
use zerocopy::IntoBytes;

use super::super::Case;
use super::super::bed::{self, Bed, ended};
use crate::ferry;
use crate::platform::{Access, Result};
use crate::status::Status;

pub const CASES: &[Case] = &[
    Case {
        name: "access/read-only-handle",
        shows: "a handle opened for reading can read, and is refused writes and write controls",
        run: read_only,
    },
    Case {
        name: "access/write-only-handle",
        shows: "a handle opened for writing can write, and is refused reads",
        run: write_only,
    },
    Case {
        name: "access/controls-need-write",
        shows: "a control handle opened for reading shows the counters and can set no rule",
        run: controls_need_write,
    },
    Case {
        name: "access/no-name-below-control",
        shows: r"\\.\Ferry\anything cannot be opened",
        run: no_name_below,
    },
    Case {
        name: "access/no-such-name",
        shows: "a name that is not there is refused as such",
        run: no_such_name,
    },
];

fn read_only(bed: &Bed<'_>) -> Result<()> {
    let device = ferry::open(bed.platform, &bed.path, Access::Read)?;
    bed::transferred(&bed::finish(bed::read(&*device, 0, 8)?)?, 8, "a read")?;
    let done = bed::finish(bed::write(&*device, 0, &[1; 8])?)?;
    ended(&done, Status::ACCESS_DENIED, "a write")?;
    let done = bed::control(&*device, pier::IOCTL_PIER_ECHO, &[1; 8], &[0; 8])?;
    ended(
        &done,
        Status::ACCESS_DENIED,
        "a control that needs both accesses",
    )
}

fn write_only(bed: &Bed<'_>) -> Result<()> {
    let device = ferry::open(bed.platform, &bed.path, Access::Write)?;
    bed::transferred(
        &bed::finish(bed::write(&*device, 0, &[1; 8])?)?,
        8,
        "a write",
    )?;
    let done = bed::finish(bed::read(&*device, 0, 8)?)?;
    ended(&done, Status::ACCESS_DENIED, "a read")
}

fn controls_need_write(bed: &Bed<'_>) -> Result<()> {
    let device = ferry::open(bed.platform, control::WIN32_NAME, Access::Read)?;
    let ferry = ferry::Ferry { device };
    ferry.stats(bed.filter)?;
    let hold = Hold::new(bed.filter, ops::READ, 0, 0);
    let done = bed::control(
        &*ferry.device,
        control::IOCTL_FERRY_HOLD,
        hold.as_bytes(),
        &[],
    )?;
    ended(
        &done,
        Status::ACCESS_DENIED,
        "a hold through a handle opened for reading",
    )
}

fn refusal(bed: &Bed<'_>, path: &str) -> Result<Status> {
    match bed.platform.open(path, Access::Read)? {
        Err(status) => Ok(status),
        Ok(_) => bail!("{path} could be opened"),
    }
}

fn no_name_below(bed: &Bed<'_>) -> Result<()> {
    let status = refusal(bed, r"\\.\Ferry\anything")?;
    ensure!(!status.is_success(), "the refusal has the status {status}");
    Ok(())
}

fn no_such_name(bed: &Bed<'_>) -> Result<()> {
    let status = refusal(bed, r"\\.\FerryHasNoSuchName")?;
    ensure!(
        [Status::OBJECT_NAME_NOT_FOUND, Status::OBJECT_PATH_NOT_FOUND].contains(&status),
        "the refusal has the status {status}"
    );
    Ok(())
}
