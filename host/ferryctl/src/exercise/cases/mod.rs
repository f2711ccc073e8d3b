//! The cases, by group.

mod access;
mod cancel;
mod carry;
mod control;
mod delay;
mod hold;
mod many;
mod process;
mod refuse;

use super::Case;

/// All groups, in the order they run.
pub const ALL: &[&[Case]] = &[
    carry::CASES,
    control::CASES,
    refuse::CASES,
    access::CASES,
    hold::CASES,
    delay::CASES,
    cancel::CASES,
    many::CASES,
    process::CASES,
];
