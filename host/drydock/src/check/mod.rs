//! `drydock check`: any KMDF driver, used in every legal way.
//!
//! The suite follows the list of Microsoft's Device Fundamentals tests (`spec/kmdf-rules.md`, section 11). Each phase is a
//! process of its own, because a violation ends the process: this program starts itself once per phase, and collects what
//! the phases say.
//!
//! | file | what it is |
//! |---|---|
//! | [`options`] | the command line |
//! | [`audit`] | what can be said of the file without running it |
//! | [`inf`] | what the INF says about the driver |
//! | [`bed`] | the driver's stack, up and down, in the process of a phase |
//! | [`phases`] | what is done to it |
//! | [`conductor`] | one process per phase, and the sweep of failing calls |
//! | [`report`] | what was found, as text and as JSON |
//!
//! | Device Fundamentals test | phase |
//! |---|---|
//! | Simple I/O stress, with process termination | stress |
//! | PnP: disable and enable, cancel stop and remove, rebalance, failed restart, surprise removal, reinstall, with I/O | start, pnp |
//! | Sleep with I/O before, during and after; pulled while asleep | power |
//! | Fuzz: random control codes, and a second phase after what was found; zero-length and odd buffers | codes, buffers |
//! | Fuzz: file information, attributes, security, volumes, directories, locks, quota, file system controls | files |
//! | Fuzz: open and close, sub-opens, streams | opens |
//! | I/O Spy and I/O Attack: what was seen to work is sent again with a change | codes |
//! | CHAOS | chaos |
//! | Driver Verifier: forced pending, random and systematic low resources | pending, low, sweep |
//!
//! Not imitated: reboots, pipes and mailslots (the names lead to other drivers), sections (no file system is here), new resources in
//! a rebalance (the root bus has none), and CPU stress, which is what `explore` is better at.

mod audit;
mod bed;
mod conductor;
mod inf;
mod options;
mod phases;
mod report;
mod traffic;

pub use options::{EXIT_CODES, Options};

use crate::verify::Exit;

/// Checks a driver, or runs the one phase this process was started for.
pub fn run(options: &Options) -> Exit {
    match &options.phase {
        Some(phase) => phases::run(options, *phase),
        None => conductor::run(options),
    }
}
