//! The plain subcommands: one request, one look, or one thing set, each.

mod data;
mod io;
mod keep;
mod operate;
mod show;

use anyhow::{Context, bail};

pub use self::{
    io::{ioctl, read, write},
    keep::{delay, hold, limit, split, timeout},
    operate::{abort, policy, policy_name, probe, release},
    show::{device_type, info, list, stats},
};
use crate::cli::{Filter, Stands};
use crate::ferry::{Ferry, Unreachable};
use crate::interrupt;
use crate::output::Output;
use crate::platform::Result;

/// The filter device the user means.
///
/// # Errors
/// There is no such device, or none at all.
pub fn filter(ferry: &Ferry, filter: &Filter) -> Result<u32> {
    let devices = ferry.devices()?;
    match (filter.id, &devices[..]) {
        (_, []) => {
            let why = "ferry is loaded but sits on no device: install its extension INF for one, or `ferryctl attach`";
            Err(Unreachable(why.to_owned()).into())
        }
        (None, [first, ..]) => Ok(first.id),
        (Some(id), all) if all.iter().any(|device| device.id == id) => Ok(id),
        (Some(id), all) => {
            let known: Vec<_> = all.iter().map(|device| device.id.to_string()).collect();
            bail!(
                "there is no filter device {id}; there are: {}",
                known.join(", ")
            )
        }
    }
}

/// Keeps up what was set through `ferry`, which ends with its handle. False if the command it ran failed.
///
/// # Errors
/// The command cannot be run, or ferry is gone.
pub fn while_it_stands(ferry: &Ferry, out: Output, stands: &Stands, what: &str) -> Result<bool> {
    if let [program, arguments @ ..] = &stands.command[..] {
        out.remark(&format!("{what}, while {program} runs"));
        let status = std::process::Command::new(program).args(arguments).status();
        return Ok(status
            .with_context(|| format!("cannot run {program}"))?
            .success());
    }
    match stands.duration {
        Some(duration) => out.remark(&format!("{what}, for {duration:?} or until Ctrl-C")),
        None => out.remark(&format!("{what}, until Ctrl-C")),
    }
    interrupt::wait(stands.duration, || {
        ferry
            .info()
            .map(drop)
            .context("ferry is gone, and what was set with it")
    })?;
    Ok(true)
}
