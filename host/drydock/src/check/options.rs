//! The command line of `drydock check`.

use super::phases::Phase;
use std::path::PathBuf;

/// What the exit codes of `drydock check` mean.
pub const EXIT_CODES: &str = "Exit codes: 0 nothing was found; 1 the command line or a file cannot be used, or the file is no KMDF \
    driver; 2 something was left behind after unload; 3 a violation, bug check or fault; 4 the image called something drydock does \
    not have; 5 the device did not start (the reason is printed), so little could be checked. If several apply, the first of 3, 4, \
    2, 5.";

/// What to check, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Image of the KMDF driver: the function driver of its device, or with --over a filter.
    #[arg(value_name = "X.sys")]
    pub image: PathBuf,
    /// Image of the function driver below it.
    #[arg(long, value_name = "LOWER.sys")]
    pub over: Option<PathBuf>,
    /// The driver's INF: gives the hardware id, the service's name and its parameters.
    #[arg(long, value_name = "FILE")]
    pub inf: Option<PathBuf>,
    /// Everything that is chosen at random is chosen by this number. Default: 1.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// How long the whole check may take, about.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub seconds: u32,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// The KMDF version whose function table the images bind to.
    #[arg(long, value_name = "1.N", default_value = "1.33", value_parser = crate::cli::kmdf_minor)]
    pub kmdf: u32,
    /// Run these phases only. May be given more than once.
    #[arg(long, value_name = "PHASE", value_enum)]
    pub only: Vec<Phase>,
    /// Send requests as other drivers do: without a file, for paging, to a device that is not started. Always with --over; a
    /// function driver may rely on what the I/O manager does for programs.
    #[arg(long)]
    pub kernel: bool,
    /// Send requests at DISPATCH_LEVEL too: not where a driver of the stack relies on PASSIVE_LEVEL.
    #[arg(long)]
    pub dispatch: bool,
    /// How long a canceled request may take before it counts as lost.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub patience: u32,
    /// How long nothing may happen before the run counts as stuck.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub watchdog: u32,
    /// Show the debug output of the driver, on standard error.
    #[arg(long)]
    pub debug_output: bool,
    /// The one phase this process runs, printing its result as JSON.
    #[arg(long, value_name = "PHASE", value_enum, hide = true)]
    pub phase: Option<Phase>,
    /// In the sweep: the number of the call that fails; 0 counts the calls.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide = true)]
    pub fail_call: u64,
}

impl Options {
    /// Whether requests may be sent as other drivers send them.
    pub(super) fn is_kernel(&self) -> bool {
        self.kernel || self.over.is_some()
    }
}
