//! Exit codes.

use std::process::ExitCode;

use crate::ferry::Unreachable;
use crate::rules::BadRule;

/// How the program ends. The numbers are a promise to scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done as asked; every case, check and answer was right.
    Done = 0,
    /// Something failed: an operation, a case, an answer, a check.
    Failed = 1,
    /// What was asked makes no sense: the command line (told by clap), or a rule.
    Usage = 2,
    /// The drivers do not answer: nothing was tried.
    Unreachable = 3,
}

/// For `--help`.
pub const HELP: &str = "Exit codes: 0 done, and all as expected; 1 something failed; 2 the command line or a rule is wrong; \
                        3 the drivers do not answer. Interrupting a command that waits (Ctrl-C) is not a failure.";

impl Exit {
    /// 0 or 1.
    #[must_use]
    pub const fn of(as_expected: bool) -> Self {
        if as_expected {
            Self::Done
        } else {
            Self::Failed
        }
    }

    /// What an error stands for.
    #[must_use]
    pub fn of_error(error: &anyhow::Error) -> Self {
        if error.downcast_ref::<BadRule>().is_some() {
            Self::Usage
        } else if error.downcast_ref::<Unreachable>().is_some() {
            Self::Unreachable
        } else {
            Self::Failed
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn an_error_tells_its_exit_code_through_what_was_said_around_it() {
        let error = Err::<(), _>(anyhow::Error::new(Unreachable("no answer".to_owned())))
            .context("cannot list")
            .unwrap_err();
        assert_eq!(Exit::of_error(&error), Exit::Unreachable);
        assert_eq!(Exit::of_error(&anyhow::anyhow!("other")), Exit::Failed);
        assert_eq!(Exit::of(true), Exit::Done);
    }
}
