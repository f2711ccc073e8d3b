//! What is watched, and how a run ends when something is wrong.
//!
//! This layer only reports. The other layers decide what is a violation, name the statement of
//! `spec/kmdf-request-lifecycle.md` it breaks, and call [`violation`], [`framework_break`] or [`bug_check`]; none but
//! [`framework_break`] comes back. What a report shows beside that comes from sources the layers
//! [register](register_section), and the leaks found after unload from [counters](register_leaks).

mod bugcheck;
mod exit;
mod leaks;
mod output;
mod report;
mod settings;

pub use bugcheck::bug_check_name;
pub use exit::Exit;
pub use leaks::{Leak, LeakReport, leak_report, register_leaks};
pub use output::{DebugOutput, print, set_debug_output};
pub use report::{
    Report, Severity, breaks, bug_check, fault, framework_break, model_error, on_end,
    register_section, unimplemented, violation,
};
pub use settings::{Settings, configure, settings};
