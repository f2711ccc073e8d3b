//! Calls from the kernel into drivers, with what must hold when they come back.
//!
//! A driver routine may be code of an image or an `extern "win64"` function of drydock (the framework is one); both
//! are called alike.

#![expect(unsafe_code, reason = "driver routines are known by address only")]

use super::abi::{
    AddDevice, Cancel, Completion, Deferred, DeviceObject, DriverObject, Initialize, Irp, Kdpc,
    UnicodeString, Unload,
};
use super::status::NtStatus;
use super::thread;
use crate::loader::{self, call};
use crate::verify;

/// A routine's name for reports: its symbol where the image has one.
pub fn routine_name(address: usize) -> String {
    match loader::symbolize(address) {
        Some(symbol) => symbol.to_string(),
        None => format!("{address:#x}"),
    }
}

/// What a thread looked like before a driver routine ran on it.
struct Before {
    irql: u8,
    critical: i32,
    what: &'static str,
    routine: usize,
}

impl Before {
    fn note(what: &'static str, routine: usize) -> Self {
        let thread = thread::current();
        Self {
            irql: thread.irql(),
            critical: thread.critical_depth(),
            what,
            routine,
        }
    }

    /// The routine must leave the level and the critical regions as they were.
    fn check(&self) {
        let thread = thread::current();
        if thread.irql() != self.irql {
            verify::violation(
                "NT-IRQL-04",
                format!(
                    "the {} {} was called at IRQL {} and returned at {}",
                    self.what,
                    routine_name(self.routine),
                    self.irql,
                    thread.irql()
                ),
            );
        }
        if thread.critical_depth() != self.critical {
            verify::violation(
                "NT-REGION-03",
                format!(
                    "the {} {} returned {} critical regions deep; it was called {} deep",
                    self.what,
                    routine_name(self.routine),
                    thread.critical_depth(),
                    self.critical
                ),
            );
        }
    }
}

fn status(rax: u64) -> NtStatus {
    NtStatus(rax as u32 as i32)
}

/// Calls a dispatch routine.
pub fn dispatch(
    routine: super::abi::Dispatch,
    device: *mut DeviceObject,
    irp: *mut Irp,
) -> NtStatus {
    let before = Before::note("dispatch routine", routine as usize);
    // SAFETY: the type of `routine` says what it takes.
    let result = unsafe { call::call2(routine as usize, device as u64, irp as u64) };
    before.check();
    status(result)
}

/// Calls a completion routine.
pub fn completion(
    routine: Completion,
    device: *mut DeviceObject,
    irp: *mut Irp,
    context: *mut u8,
) -> NtStatus {
    let before = Before::note("completion routine", routine as usize);
    // SAFETY: the type of `routine` says what it takes.
    let result =
        unsafe { call::call3(routine as usize, device as u64, irp as u64, context as u64) };
    before.check();
    status(result)
}

/// Calls a cancel routine: at DISPATCH_LEVEL with the cancel spin lock held, which it releases, so the level it was
/// entered at is the caller's business.
pub fn cancel(routine: Cancel, device: *mut DeviceObject, irp: *mut Irp) {
    // SAFETY: the type of `routine` says what it takes.
    unsafe { call::call2(routine as usize, device as u64, irp as u64) };
}

/// Calls a deferred routine.
pub fn deferred(routine: Deferred, dpc: *mut Kdpc, arguments: [*mut u8; 3]) {
    let before = Before::note("DPC routine", routine as usize);
    let [context, first, second] = arguments.map(|argument| argument as u64);
    // SAFETY: the type of `routine` says what it takes.
    unsafe { call::call4(routine as usize, dpc as u64, context, first, second) };
    before.check();
}

/// Calls a driver's initialisation routine.
pub fn initialize(
    routine: Initialize,
    driver: *mut DriverObject,
    registry_path: *mut UnicodeString,
) -> NtStatus {
    let before = Before::note("driver entry", routine as usize);
    // SAFETY: the type of `routine` says what it takes.
    let result = unsafe { call::call2(routine as usize, driver as u64, registry_path as u64) };
    before.check();
    status(result)
}

/// Calls a driver's unload routine.
pub fn unload(routine: Unload, driver: *mut DriverObject) {
    let before = Before::note("unload routine", routine as usize);
    // SAFETY: the type of `routine` says what it takes.
    unsafe { call::call1(routine as usize, driver as u64) };
    before.check();
}

/// Calls a driver's AddDevice routine.
pub fn add_device(
    routine: AddDevice,
    driver: *mut DriverObject,
    physical: *mut DeviceObject,
) -> NtStatus {
    let before = Before::note("AddDevice routine", routine as usize);
    // SAFETY: the type of `routine` says what it takes.
    let result = unsafe { call::call2(routine as usize, driver as u64, physical as u64) };
    before.check();
    status(result)
}

/// Calls any routine with up to three pointer-sized arguments, whose result nobody wants (thread starts, workers).
///
/// # Safety
/// `routine` is the address of a function that takes these arguments.
pub unsafe fn plain(what: &'static str, routine: usize, arguments: [*mut u8; 3]) {
    let before = Before::note(what, routine);
    let [a, b, c] = arguments.map(|argument| argument as u64);
    // SAFETY: the caller vouches for the routine; arguments it does not take are in registers it ignores.
    unsafe { call::call3(routine, a, b, c) };
    before.check();
}
