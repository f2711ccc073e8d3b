//! The command line.

use clap::Parser;
use std::process::ExitCode;

/// Runs real KMDF drivers on Linux.
#[derive(Parser)]
#[command(name = "drydock", version, about, long_about = None)]
struct Arguments {}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let Arguments {} = Arguments::parse();
    ExitCode::SUCCESS
}
