//! The way into the framework: what every DDI does on entry, and how a body of safe Rust becomes a table entry.
//!
//! A DDI body is a plain function `fn(&Call, arguments...) -> result`. The [`export!`] macro wraps it in an
//! `extern "win64"` shim that passes a scheduling point, notes the name for reports, checks the maximum IRQL (VF,
//! R-CHK-03) and turns a panic of the model into a report.
#![expect(
    unsafe_code,
    reason = "the globals a driver passes lead to its binding"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::bind::{self, Binding};
use super::guest;
use super::handle::WDF_VIOLATION;
use crate::loader;
use crate::nt;
use crate::nt::status::NtStatus;
use crate::sched;
use crate::verify;

/// PASSIVE_LEVEL.
pub const PASSIVE: u8 = 0;
/// APC_LEVEL.
pub const APC: u8 = 1;
/// DISPATCH_LEVEL.
pub const DISPATCH: u8 = 2;
/// A DDI callable at any IRQL.
pub const ANY: u8 = 31;

/// One call of a driver into the framework.
#[derive(Clone, Copy)]
pub struct Call {
    /// The calling driver.
    pub binding: &'static Binding,
    /// Name of the DDI.
    pub name: &'static str,
}

impl Call {
    /// The framework verifier is on for the calling driver (R-CHK-01); else no check marked (VF) looks (R-CHK-02).
    pub fn verifier(&self) -> bool {
        self.binding.verifier()
    }

    /// BREAK: reports `text` as a break of `statement` in this DDI.
    pub fn framework_break(&self, statement: &'static str, text: &str) {
        verify::framework_break(statement, format!("{}: {text}", self.name));
    }

    /// Stops the run if a required pointer is null (R-OBJ-06).
    pub fn require(&self, address: u64, what: &str) {
        if address == 0 {
            verify::bug_check(
                WDF_VIOLATION,
                [4, 0, loader::caller().unwrap_or(0) as u64, 0],
                format!(
                    "{}: required parameter {what} is null (R-OBJ-06)",
                    self.name
                ),
            );
        }
    }

    /// (VF) The call is made above `max`: BREAK, and the DDI is to have no effect (R-CHK-03, R-CHK-41).
    pub fn irql_too_high(&self, max: u8) -> bool {
        let irql = nt::thread::current().irql();
        if irql <= max || !self.verifier() {
            return false;
        }
        self.framework_break(
            "R-CHK-41",
            &format!("called at IRQL {irql}, at most {max} is allowed"),
        );
        true
    }
}

/// What a DDI returns when the verifier refuses the call (R-CHK-03).
pub trait Refusal {
    /// The value.
    const REFUSED: Self;
}

impl Refusal for () {
    const REFUSED: Self = ();
}
impl Refusal for NtStatus {
    const REFUSED: Self = NtStatus::INVALID_DEVICE_REQUEST;
}
impl Refusal for u8 {
    const REFUSED: Self = 0;
}
impl Refusal for u16 {
    const REFUSED: Self = 0;
}
impl Refusal for u32 {
    const REFUSED: Self = 0;
}
impl Refusal for i32 {
    const REFUSED: Self = 0;
}
impl Refusal for u64 {
    const REFUSED: Self = 0;
}

/// Runs the body of a DDI; called by the shims [`export!`] makes.
pub fn enter<R: Refusal>(
    name: &'static str,
    max_irql: u8,
    globals: u64,
    body: impl FnOnce(&Call) -> R,
) -> R {
    guard(name, || {
        sched::point();
        verify::tick();
        let call = Call {
            binding: binding_of(name, globals),
            name,
        };
        loader::forbid_pageable_caller();
        if call.irql_too_high(max_irql) {
            return R::REFUSED;
        }
        let result = body(&call);
        loader::forbid_pageable_caller();
        result
    })
}

/// Runs model code that is reached from outside the framework: a DDI, a dispatch or a completion routine. Its name
/// appears in reports; a panic of the model ends the run as what it is.
pub fn guard<R>(name: &'static str, body: impl FnOnce() -> R) -> R {
    let _frame = nt::ddi::Frame::enter(name);
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(panic) => verify::model_error(format!("{name}: {}", nt::ddi::panic_text(&*panic))),
    }
}

/// The innermost call in progress on the current thread.
pub fn current_name() -> &'static str {
    nt::thread::current()
        .calls()
        .first()
        .copied()
        .unwrap_or("the framework")
}

pub(super) fn binding_of(name: &'static str, globals: u64) -> &'static Binding {
    if globals == 0 || guest::read::<u64>(globals + bind::MAGIC_OFFSET) != bind::MAGIC {
        verify::violation(
            "R-OBJ-01",
            format!("{name}: the first argument is not the WDF_DRIVER_GLOBALS of a bound driver"),
        );
    }
    let address = guest::read::<u64>(globals + bind::BINDING_OFFSET);
    // SAFETY: the magic beside it says the block was filled by `bind::Binding::create`, which stores the address of a
    // leaked Binding there; bindings are never freed.
    unsafe { &*(address as *const Binding) }
}

/// One implemented table entry.
pub struct Entry {
    /// Name of the DDI.
    pub name: &'static str,
    /// Address of its shim.
    pub address: usize,
}

/// Makes a function `entries()` that lists shims for DDI bodies.
///
/// ```text
/// export! {
///     "WdfSpinLockAcquire" => acquire(lock: u64), DISPATCH;
///     "WdfSpinLockCreate" => create(attributes: u64, out: u64) -> NtStatus, DISPATCH;
/// }
/// ```
macro_rules! export {
    ($($name:literal => $body:path [$($arg:ident: $ty:ty),*] $(-> $ret:ty)?, $max:expr;)*) => {
        /// The DDIs this module implements.
        pub(in crate::kmdf) fn entries() -> Vec<$crate::kmdf::ddi::Entry> {
            vec![$({
                extern "win64" fn shim(globals: u64 $(, $arg: $ty)*) $(-> $ret)? {
                    $crate::kmdf::ddi::enter($name, $max, globals, |call| $body(call $(, $arg)*))
                }
                $crate::kmdf::ddi::Entry {
                    name: $name,
                    address: shim as *const () as usize,
                }
            }),*]
        }
    };
}
pub(in crate::kmdf) use export;
