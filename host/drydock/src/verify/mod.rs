//! What is watched, and how a run ends when something is wrong.
//!
//! This layer only reports. The other layers decide what is a violation, name the statement of
//! `spec/kmdf-request-lifecycle.md` it breaks, and call [`violation`], [`framework_break`] or [`bug_check`]; none but
//! [`framework_break`] comes back. What a report shows beside that comes from sources the layers
//! [register](register_section), and the leaks found after unload from [counters](register_leaks).
//!
//! What it does beside reporting: it decides which calls [fail for want of resources](failable), and
//! [notices](start_watchdog) that a run does not go on.

mod bugcheck;
mod exit;
mod leaks;
mod output;
mod report;
mod resources;
mod settings;
mod watchdog;

pub use bugcheck::bug_check_name;
pub use exit::Exit;
pub use leaks::{Leak, LeakReport, leak_report, register_leaks};
pub use output::{DebugOutput, print, set_debug_output};
pub use report::{
    Report, Severity, breaks, bug_check, fault, framework_break, model_error, on_end,
    register_section, section_of, unimplemented, violation,
};
pub use resources::{Failure, LowResources, failable, failable_calls, failures};
pub use settings::{Settings, configure, settings};
pub use watchdog::{Waiting, no_progress, register_overview, start_watchdog, tick, waiting};
