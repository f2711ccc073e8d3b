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
