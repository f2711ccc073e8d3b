//! The `drydock` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    drydock::cli::main()
}
