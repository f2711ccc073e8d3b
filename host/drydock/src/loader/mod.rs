//! PE images: mapping, binding, calls into an image and back, backtraces.
//!
//! An image runs as it was built: with the calling convention, the GS register and the stack size it expects. It is
//! entered only through [`call`], and comes back to the model only through stubs ([`thunk()`]). What its code does wrong is
//! caught ([`set_interrupt_level_access`] and the handlers beside it) and ends the run with a report.

mod backtrace;
pub mod call;
mod control;
mod count;
mod emulate;
mod error;
mod exception;
mod fault;
mod image;
pub mod layout;
mod memory;
mod pe;
mod preempt;
#[cfg(test)]
mod sample;
mod symbols;
#[cfg(test)]
mod tests;
mod thunk;
mod unwind;

pub use backtrace::{Step, caller, return_addresses, steps};
pub use control::{set_kernel_thread, share_os_thread, stack_high_water};
pub use count::{ImageCount, count};
pub use emulate::set_interrupt_level_access;
pub use error::{LoadError, Reason};
pub use exception::{c_specific_handler, raise, raise_if_handled};
pub use fault::{
    Touch, catch_faults, forget_fault, is_user_address, register_address_describer,
    set_user_addresses, set_user_memory,
};
pub use image::{Image, Resolve, forbid_pageable_caller, load};
pub use preempt::{Preempted, describe_access, preempt, preempted};
pub use symbols::{Symbol, describe, describe_return, symbolize};
pub use thunk::{Win64Function, current as current_call, thunk};
