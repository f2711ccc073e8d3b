//! The command line.

mod count;
mod explore;
mod run;

pub(crate) use run::kmdf_minor;

use crate::check;
use crate::loader;
use crate::rate;
use crate::serve;
use crate::verify::Exit;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// Runs real KMDF drivers on Linux.
#[derive(Parser)]
#[command(name = "drydock", version, about, long_about = None, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 clean; 1 the command line or a file cannot be used; 2 something was left behind \
    after unload; 3 a violation, bug check or fault ended the run; 4 the image called something drydock does not have.";

#[derive(Subcommand)]
enum Command {
    /// Load drivers, start a device if asked, let their threads end, and unload them.
    Run(run::Options),
    /// Run one race many times, in every order of its threads.
    Explore(explore::Options),
    /// Run a recorded schedule again.
    Replay(explore::ReplayOptions),
    /// Draw a recorded schedule as SVG: a lane per thread, a bar per request in the colour of its owner.
    Timeline(explore::TimelineOptions),
    /// Use a KMDF driver in every legal way, the hostile ones included, and report what it does wrong.
    #[command(after_help = check::EXIT_CODES)]
    Check(check::Options),
    /// Host a device stack and speak to programs over a Unix socket.
    Serve(serve::Options),
    /// Count the instructions and calls of each driver per request.
    Count(count::Options),
    /// Measure what a request costs, with many devices and with many requests that wait.
    Rate(rate::Options),
}

/// Prints a paragraph, unless nobody listens any more.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(message) => {
            // Where help and versions, or complaints, are printed to is closed: nobody to tell.
            let _ = message.print();
            let complaint = message.use_stderr();
            return if complaint { Exit::Usage } else { Exit::Clean }.into();
        }
    };
    match arguments.command {
        // An explored machine makes everything of its own, also the handlers of faults.
        Command::Explore(options) => explore::explore(&options),
        Command::Replay(options) => explore::replay(&options),
        Command::Timeline(options) => explore::timeline(&options),
        Command::Run(options) => {
            loader::catch_faults();
            run::run(&options)
        }
        Command::Serve(options) => {
            loader::catch_faults();
            serve::run(&options)
        }
        Command::Check(options) => {
            loader::catch_faults();
            check::run(&options)
        }
        Command::Count(options) => {
            loader::catch_faults();
            count::run(&options)
        }
        Command::Rate(options) => {
            loader::catch_faults();
            rate::run(&options)
        }
    }
    .into()
}
