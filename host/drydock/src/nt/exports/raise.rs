//! Exceptions a driver raises or catches; how they find its handlers is the loader's matter (`loader::exception`).
#![expect(
    unsafe_code,
    reason = "passes on what the dispatch of an exception passes"
)]

use super::exports;
use crate::loader;
use crate::nt::memory;
use crate::nt::process;
use crate::nt::status::NtStatus;
use crate::verify;

/// Raises `status` in the driver that called: its `__except` is looked for when the caller of this has returned.
pub(super) fn raise(what: &str, status: NtStatus) {
    raise_for(what, status, [0; 2]);
}

fn raise_for(what: &str, status: NtStatus, information: [u64; 2]) {
    if !loader::raise(status.0 as u32, information) {
        verify::bug_check(
            0x1E,
            [status.0 as u32 as u64, 0, information[0], information[1]],
            format!("{what} raises {status}, and no image called it that could handle this"),
        );
    }
}

fn probe(what: &str, address: *const u8, length: u64, alignment: u32, write: bool) {
    if length == 0 {
        return;
    }
    let kind = u64::from(write);
    if alignment != 0 && !(address as usize).is_multiple_of(alignment as usize) {
        raise(what, NtStatus::DATATYPE_MISALIGNMENT);
        return;
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !memory::is_accessible(address, length, process::current_id()) {
        raise_for(what, NtStatus::ACCESS_VIOLATION, [kind, address as u64]);
    }
}

exports! {
    APC fn ProbeForRead(address: *const u8, length: u64, alignment: u32) {
        probe("ProbeForRead", address, length, alignment, false);
    }
    APC fn ProbeForWrite(address: *mut u8, length: u64, alignment: u32) {
        probe("ProbeForWrite", address, length, alignment, true);
    }
    ANY fn ExRaiseStatus(status: NtStatus) {
        raise("ExRaiseStatus", status);
    }
    ANY fn ExRaiseAccessViolation() {
        raise("ExRaiseAccessViolation", NtStatus::ACCESS_VIOLATION);
    }
    ANY fn ExRaiseDatatypeMisalignment() {
        raise("ExRaiseDatatypeMisalignment", NtStatus::DATATYPE_MISALIGNMENT);
    }
    ANY fn RtlRaiseStatus(status: NtStatus) {
        raise("RtlRaiseStatus", status);
    }
    ANY fn __C_specific_handler(record: *mut u8, frame: u64, context: *mut u8, dispatcher: *mut u8) -> u32 {
        // SAFETY: only the dispatch of an exception calls language handlers.
        unsafe { loader::c_specific_handler(record, frame, context, dispatcher) }
    }
    ANY fn RtlAssert(assertion: *const u8, file: *const u8, line: u32, _message: *const u8) {
        let text = |address: *const u8| String::from_utf8_lossy(&super::crt::bytes_of(address)).into_owned();
        verify::violation("NT-ASSERT-01", format!("assertion failed: {} ({} line {line})", text(assertion), text(file)));
    }
}
