//! What every call of an image into the model passes through.

use super::thread::{self, Thread};
use crate::sched::world::{self, What};
use crate::{loader, sched, verify};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A call in progress: named in reports for as long as it lives.
pub struct Frame(&'static Thread);

impl Frame {
    /// Notes that `name` was called on this thread.
    #[inline]
    pub fn enter(name: &'static str) -> Self {
        let thread = thread::current();
        thread.push_call(name);
        world::observe(What::Call(name));
        Self(thread)
    }

    /// The thread that calls.
    pub fn thread(&self) -> &'static Thread {
        self.0
    }
}

impl Drop for Frame {
    #[inline]
    fn drop(&mut self) {
        self.0.pop_call();
    }
}

/// Runs the body of a call made by an image: one scheduling point, the check of the highest level allowed, the name
/// for reports; a panic of the model ends the run as what it is.
#[inline]
pub fn shim<R>(name: &'static str, maximum_irql: u8, body: impl FnOnce() -> R) -> R {
    let frame = Frame::enter(name);
    let result = catch_unwind(AssertUnwindSafe(|| {
        sched::point();
        verify::tick();
        let level = frame.thread().irql();
        if level > maximum_irql {
            thread::require_at_most(maximum_irql, name);
        }
        loader::forbid_pageable_caller();
        let result = body();
        // It may have raised the level of the code it goes back to.
        loader::forbid_pageable_caller();
        result
    }));
    match result {
        Ok(result) => result,
        Err(panic) => verify::model_error(format!("{name}: {}", panic_text(&*panic))),
    }
}

/// Forgets the calls in progress on this thread beyond the first `depth`: their frames are skipped, not left.
pub(super) fn unwind_calls(depth: u32) {
    thread::current().truncate_calls(depth);
}

/// What a panic said.
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
