//! The controls of ferry and pier as calls, over any platform.

mod controls;
pub mod pier;

use std::time::Duration;

use anyhow::{Context, bail};
use ferry_abi::{ControlCode, Message, Refused};

pub use self::controls::Ferry;
use crate::platform::{Access, Completion, Device, Operation, Pending, Platform, Result};
use crate::status::Status;

/// How long a control that no rule can hold may take before it counts as stuck.
pub const LIMIT: Duration = Duration::from_secs(15);

/// An operation that ended with an error status.
#[derive(Debug)]
pub struct Failed {
    /// What was tried.
    pub what: String,
    /// How it ended.
    pub status: Status,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.status)?;
        self.status
            .advice()
            .map_or(Ok(()), |advice| write!(f, "\n  {advice}"))
    }
}

impl std::error::Error for Failed {}

/// The drivers do not answer at all: said instead of [`Failed`] where nothing could be tried.
#[derive(Debug)]
pub struct Unreachable(pub String);

impl std::fmt::Display for Unreachable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreachable {}

/// Opens a device; a refusal becomes an error with advice.
///
/// # Errors
/// [`Failed`], or the way to the system is gone.
pub fn open(platform: &dyn Platform, path: &str, access: Access) -> Result<Box<dyn Device>> {
    platform.open(path, access)?.map_err(|status| {
        Failed {
            what: format!("cannot open {path}"),
            status,
        }
        .into()
    })
}

/// Waits for an operation; one that is not over within `limit` is cancelled and reported.
///
/// # Errors
/// It did not come back in time, or the way to the system is gone.
pub fn finish(mut pending: Box<dyn Pending>, limit: Duration, what: &str) -> Result<Completion> {
    if pending.is_done_within(limit) {
        return pending.wait();
    }
    pending.cancel()?;
    bail!("{what} did not complete within {limit:?}; it was cancelled")
}

/// Starts an operation and waits for it, see [`finish`].
///
/// # Errors
/// As [`finish`].
pub fn run(
    device: &dyn Device,
    operation: Operation,
    limit: Duration,
    what: &str,
) -> Result<Completion> {
    finish(device.start(operation)?, limit, what)
}

/// Runs a control that must succeed and gives its completion.
fn control(
    device: &dyn Device,
    code: ControlCode,
    input: &[u8],
    output: usize,
    what: &str,
) -> Result<Completion> {
    let operation = Operation::control(code, input.to_vec(), vec![0; output]);
    let done = run(device, operation, LIMIT, what)?;
    if !done.status.is_success() {
        return Err(Failed {
            what: format!("cannot {what}"),
            status: done.status,
        }
        .into());
    }
    Ok(done)
}

/// Runs a control that answers with one structure.
fn ask<M: Message>(device: &dyn Device, code: ControlCode, input: &[u8], what: &str) -> Result<M> {
    let done = control(device, code, input, size_of::<M>(), what)?;
    structure(&done.data, what)
}

/// Runs a control that answers with any number of structures, `most` at most.
fn list<M: Message>(
    device: &dyn Device,
    code: ControlCode,
    input: &[u8],
    most: usize,
    what: &str,
) -> Result<Vec<M>> {
    let done = control(device, code, input, most * size_of::<M>(), what)?;
    let entries = done.data.chunks_exact(size_of::<M>());
    entries.map(|entry| structure(entry, what)).collect()
}

/// Copies a structure of the contract out of an answer.
///
/// # Errors
/// It is of another build.
pub fn structure<M: Message>(bytes: &[u8], what: &str) -> Result<M> {
    M::read(bytes).map_err(|refused| {
        let why = match refused {
            Refused::Length => "its answer has another length than this program knows",
            Refused::Version => "its answer is of another version than this program knows",
        };
        anyhow::anyhow!("cannot {what}: {why}; use driver and ferryctl from one build")
    })
}

fn milliseconds(duration: Duration, what: &str) -> Result<u32> {
    u32::try_from(duration.as_millis())
        .with_context(|| format!("{what} of {duration:?} is too long"))
}

/// The path a user means: `pier` or `pier:N` for a pier device, else a path as it is.
///
/// # Errors
/// There is no such pier.
pub fn device_path(platform: &dyn Platform, name: &str) -> Result<String> {
    let number = match name.strip_prefix("pier") {
        Some("") => 0,
        Some(rest) if rest.starts_with(':') => rest[1..]
            .parse::<usize>()
            .with_context(|| format!("{name:?}: a number belongs after \"pier:\""))?,
        _ => return Ok(name.to_owned()),
    };
    let mut paths = platform.interfaces(&ferry_abi::guid::PIER_INTERFACE)?;
    if number >= paths.len() {
        bail!(
            "no pier device number {number}: {} pier interface(s) enabled. Is pier installed and started?",
            paths.len()
        );
    }
    Ok(paths.swap_remove(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::fake::{Fake, Flaw};

    #[test]
    fn an_operation_that_stays_away_is_cancelled_and_reported() {
        let fake = Fake::new(Some(Flaw::Stuck));
        let device = open(&fake, "fake", Access::Read).unwrap();
        let read = Operation::Read {
            offset: 0,
            length: 1,
        };
        let error = run(&*device, read, Duration::ZERO, "the read").unwrap_err();
        assert!(
            error.to_string().contains("the read did not complete"),
            "{error}"
        );
    }

    #[test]
    fn a_refused_open_says_why_and_what_to_do() {
        let error = open(&Fake::new(None), "other", Access::Read)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("STATUS_OBJECT_NAME_NOT_FOUND"), "{error}");
        assert!(error.contains("is the driver installed"), "{error}");
    }

    #[test]
    fn pier_is_found_by_its_interface_and_by_number() {
        let fake = Fake::new(None);
        assert_eq!(device_path(&fake, "pier").unwrap(), "fake");
        assert_eq!(device_path(&fake, "pier:0").unwrap(), "fake");
        assert_eq!(device_path(&fake, r"\\.\Other").unwrap(), r"\\.\Other");
        let error = device_path(&fake, "pier:1").unwrap_err().to_string();
        assert!(error.contains("1 pier interface(s)"), "{error}");
        assert!(device_path(&fake, "pier:x").is_err());
    }
}
