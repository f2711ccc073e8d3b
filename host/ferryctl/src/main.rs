//! ferryctl: the user-mode program of ferry, one for both platforms.
//!
//! On Windows it opens `\\.\Ferry` and the devices themselves; on Linux it speaks to drivers that
//! `drydock serve` runs, through the same traits ([`platform`]). Every outcome is an `NTSTATUS`, and every
//! failure says what to do about it.

mod bench;
mod cli;
mod command;
mod doctor;
mod exercise;
mod exit;
mod ferry;
mod install;
mod interrupt;
mod observe;
mod output;
mod platform;
mod report;
mod rules;
mod status;
mod stress;
mod top;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::{Cli, Command};
use exit::Exit;
use output::Output;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = run(cli).unwrap_or_else(|error| {
        eprintln!("ferryctl: {error:#}");
        Exit::of_error(&error)
    });
    exit.into()
}

/// Runs what needs no driver, or connects and runs the rest.
fn run(cli: Cli) -> platform::Result<Exit> {
    let out = Output { json: cli.json };
    match &cli.command {
        Command::Exercise(options) if options.list => exercise::list(out, options)?,
        Command::Rules(cli::Rules::Check(source)) => rules::check(out, source)?,
        Command::MakeInf(options) => install::make_inf(out, options)?,
        Command::Attach(options) => return install::attach(out, options).map(Exit::of),
        Command::Detach(options) => return install::detach(out, options).map(Exit::of),
        Command::Doctor => return doctor::run(out, cli.socket).map(Exit::of),
        Command::Completions { shell } => {
            clap_complete::generate(
                *shell,
                &mut Cli::command(),
                "ferryctl",
                &mut std::io::stdout(),
            );
        }
        _ => {
            let platform = platform::connect(cli.socket)?;
            return connected(&*platform, out, cli.command).map(Exit::of);
        }
    }
    Ok(Exit::Done)
}

/// False when something ran as asked and failed by its own report.
fn connected(
    platform: &dyn platform::Platform,
    out: Output,
    command: Command,
) -> platform::Result<bool> {
    match command {
        Command::Info => command::info(platform, out)?,
        Command::List => command::list(platform, out)?,
        Command::Stats(options) => command::stats(platform, out, &options)?,
        Command::Top(options) => top::run(platform, out, &options)?,
        Command::Watch(options) => watch::run(platform, out, &options)?,
        Command::Rules(cli::Rules::Apply(options)) => return rules::apply(platform, out, &options),
        Command::Rules(cli::Rules::List(options)) => rules::list(platform, out, &options)?,
        Command::Policy(options) => command::policy(platform, out, &options)?,
        Command::Hold(options) => return command::hold(platform, out, &options),
        Command::Delay(options) => return command::delay(platform, out, &options),
        Command::Limit(options) => return command::limit(platform, out, &options),
        Command::Split(options) => return command::split(platform, out, &options),
        Command::Timeout(options) => return command::timeout(platform, out, &options),
        Command::Release(options) => command::release(platform, out, &options)?,
        Command::Abort(options) => command::abort(platform, out, &options)?,
        Command::Probe(options) => return command::probe(platform, out, &options),
        Command::Read(options) => command::read(platform, out, &options)?,
        Command::Write(options) => command::write(platform, out, &options)?,
        Command::Ioctl(options) => command::ioctl(platform, out, &options)?,
        Command::Bench(options) => bench::run(platform, out, &options)?,
        Command::Exercise(options) => return exercise::run(platform, out, &options),
        Command::Stress(options) => return stress::run(platform, out, &options),
        Command::Report(options) => return report::run(platform, out, &options),
        Command::Victim(options) => exercise::victim::run(platform, &options)?,
        // Run without a driver, above.
        Command::Rules(cli::Rules::Check(_))
        | Command::MakeInf(_)
        | Command::Attach(_)
        | Command::Detach(_)
        | Command::Doctor
        | Command::Completions { .. } => {}
    }
    Ok(true)
}
