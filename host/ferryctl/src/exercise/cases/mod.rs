//! The cases, by group.

mod access;
mod cancel;
mod carry;
mod complete;
mod control;
mod delay;
mod hold;
mod many;
mod observe;
mod process;
mod receive;
mod refuse;
mod rules;
mod send;
mod sender;
mod showcase;
mod split;

use super::Case;

/// All groups, in the order they run.
pub const ALL: &[&[Case]] = &[
    carry::CASES,
    control::CASES,
    refuse::CASES,
    access::CASES,
    receive::CASES,
    complete::CASES,
    send::CASES,
    hold::CASES,
    delay::CASES,
    cancel::CASES,
    rules::CASES,
    split::CASES,
    observe::CASES,
    many::CASES,
    process::CASES,
    showcase::CASES,
    sender::CASES,
];
