//! One request to a device: read, write, ioctl.

use std::fmt;
use std::time::Instant;

use anyhow::Context;
use serde::Serialize;

use super::data;
use crate::cli::{self, Target};
use crate::ferry::{self, Failed};
use crate::output::{self, Output};
use crate::platform::{Access, Operation, Platform, Result};
use crate::status::Status;

/// What came of a request.
#[derive(Serialize)]
struct Answer {
    status: Status,
    information: usize,
    microseconds: u64,
    /// In hexadecimal.
    #[serde(skip_serializing_if = "String::is_empty")]
    data: String,
    #[serde(skip)]
    dump: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.dump.is_empty() {
            writeln!(f, "{}", self.dump)?;
        }
        let took = output::time(self.microseconds * 10);
        write!(
            f,
            "{}, information {}, {took}",
            self.status, self.information
        )
    }
}

/// Runs one request, which must succeed, and says what came of it. Gives the data.
fn once(
    platform: &dyn Platform,
    out: Output,
    target: &Target,
    access: Access,
    operation: Operation,
    show: bool,
) -> Result<Vec<u8>> {
    let what = match &operation {
        Operation::Read { .. } => "read",
        Operation::Write { .. } => "write",
        Operation::Control { .. } => "device control",
    };
    let path = ferry::device_path(platform, &target.device)?;
    let device = ferry::open(platform, &path, access)?;
    let start = Instant::now();
    let done = ferry::run(&*device, operation, target.timeout, &format!("the {what}"))?;
    let microseconds = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    if !done.status.is_success() {
        let what = format!("the {what} failed");
        return Err(Failed {
            what,
            status: done.status,
        }
        .into());
    }
    let shown: &[u8] = if show { &done.data } else { &[] };
    out.say(&Answer {
        status: done.status,
        information: done.information,
        microseconds,
        data: data::hex(shown),
        dump: data::dump(shown),
    })?;
    Ok(done.data)
}

/// `ferryctl read`.
///
/// # Errors
/// The read failed.
pub fn read(platform: &dyn Platform, out: Output, options: &cli::Read) -> Result<()> {
    let operation = Operation::Read {
        offset: options.offset,
        length: options.length,
    };
    let show = options.output.is_none();
    let data = once(
        platform,
        out,
        &options.target,
        Access::Read,
        operation,
        show,
    )?;
    match &options.output {
        Some(path) => std::fs::write(path, data)
            .with_context(|| format!("cannot write what was read to {}", path.display())),
        None => Ok(()),
    }
}

/// `ferryctl write`.
///
/// # Errors
/// The write failed.
pub fn write(platform: &dyn Platform, out: Output, options: &cli::Write) -> Result<()> {
    let operation = Operation::Write {
        offset: options.offset,
        data: data::bytes(&options.data)?,
    };
    once(
        platform,
        out,
        &options.target,
        Access::Write,
        operation,
        false,
    )
    .map(drop)
}

/// `ferryctl ioctl`.
///
/// # Errors
/// The control failed.
pub fn ioctl(platform: &dyn Platform, out: Output, options: &cli::Ioctl) -> Result<()> {
    let operation = Operation::Control {
        code: data::code(&options.code)?,
        input: data::bytes(&options.data)?,
        output: vec![0; options.output],
    };
    once(
        platform,
        out,
        &options.target,
        Access::ReadWrite,
        operation,
        true,
    )
    .map(drop)
}
