//! Small drivers written as `extern "win64"` functions, run against queues, requests and I/O targets.
//!
//! The recorded logs of Microsoft's framework (`conformance/`) cover what one processor shows in order. These tests add
//! what they cannot: requests of user-mode programs, real parallelism, misuse that ends a run, and the reports about it.

mod bench;
mod breaks;
mod cancellation;
mod chaos;
mod checks;
mod delivery;
mod filters;
mod handles;
mod lower;
mod memory;
mod misuse;
mod ownership;
mod properties;
mod queues;
mod rate;
mod removal;
mod reserve;
mod sending;
mod targets;
mod unchecked;
