//! drydock runs real KMDF `.sys` files in a Linux process, against an executable model of KMDF and of the part of NT
//! around a driver.
//!
//! One machine per process. The layers are folders; a layer uses only those above it in this list:
//!
//! | layer | what it is |
//! |---|---|
//! | [`verify`] | settings, the end of a run (violations, bug checks, faults) and the leak report; used by all |
//! | [`sched`] | threads, short locks, events and time: the only place that knows how threads take turns |
//! | [`loader`] | PE images: mapping, binding, calls into an image and back, backtraces |
//! | [`nt`] | the I/O manager and the kernel around a driver |
//! | [`kmdf`] | the framework, statement by statement of `spec/kmdf-request-lifecycle.md` |
//! | [`stack`] | a device stack from image files, up and down again |
//! | [`mod@explore`] | one race, many schedules: choices, recordings, replay, timelines |
//! | [`check`] | hostile but legal use of any KMDF driver, phase by phase |
//! | [`rate`] | how many requests a second, and how that changes with devices and waiting requests |
//! | [`serve`] | a device stack offered to programs over a Unix socket |
//!
//! Images run as they were built for Windows, so the process must speak their instruction set and leave the GS
//! register free.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("drydock runs x86-64 Windows drivers in place: it builds for x86-64 Linux only");

pub mod check;
pub mod cli;
pub mod explore;
pub mod kmdf;
pub mod loader;
pub mod nt;
pub mod rate;
pub mod sched;
pub mod serve;
pub mod stack;
pub mod verify;
