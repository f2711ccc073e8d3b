//! The I/O manager and the kernel around a driver.
//!
//! What a driver of either kind (WDM, or the framework above it) can tell from Windows is real here: structures in memory, stacks of devices,
//! IRPs that travel down and up, interrupt levels, DPCs, work items, pool. Read in this order: [`abi`] (the structures), [`irp`], [`device`],
//! [`mod@file`] (opens and closes), [`io`] (a program's requests), [`pnp`]; [`app`] is where programs begin.
//!
//! State of the kernel is global: one machine per process. A lock of it is held for a few instructions only, never across a call
//! into a driver.

pub mod abi;
pub mod app;
pub mod callout;
pub mod ddi;
pub mod device;
pub mod dpc;
pub mod driver;
pub mod exports;
mod fast_mutex;
pub mod file;
mod force_pending;
pub mod in_flight;
pub mod io;
pub mod irp;
pub mod lock_order;
pub mod machine;
pub mod mdl;
pub mod memory;
pub mod namespace;
pub mod object;
pub mod pnp;
pub mod pool;
pub mod process;
pub mod raw;
pub mod registry;
pub mod security;
pub mod spinlock;
pub mod status;
pub mod thread;
pub mod timer;
pub mod tracing;
mod transfer;
pub mod wait;
pub mod workitem;

#[cfg(test)]
mod tests;

pub use pnp::power;
