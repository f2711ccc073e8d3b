//! The framework: the executable form of `spec/kmdf-request-lifecycle.md`.
//!
//! A driver reaches it through the function table [`bind`] gives it; [`ddi`] is the way in of every function. What a
//! driver holds are [`handle`]s of [`object`]s; [`lifetime`] is their end. Requests travel from an IRP through a
//! [`queue`] to the driver, and through a [`target`] to the next one; [`request`] says who owns them meanwhile.
//!
//! Towards NT the framework behaves like any WDM driver: dispatch routines, AddDevice, completion routines.

pub mod attributes;
pub mod automatic;
pub mod bind;
mod block;
pub mod callback;
pub mod collection;
mod context;
pub mod control;
pub mod ddi;
pub mod device;
mod device_create;
mod device_ddi;
pub mod device_init;
mod dispatch;
pub mod dpc;
pub mod driver;
pub mod file;
mod forward;
pub mod guest;
pub mod handle;
mod init_ddi;
pub mod interface;
pub mod kind;
mod leaks;
pub mod lifetime;
pub mod lock;
mod long_wait;
pub mod memory;
pub mod object;
mod object_ddi;
pub mod pnp;
pub mod power;
mod property;
pub mod queue;
pub mod registry;
mod registry_write;
pub mod request;
pub mod resources;
mod running;
mod serial;
pub mod string;
pub mod table;
pub mod target;
pub mod timer;
mod usage;
pub mod workitem;

pub use object_ddi::parent_or_driver;

/// Address of what an image imports: from the framework's loader, or from the kernel. How [`crate::loader::load`] is told.
pub fn resolve_import(module: &str, symbol: &str) -> Option<usize> {
    bind::lookup(module, symbol).or_else(|| crate::nt::exports::lookup(module, symbol))
}

#[cfg(test)]
mod tests;
