//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use ferry_abi::control::ops;

/// Watches, holds, delays and exercises requests that ferry carries.
///
/// On Windows ferryctl opens the devices of the machine; on Linux it speaks to drivers that `drydock serve` runs.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done, and all cases passed; 1 something failed; 2 the command line is wrong."
)]
pub struct Cli {
    /// Linux: socket of a running `drydock serve`.
    #[arg(long, global = true, env = "FERRY_SOCKET", value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what ferry is running.
    Info,
    /// List ferry's filter devices and pier's interfaces.
    Devices,
    /// Read from a device.
    Read(Read),
    /// Write to a device.
    Write(Write),
    /// Send a device control.
    Ioctl(Ioctl),
    /// Hold matching requests until Ctrl-C, for a time, or while a command runs.
    Hold(Hold),
    /// Release held requests, oldest first.
    Release(Release),
    /// Delay matching requests until Ctrl-C, for a time, or while a command runs.
    Delay(Delay),
    /// Show the counters of a filter device.
    Stats(Stats),
    /// Put the drivers through every case of the request life cycle.
    Exercise(Exercise),
    /// Send many mixed requests and check each answer.
    Stress(Stress),
    /// Start requests, say so and wait to be killed; used by `exercise`.
    #[command(hide = true)]
    Victim(Victim),
}

/// A device to do I/O on.
#[derive(Debug, Args)]
pub struct Target {
    /// `pier`, `pier:N` or a path such as `\\.\Name`.
    #[arg(long, default_value = "pier")]
    pub device: String,
    /// Give up and cancel after this long.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "1m")]
    pub timeout: Duration,
}

/// A filter device of ferry.
#[derive(Debug, Args)]
pub struct Filter {
    /// Number of the filter device, see `devices`; the first one if not given.
    #[arg(long, value_name = "ID")]
    pub id: Option<u32>,
}

/// Options of `read`.
#[derive(Debug, Args)]
pub struct Read {
    /// Where to read.
    #[command(flatten)]
    pub target: Target,
    /// Byte offset.
    #[arg(long, default_value_t = 0)]
    pub offset: u64,
    /// Bytes wanted.
    #[arg(long, default_value_t = 256)]
    pub length: usize,
    /// Write the data to a file instead of showing it.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Options of `write`.
#[derive(Debug, Args)]
pub struct Write {
    /// Where to write.
    #[command(flatten)]
    pub target: Target,
    /// Byte offset.
    #[arg(long, default_value_t = 0)]
    pub offset: u64,
    /// What to write.
    #[command(flatten)]
    pub data: Data,
}

/// Bytes to send: one of these.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct Data {
    /// The bytes of this text.
    #[arg(long)]
    pub text: Option<String>,
    /// Bytes in hexadecimal.
    #[arg(long)]
    pub hex: Option<String>,
    /// The bytes of this file.
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
}

/// Options of `ioctl`.
#[derive(Debug, Args)]
pub struct Ioctl {
    /// Control code as a number (0x...), or `echo`, `sum`, `echo-direct`, `echo-neither`, `state`.
    pub code: String,
    /// Where to send it.
    #[command(flatten)]
    pub target: Target,
    /// Input buffer.
    #[command(flatten)]
    pub data: Data,
    /// Length of the output buffer.
    #[arg(long, default_value_t = 256, value_name = "BYTES")]
    pub output: usize,
}

/// Which requests a hold or delay matches.
#[derive(Debug, Args)]
pub struct Match {
    /// Which filter device.
    #[command(flatten)]
    pub filter: Filter,
    /// Operations: `read`, `write`, `control`, or `all`.
    #[arg(long, value_delimiter = ',', default_value = "all", value_parser = parse_op)]
    pub ops: Vec<u32>,
    /// End after this long; without it and without a command, at Ctrl-C.
    #[arg(long = "for", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub duration: Option<Duration>,
    /// Run this command meanwhile and end with it.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

impl Match {
    /// The operations as a mask.
    #[must_use]
    pub fn mask(&self) -> u32 {
        self.ops.iter().fold(0, |mask, op| mask | op)
    }
}

/// Options of `hold`.
#[derive(Debug, Args)]
pub struct Hold {
    /// What to hold.
    #[command(flatten)]
    pub matching: Match,
    /// Release each request by itself at this age.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "30s")]
    pub max_age: Duration,
}

/// Options of `release`.
#[derive(Debug, Args)]
pub struct Release {
    /// Which filter device.
    #[command(flatten)]
    pub filter: Filter,
    /// How many; all that wait if not given.
    #[arg(long)]
    pub count: Option<u32>,
}

/// Options of `delay`.
#[derive(Debug, Args)]
pub struct Delay {
    /// How long each request waits.
    #[arg(value_parser = humantime::parse_duration)]
    pub delay: Duration,
    /// What to delay.
    #[command(flatten)]
    pub matching: Match,
}

/// Options of `stats`.
#[derive(Debug, Args)]
pub struct Stats {
    /// Which filter device.
    #[command(flatten)]
    pub filter: Filter,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `exercise`.
#[derive(Debug, Args)]
pub struct Exercise {
    /// Only cases with this in their name.
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// List the cases and what each shows, run none.
    #[arg(long)]
    pub list: bool,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
    /// `pier`, `pier:N` or a path: the device under ferry.
    #[arg(long, default_value = "pier")]
    pub device: String,
}

/// Options of `stress`.
#[derive(Debug, Clone, Args)]
pub struct Stress {
    /// Requests in all.
    #[arg(long, default_value_t = 100_000)]
    pub count: u64,
    /// Requests in flight per handle.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub depth: u32,
    /// Handles, each driven by its own thread.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub handles: u32,
    /// Seed of the mixture; printed, so that a run can be repeated.
    #[arg(long)]
    pub seed: Option<u64>,
    /// `pier`, `pier:N` or a path: the device under ferry.
    #[arg(long, default_value = "pier")]
    pub device: String,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `victim`.
#[derive(Debug, Args)]
pub struct Victim {
    /// Device to open.
    #[arg(long)]
    pub device: String,
    /// Reads to start.
    #[arg(long)]
    pub reads: u32,
    /// Writes to start.
    #[arg(long)]
    pub writes: u32,
    /// Echo controls to start.
    #[arg(long)]
    pub controls: u32,
}

fn parse_op(text: &str) -> Result<u32, String> {
    match text {
        "read" => Ok(ops::READ),
        "write" => Ok(ops::WRITE),
        "control" => Ok(ops::CONTROL),
        "all" => Ok(ops::ALL),
        _ => Err(format!("{text:?} is none of read, write, control, all")),
    }
}
