//! Drivers in C, none of which knows of drydock, run on it: six KMDF drivers, the WDM drivers a KMDF driver may find
//! below and above itself, and one that makes a mistake of every kind there is.
//!
//! The sources are in `tests/drivers`; `cargo xtask c-drivers` builds them. Every test runs in a process of its own.

mod bed;
mod compiler;
mod control;
mod filters;
mod guarded;
mod lower;
mod manual;
mod planted;
mod power;
mod remote;
mod sequential;
