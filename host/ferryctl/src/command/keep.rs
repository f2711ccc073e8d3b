//! What stands as long as this program does: hold, delay, limit, split, timeout.

use ferry_abi::control::{MAX_DEPTH, Split, SplitMode, matching, split_flags};

use super::{filter, while_it_stands};
use crate::cli::{self, Stands};
use crate::ferry::Ferry;
use crate::output::Output;
use crate::platform::{Platform, Result};
use crate::rules::op_names;

/// Sets something through a handle of its own, and keeps the handle open.
fn keep(
    platform: &dyn Platform,
    out: Output,
    stands: &Stands,
    set: impl FnOnce(&Ferry, u32) -> Result<String>,
) -> Result<bool> {
    let ferry = Ferry::open(platform)?;
    let id = filter(&ferry, &stands.filter)?;
    let what = set(&ferry, id)?;
    while_it_stands(&ferry, out, stands, &format!("filter device {id}: {what}"))
}

fn mask(ops: &[u32]) -> u32 {
    ops.iter().fold(0, |mask, op| mask | op)
}

/// `ferryctl hold`. False if the command it ran failed.
///
/// # Errors
/// ferry refuses, or is gone.
pub fn hold(platform: &dyn Platform, out: Output, options: &cli::Hold) -> Result<bool> {
    let (ops, age) = (mask(&options.ops), options.max_age);
    keep(platform, out, &options.stands, |ferry, id| {
        ferry.hold(id, ops, age)?;
        Ok(format!(
            "holding {} requests, each at most {age:?}",
            op_names(ops)
        ))
    })
}

/// `ferryctl delay`. False if the command it ran failed.
///
/// # Errors
/// ferry refuses, or is gone.
pub fn delay(platform: &dyn Platform, out: Output, options: &cli::Delay) -> Result<bool> {
    let (ops, delay) = (mask(&options.ops), options.delay);
    keep(platform, out, &options.stands, |ferry, id| {
        ferry.delay(id, ops, delay)?;
        Ok(format!("delaying {} requests by {delay:?}", op_names(ops)))
    })
}

/// `ferryctl limit`. False if the command it ran failed.
///
/// # Errors
/// ferry refuses, or is gone.
pub fn limit(platform: &dyn Platform, out: Output, options: &cli::Limit) -> Result<bool> {
    keep(platform, out, &options.stands, |ferry, id| {
        ferry.set_limit(id, options.limit)?;
        Ok(format!("at most {} requests below at once", options.limit))
    })
}

/// `ferryctl split`. False if the command it ran failed.
///
/// # Errors
/// ferry refuses, or is gone.
pub fn split(platform: &dyn Platform, out: Output, options: &cli::Split) -> Result<bool> {
    let (mode, depth) = match options.parallel {
        Some(depth) => (SplitMode::Parallel, depth.min(MAX_DEPTH)),
        None => (SplitMode::Sequential, 1),
    };
    let flags = if options.stream {
        split_flags::STREAM
    } else {
        0
    };
    let own = matching::OWN_PROCESS;
    keep(platform, out, &options.stands, |ferry, id| {
        ferry.set_split(&Split::new(
            id,
            options.bytes,
            mode.code(),
            depth,
            flags,
            own,
            0,
        ))?;
        Ok(format!(
            "transfers cut into {} bytes, {depth} at once",
            options.bytes
        ))
    })
}

/// `ferryctl timeout`. False if the command it ran failed.
///
/// # Errors
/// ferry refuses, or is gone.
pub fn timeout(platform: &dyn Platform, out: Output, options: &cli::Timeout) -> Result<bool> {
    keep(platform, out, &options.stands, |ferry, id| {
        ferry.set_timeout(id, options.timeout)?;
        Ok(format!(
            "what is below is cancelled after {:?}",
            options.timeout
        ))
    })
}
