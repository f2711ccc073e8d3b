//! A device stack offered to programs over a Unix socket.
//!
//! `drydock serve` loads a function driver and the filters above it, starts their device by PnP and listens. The
//! protocol is [`drydock_wire`]; one connection is one [process](crate::nt::app::Process) of the machine, with handles and
//! overlapped operations of its own, and when it ends, in whatever way, drydock does what Windows does at a process exit.
//!
//! | file | what it is |
//! |---|---|
//! | `listener` | the socket file: clear errors, left-over files, clean end |
//! | `client` | one connection: requests in, operations started, completions out |
//! | `outbox` | frames on their way to a program; never makes a driver's thread wait |
//!
//! SIGINT and SIGTERM end the service: no more connections, the end of each process, removal of the device, unload of
//! the drivers, the leak report.

mod client;
mod listener;
mod outbox;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sched;
use crate::stack::Stack;
use crate::verify::{self, Exit};
use client::Clients;
use listener::Listener;

/// What to serve, and where.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Unix socket to listen on.
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,
    /// Image of the function driver.
    #[arg(long, value_name = "LOWER.sys")]
    pub image: PathBuf,
    /// Image of a filter driver above it; several are stacked in the order given.
    #[arg(long, value_name = "FILTER.sys")]
    pub upper: Vec<PathBuf>,
    /// KMDF version whose function table the images bind to.
    #[arg(long, value_name = "1.N", default_value = "1.33", value_parser = parse_version)]
    pub kmdf: u32,
    /// Hardware id of the device.
    #[arg(long, value_name = "ID", default_value = r"ROOT\DRYDOCK")]
    pub hardware_id: String,
}

/// Version 1.N of the framework, as its N.
fn parse_version(text: &str) -> Result<u32, String> {
    let minor = text.strip_prefix("1.").and_then(|minor| minor.parse().ok());
    match minor {
        Some(minor @ 0..=33) => Ok(minor),
        _ => Err("a version of KMDF is 1.N with N up to 33, such as 1.15 or 1.31".to_owned()),
    }
}

/// Serves until SIGINT or SIGTERM.
pub fn run(options: &Options) -> Exit {
    match serve(options) {
        Ok(exit) => exit,
        Err(reason) => {
            eprintln!("drydock serve: {reason}");
            Exit::Usage
        }
    }
}

fn serve(options: &Options) -> Result<Exit, String> {
    let mut settings = verify::settings().clone();
    settings.kmdf_minor = options.kmdf;
    verify::configure(settings);
    // Before anything is built, so that a signal during start-up is not lost.
    let mut signals = signal_hook::iterator::Signals::new([libc::SIGINT, libc::SIGTERM])
        .map_err(|error| format!("cannot listen for signals: {error}"))?;
    let listener = Listener::bind(&options.socket)?;
    let images: Vec<&Path> = std::iter::once(&options.image)
        .chain(&options.upper)
        .map(PathBuf::as_path)
        .collect();
    let stack = Stack::build(&format!(r"{}\0000", options.hardware_id), &images)?;
    let clients = Arc::new(Clients::default());
    let accepting = listener.accept(Arc::clone(&clients));
    println!("ready");

    sched::blocking(|| signals.wait());
    eprintln!("drydock serve: stopping");
    accepting.stop();
    let stuck = clients.end_all();
    if !stuck.is_empty() {
        // The device cannot be removed under requests that no driver gives back.
        for program in &stuck {
            eprintln!("drydock serve: {program}");
        }
        return Ok(Exit::Leaks);
    }
    if let Err(reason) = stack.remove() {
        eprintln!("drydock serve: {reason}");
        return Ok(Exit::Leaks);
    }
    let leaks = verify::leak_report();
    eprint!("drydock serve: {leaks}");
    Ok(if leaks.is_empty() {
        Exit::Clean
    } else {
        Exit::Leaks
    })
}
