//! The exit codes of drydock.

/// How a run ended, for the caller of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Nothing was found.
    Clean = 0,
    /// The command line or a file it names cannot be used.
    Usage = 1,
    /// The run ended, and something was left behind.
    Leaks = 2,
    /// A violation, a bug check or a fault ended the run.
    Violation = 3,
    /// The image called something drydock does not have.
    Unimplemented = 4,
    /// Nothing was found, and little was looked at: the device did not start.
    NotStarted = 5,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
