//! Rules as people write them: one per `--rule`, or many in a TOML file.
//!
//! Both forms become a [`Spec`], and a `Spec` becomes the driver's [`Rule`] for one filter device. Whatever cannot be accepted is a
//! [`BadRule`] that names the place, before the driver is asked anything.

mod apply;
mod file;
mod line;
mod range;
mod spec;

use std::fmt;

pub use self::{
    apply::{apply, check, list},
    file::parse as parse_file,
    line::{GRAMMAR, count, parse as parse_line},
    spec::{Spec, describe, op_names},
};

/// A rule that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRule {
    /// Where: the line of a file, or the rule on the command line.
    pub place: String,
    /// What is wrong with it, and what would be right.
    pub what: String,
}

impl fmt::Display for BadRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl std::error::Error for BadRule {}
