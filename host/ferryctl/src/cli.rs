//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use ferry_abi::control::ops;

use crate::exit;
use crate::rules::GRAMMAR;

/// Watches, holds, delays, fails and exercises requests that ferry carries.
///
/// On Windows ferryctl opens the devices of the machine; on Linux it speaks to drivers that `drydock serve` runs.
#[derive(Debug, Parser)]
#[command(version, after_help = exit::HELP)]
pub struct Cli {
    /// Linux: socket of a running `drydock serve`.
    #[arg(long, global = true, env = "FERRY_SOCKET", value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Answer in JSON: one value per line on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what ferry is running.
    Info,
    /// List ferry's filter devices, and the devices known to be under them.
    #[command(visible_alias = "devices")]
    List,
    /// Show the counters of a filter device.
    Stats(Filter),
    /// Show devices, rates, latencies, what is in flight and the rules, live.
    Top(Top),
    /// Print what happens to requests, as it happens.
    Watch(Watch),
    /// Apply rules, list those in force, or check how they are written.
    #[command(subcommand)]
    Rules(Rules),
    /// Show or set how a device's requests travel.
    Policy(Policy),
    /// Hold matching requests until Ctrl-C, for a time, or while a command runs.
    Hold(Hold),
    /// Delay matching requests until Ctrl-C, for a time, or while a command runs.
    Delay(Delay),
    /// Limit how many requests are below at once, until Ctrl-C, for a time, or while a command runs.
    Limit(Limit),
    /// Cut long transfers into chunks, until Ctrl-C, for a time, or while a command runs.
    Split(Split),
    /// Cancel what is below for too long, until Ctrl-C, for a time, or while a command runs.
    Timeout(Timeout),
    /// Release held requests, oldest first.
    Release(Release),
    /// Cancel requests that are below.
    Abort(Abort),
    /// Ask the lower device whether it still answers.
    Probe(Probe),
    /// Read from a device.
    Read(Read),
    /// Write to a device.
    Write(Write),
    /// Send a device control.
    Ioctl(Ioctl),
    /// Measure rates and latencies of a device.
    Bench(Bench),
    /// Send many mixed requests and check each answer.
    Stress(Stress),
    /// Put the drivers through every case of the request life cycle.
    Exercise(Exercise),
    /// Say what is missing for ferry to work here, and the command that mends it.
    Doctor,
    /// Observe a device and write one self-contained page: latencies, a timeline, counters.
    Report(Report),
    /// Windows: put ferry above a device.
    Attach(Attach),
    /// Windows: take ferry away from a device.
    Detach(Detach),
    /// Make ferry's extension INF for more devices.
    MakeInf(MakeInf),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
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
#[derive(Debug, Clone, Args)]
pub struct Filter {
    /// Number of the filter device, see `list`; the first one if not given.
    #[arg(long, value_name = "ID")]
    pub id: Option<u32>,
}

/// How long something stands that ends with this program.
#[derive(Debug, Args)]
pub struct Stands {
    /// Which filter device.
    #[command(flatten)]
    pub filter: Filter,
    /// End after this long; without it and without a command, at Ctrl-C.
    #[arg(long = "for", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub duration: Option<Duration>,
    /// Run this command meanwhile and end with it.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Options of `top`.
#[derive(Debug, Args)]
pub struct Top {
    /// How often everything is looked at.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "500ms")]
    pub every: Duration,
    /// Only this filter device.
    #[command(flatten)]
    pub filter: Filter,
    /// Print one picture after this long and end; needs no terminal.
    #[arg(long, value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub once: Option<Duration>,
}

/// Options of `watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// Only this filter device; all if not given.
    #[command(flatten)]
    pub filter: Filter,
    /// End after this many events.
    #[arg(long)]
    pub count: Option<u64>,
    /// End after this long.
    #[arg(long = "for", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub duration: Option<Duration>,
}

/// What `rules` can do.
#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Apply rules until Ctrl-C, for a time, or while a command runs; then say how often each was used.
    #[command(after_help = GRAMMAR)]
    Apply(RulesApply),
    /// List the rules in force, in the order they are tried.
    List(Filter),
    /// Read rules and say what they mean; asks no driver.
    #[command(after_help = GRAMMAR)]
    Check(RuleSource),
}

/// Where rules come from: files first, then the command line, each in its order.
#[derive(Debug, Args)]
pub struct RuleSource {
    /// A rule, such as 'read delay 50ms every=10'.
    #[arg(long, value_name = "RULE")]
    pub rule: Vec<String>,
    /// A TOML file of [[rule]] tables.
    #[arg(long, value_name = "FILE")]
    pub file: Vec<PathBuf>,
}

/// Options of `rules apply`.
#[derive(Debug, Args)]
pub struct RulesApply {
    /// Which rules.
    #[command(flatten)]
    pub source: RuleSource,
    /// For how long.
    #[command(flatten)]
    pub stands: Stands,
}

/// How requests travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PolicyName {
    /// Through ferry's queues and completion routine: everything works.
    Carried,
    /// Through ferry's queues, then forgotten: no rules, nothing counted after the send.
    SendAndForget,
    /// Passed down in the caller's thread, as if ferry were not there.
    Bypass,
}

/// Options of `policy`.
#[derive(Debug, Args)]
pub struct Policy {
    /// The new policy; shows the present one if not given.
    pub policy: Option<PolicyName>,
    /// Which filter device.
    #[command(flatten)]
    pub filter: Filter,
}

/// Options of `hold`.
#[derive(Debug, Args)]
pub struct Hold {
    /// Operations: `read`, `write`, `control`, or `all`.
    #[arg(long, value_delimiter = ',', default_value = "all", value_parser = parse_op)]
    pub ops: Vec<u32>,
    /// Release each request by itself at this age.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "30s")]
    pub max_age: Duration,
    /// For how long.
    #[command(flatten)]
    pub stands: Stands,
}

/// Options of `delay`.
#[derive(Debug, Args)]
pub struct Delay {
    /// How long each request waits.
    #[arg(value_parser = humantime::parse_duration)]
    pub delay: Duration,
    /// Operations: `read`, `write`, `control`, or `all`.
    #[arg(long, value_delimiter = ',', default_value = "all", value_parser = parse_op)]
    pub ops: Vec<u32>,
    /// For how long.
    #[command(flatten)]
    pub stands: Stands,
}

/// Options of `limit`.
#[derive(Debug, Args)]
pub struct Limit {
    /// How many.
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// For how long.
    #[command(flatten)]
    pub stands: Stands,
}

/// Options of `split`.
#[derive(Debug, Args)]
pub struct Split {
    /// Longest chunk, such as 4K.
    #[arg(value_parser = crate::rules::count)]
    pub bytes: u32,
    /// Send this many chunks of a transfer at once.
    #[arg(long, value_name = "DEPTH")]
    pub parallel: Option<u32>,
    /// Cut the transfers of a device that is not addressed by offsets.
    #[arg(long)]
    pub stream: bool,
    /// For how long.
    #[command(flatten)]
    pub stands: Stands,
}

/// Options of `timeout`.
#[derive(Debug, Args)]
pub struct Timeout {
    /// After how long.
    #[arg(value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// For how long the timeout itself stands.
    #[command(flatten)]
    pub stands: Stands,
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

/// Options of `abort`.
#[derive(Debug, Args)]
pub struct Abort {
    /// Which filter device.
    #[command(flatten)]
    pub filter: Filter,
    /// Number of one request, see `top` and `watch`; all that are below if not given.
    #[arg(long)]
    pub request: Option<u64>,
}

/// Options of `probe`.
#[derive(Debug, Args)]
pub struct Probe {
    /// Which filter device.
    #[command(flatten)]
    pub filter: Filter,
    /// Send this METHOD_BUFFERED control instead of a read.
    #[arg(long)]
    pub code: Option<String>,
    /// Where to read.
    #[arg(long, default_value_t = 0)]
    pub offset: u64,
    /// Bytes of the read, or of the output buffer.
    #[arg(long, default_value_t = 512)]
    pub length: u32,
    /// Cancel it after this long.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "5s")]
    pub timeout: Duration,
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

/// What `bench` sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchOp {
    /// Reads.
    Read,
    /// Writes. Overwrites what the device holds.
    Write,
    /// pier's echo control.
    Echo,
}

/// Options of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// What to send.
    #[arg(value_enum, default_value = "read")]
    pub op: BenchOp,
    /// Bytes of each request, such as 4K.
    #[arg(long, default_value = "4K", value_parser = crate::rules::count)]
    pub length: u32,
    /// Requests in flight.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub depth: u32,
    /// How long to measure.
    #[arg(long = "for", value_parser = humantime::parse_duration, default_value = "3s", value_name = "DURATION")]
    pub duration: Duration,
    /// `pier`, `pier:N` or a path.
    #[arg(long, default_value = "pier")]
    pub device: String,
}

/// Options of `exercise`.
#[derive(Debug, Args)]
pub struct Exercise {
    /// Only cases with this in their name.
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// A case that cannot be run here counts as failed.
    #[arg(long)]
    pub none_skipped: bool,
    /// List the cases and what each shows, run none.
    #[arg(long)]
    pub list: bool,
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
    /// Cancel this many of a thousand requests at random.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1000), value_name = "PERMILLE")]
    pub cancel: u32,
    /// Set random rules of ferry's meanwhile, and change them all the time.
    #[arg(long)]
    pub rules: bool,
    /// `pier`, `pier:N` or a path: the device under ferry.
    #[arg(long, default_value = "pier")]
    pub device: String,
}

/// Options of `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// The page to write.
    #[arg(long, value_name = "FILE", default_value = "ferry-report.html")]
    pub output: PathBuf,
    /// How long to observe, and what to run meanwhile.
    #[command(flatten)]
    pub stands: Stands,
}

/// Options of `attach`.
#[derive(Debug, Args)]
pub struct Attach {
    /// Instance id of the device, as Device Manager and `pnputil /enum-devices` show it.
    pub instance: String,
    /// Attach to a class or a boot-start driver that is refused otherwise. Never to what carries the system.
    #[arg(long)]
    pub force: bool,
    /// Only say what would be done.
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `detach`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Detach {
    /// Instance id of the device.
    pub instance: Option<String>,
    /// Every device, also those that are not plugged in.
    #[arg(long)]
    pub all: bool,
}

/// Options of `make-inf`.
#[derive(Debug, Args)]
pub struct MakeInf {
    /// Hardware ids to put ferry above, such as `USB\VID_1234&PID_5678`.
    #[arg(required = true, value_name = "HARDWARE-ID")]
    pub ids: Vec<String>,
    /// The INF as it is; ferry's own if not given.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Where the new one goes; standard output if not given.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// DriverVer of the new one, as mm/dd/yyyy,w.x.y.z; must be newer than the last one's. Left to stampinf if not given.
    #[arg(long, value_name = "VERSION")]
    pub driver_ver: Option<String>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn json_is_understood_everywhere() {
        for line in [
            "ferryctl list --json",
            "ferryctl --json rules list",
            "ferryctl rules list --json",
            "ferryctl bench --json",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).unwrap().json, "{line}");
        }
    }
}
