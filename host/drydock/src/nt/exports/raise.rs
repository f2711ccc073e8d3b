//! Exceptions a driver raises or would have to catch.

use super::exports;
use crate::nt::memory;
use crate::nt::process;
use crate::nt::status::NtStatus;
use crate::verify;

/// Ends the run where Windows would raise an exception: drydock does not unwind image frames.
pub(super) fn raise(what: &str, status: NtStatus) -> ! {
    verify::unimplemented(&format!(
        "structured exception handling, which {what} needs to raise {status},"
    ))
}

fn probe(what: &str, address: *const u8, length: u64, alignment: u32) {
    if length == 0 {
        return;
    }
    if alignment != 0 && !(address as usize).is_multiple_of(alignment as usize) {
        raise(what, NtStatus::DATATYPE_MISALIGNMENT);
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !memory::is_accessible(address, length, process::current_id()) {
        raise(what, NtStatus::ACCESS_VIOLATION);
    }
}

exports! {
    APC fn ProbeForRead(address: *const u8, length: u64, alignment: u32) {
        probe("ProbeForRead", address, length, alignment);
    }
    APC fn ProbeForWrite(address: *mut u8, length: u64, alignment: u32) {
        probe("ProbeForWrite", address, length, alignment);
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
    ANY fn __C_specific_handler(_record: *mut u8, _frame: *mut u8, _context: *mut u8, _dispatcher: *mut u8) -> i32 {
        verify::unimplemented("structured exception handling");
    }
    ANY fn RtlAssert(assertion: *const u8, file: *const u8, line: u32, _message: *const u8) {
        let text = |address: *const u8| String::from_utf8_lossy(&super::crt::bytes_of(address)).into_owned();
        verify::violation("NT-ASSERT-01", format!("assertion failed: {} ({} line {line})", text(assertion), text(file)));
    }
}
