//! One thing done at once: release, abort, probe, policy.

use std::fmt;

use anyhow::bail;
use ferry_abi::control::{self, PolicyKind, ops};
use serde::Serialize;

use super::{data, filter};
use crate::cli::{self, PolicyName};
use crate::ferry::Ferry;
use crate::output::{self, Output};
use crate::platform::{Platform, Result};
use crate::status::Status;

/// How many requests something was done to.
#[derive(Serialize)]
struct Count {
    device: u32,
    count: u32,
    #[serde(skip)]
    done: &'static str,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} request(s) of filter device {}",
            self.done, self.count, self.device
        )
    }
}

/// `ferryctl release`.
///
/// # Errors
/// ferry refuses.
pub fn release(platform: &dyn Platform, out: Output, options: &cli::Release) -> Result<()> {
    let ferry = Ferry::open(platform)?;
    let device = filter(&ferry, &options.filter)?;
    if options.count == Some(0) {
        bail!("--count 0 would release nothing; leave --count away to release all");
    }
    let count = ferry.release(device, options.count.unwrap_or(0))?;
    out.say(&Count {
        device,
        count,
        done: "released",
    })
}

/// `ferryctl abort`.
///
/// # Errors
/// ferry refuses.
pub fn abort(platform: &dyn Platform, out: Output, options: &cli::Abort) -> Result<()> {
    let ferry = Ferry::open(platform)?;
    let device = filter(&ferry, &options.filter)?;
    if options.request == Some(0) {
        bail!("there is no request 0; leave --request away to abort all");
    }
    let count = ferry.abort(device, options.request.unwrap_or(0))?;
    out.say(&Count {
        device,
        count,
        done: "asked the lower driver to let go of",
    })
}

/// What the lower device said.
#[derive(Serialize)]
struct Probed {
    device: u32,
    status: Status,
    information: u64,
    microseconds: u64,
}

impl fmt::Display for Probed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = output::time(self.microseconds * 10);
        write!(
            f,
            "under filter device {}: {} after {took}, information {}",
            self.device, self.status, self.information
        )
    }
}

/// `ferryctl probe`. False if the device did not answer in time.
///
/// # Errors
/// ferry refuses.
pub fn probe(platform: &dyn Platform, out: Output, options: &cli::Probe) -> Result<bool> {
    let ferry = Ferry::open(platform)?;
    let device = filter(&ferry, &options.filter)?;
    let (op, code) = match &options.code {
        Some(code) => (ops::CONTROL, data::code(code)?),
        None => (ops::READ, 0),
    };
    let timeout = u32::try_from(options.timeout.as_millis()).unwrap_or(u32::MAX);
    let probe = control::Probe::new(device, op, options.offset, options.length, code, timeout, 0);
    if let Err(invalid) = probe.check() {
        bail!(
            "{} cannot be accepted: a probe reads, or sends a METHOD_BUFFERED control; {} bytes and {} ms at most",
            invalid.field,
            control::MAX_PROBE,
            control::MAX_TIMEOUT_MS
        );
    }
    let probed = ferry.probe(&probe)?;
    let status = Status(probed.status.cast_signed());
    let (information, microseconds) = (probed.information, probed.elapsed / 10);
    out.say(&Probed {
        device,
        status,
        information,
        microseconds,
    })?;
    Ok(status != Status::IO_TIMEOUT)
}

/// What is set on a device.
#[derive(Serialize)]
struct Settings {
    device: u32,
    policy: &'static str,
    limit: u32,
    max_transfer: u32,
    split: &'static str,
    depth: u32,
    timeout_ms: u32,
    observers: u32,
    rules: u32,
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |value: u32, unit: &str| match value {
            0 => "none".to_owned(),
            value => format!("{value}{unit}"),
        };
        writeln!(f, "filter device {}", self.device)?;
        writeln!(f, "  policy    {}", self.policy)?;
        writeln!(f, "  limit     {}", or_none(self.limit, " requests below"))?;
        match self.max_transfer {
            0 => writeln!(f, "  split     none")?,
            bytes => writeln!(
                f,
                "  split     {bytes} bytes, {}, {} at once",
                self.split, self.depth
            )?,
        }
        writeln!(f, "  timeout   {}", or_none(self.timeout_ms, " ms"))?;
        writeln!(f, "  rules     {}", self.rules)?;
        write!(f, "  observers {}", self.observers)
    }
}

/// A policy by name.
#[must_use]
pub fn policy_name(code: u32) -> &'static str {
    match PolicyKind::from_code(code) {
        Some(PolicyKind::Carried) => "carried",
        Some(PolicyKind::SendAndForget) => "send-and-forget",
        Some(PolicyKind::Bypass) => "bypass",
        None => "unknown",
    }
}

/// `ferryctl policy`: sets it if one is named, and shows what is set on the device.
///
/// # Errors
/// ferry refuses.
pub fn policy(platform: &dyn Platform, out: Output, options: &cli::Policy) -> Result<()> {
    let ferry = Ferry::open(platform)?;
    let device = filter(&ferry, &options.filter)?;
    if let Some(policy) = options.policy {
        let kind = match policy {
            PolicyName::Carried => PolicyKind::Carried,
            PolicyName::SendAndForget => PolicyKind::SendAndForget,
            PolicyName::Bypass => PolicyKind::Bypass,
        };
        ferry.set_policy(device, kind)?;
    }
    let set = ferry.settings(device)?;
    let parallel = set.split_mode == control::SplitMode::Parallel.code();
    out.say(&Settings {
        device,
        policy: policy_name(set.policy),
        limit: set.limit,
        max_transfer: set.max_transfer,
        split: if parallel { "parallel" } else { "sequential" },
        depth: set.split_depth,
        timeout_ms: set.timeout_ms,
        observers: set.observers,
        rules: set.rules,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_shown_with_its_units() {
        let settings = Settings {
            device: 1,
            policy: policy_name(0),
            limit: 4,
            max_transfer: 4096,
            split: "parallel",
            depth: 8,
            timeout_ms: 0,
            observers: 1,
            rules: 2,
        };
        insta::assert_snapshot!(settings.to_string(), @r"
        filter device 1
          policy    carried
          limit     4 requests below
          split     4096 bytes, parallel, 8 at once
          timeout   none
          rules     2
          observers 1
        ");
    }
}
