//! ferryctl: the user-mode program of ferry, one for both platforms.
//!
//! On Windows it opens `\\.\Ferry` and the devices themselves; on Linux it speaks to drivers that
//! `drydock serve` runs, through the same traits ([`platform`]). Every outcome is an `NTSTATUS`, and every
//! failure says what to do about it.

mod cli;
mod command;
mod exercise;
mod ferry;
mod interrupt;
mod platform;
mod status;
mod stress;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ferryctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// False when something ran as asked and failed by its own report.
fn run(cli: Cli) -> platform::Result<bool> {
    if let Command::Exercise(options) = &cli.command
        && options.list
    {
        exercise::list(options);
        return Ok(true);
    }
    let platform = platform::connect(cli.socket)?;
    let platform = &*platform;
    match cli.command {
        Command::Info => command::info(platform)?,
        Command::Devices => command::devices(platform)?,
        Command::Read(options) => command::read(platform, &options)?,
        Command::Write(options) => command::write(platform, &options)?,
        Command::Ioctl(options) => command::ioctl(platform, &options)?,
        Command::Hold(options) => return command::hold(platform, &options),
        Command::Release(options) => command::release(platform, &options)?,
        Command::Delay(options) => return command::delay(platform, &options),
        Command::Stats(options) => command::stats(platform, &options)?,
        Command::Exercise(options) => return exercise::run(platform, &options),
        Command::Stress(options) => return stress::run(platform, &options),
        Command::Victim(options) => exercise::victim::run(platform, &options)?,
    }
    Ok(true)
}
