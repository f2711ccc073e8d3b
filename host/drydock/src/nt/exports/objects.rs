//! Ob and Ps: references, handles, threads and processes.

use super::exports;
use crate::loader::call;
use crate::nt::abi::write_out;
use crate::nt::object::{self, Kind};
use crate::nt::process::{self, SYSTEM_ID};
use crate::nt::status::NtStatus;
use crate::nt::thread;

exports! {
    DISPATCH fn ObfReferenceObject(object: *mut u8) -> i64 {
        object::reference(object);
        object::references(object)
    }
    DISPATCH fn ObfReferenceObjectWithTag(object: *mut u8, _tag: u32) -> i64 {
        object::reference(object);
        object::references(object)
    }
    DISPATCH fn ObfDereferenceObject(object: *mut u8) -> i64 {
        let left = object::references(object) - 1;
        object::dereference_any(object);
        left
    }
    DISPATCH fn ObfDereferenceObjectWithTag(object: *mut u8, _tag: u32) -> i64 {
        let left = object::references(object) - 1;
        object::dereference_any(object);
        left
    }
    DISPATCH fn ObReferenceObjectByPointer(object: *mut u8, _access: u32, _kind: *mut u8, _mode: i8) -> NtStatus {
        object::reference(object);
        NtStatus::SUCCESS
    }
    PASSIVE fn ObReferenceObjectByHandle(handle: u64, _access: u32, _kind: *mut u8, _mode: i8, out: *mut *mut u8, _information: *mut u8) -> NtStatus {
        match object::by_handle(handle) {
            Ok(object) => {
                write_out(out, object);
                NtStatus::SUCCESS
            }
            Err(status) => status,
        }
    }
    PASSIVE fn ZwClose(handle: u64) -> NtStatus {
        object::close_handle(handle)
    }
    PASSIVE fn PsCreateSystemThread(out: *mut u64, _access: u32, _attributes: *mut u8, _process: u64, client: *mut u64, start: usize, context: *mut u8) -> NtStatus {
        if crate::verify::failable("PsCreateSystemThread") {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        let ethread = thread::create_system(start, context);
        write_out(out, object::open_handle(ethread));
        if !client.is_null() {
            write_out(client, SYSTEM_ID);
            write_out(client.wrapping_add(1), object::id_of(ethread));
        }
        NtStatus::SUCCESS
    }
    ANY fn PsGetCurrentProcessId() -> u64 {
        process::current_id()
    }
    ANY fn PsGetCurrentThreadId() -> u64 {
        object::id_of(thread::current().ethread())
    }
    ANY fn PsGetProcessId(process: *mut u8) -> u64 {
        object::id_of(process)
    }
    ANY fn PsGetThreadId(thread: *mut u8) -> u64 {
        object::id_of(thread)
    }
    ANY fn PsGetThreadProcess(thread: *mut u8) -> *mut u8 {
        object::thread_process(thread)
    }
    ANY fn PsGetThreadProcessId(thread: *mut u8) -> u64 {
        object::id_of(object::thread_process(thread))
    }
    ANY fn PsIsSystemThread(thread: *mut u8) -> u8 {
        u8::from(object::id_of(object::thread_process(thread)) == SYSTEM_ID)
    }
    APC fn PsLookupProcessByProcessId(id: u64, out: *mut *mut u8) -> NtStatus {
        let found = if id == SYSTEM_ID { Some(process::system()) } else { process::by_id(id).map(|process| process.eprocess()) };
        match found {
            Some(process) => {
                object::reference(process);
                write_out(out, process);
                NtStatus::SUCCESS
            }
            None => NtStatus::INVALID_PARAMETER,
        }
    }
    PASSIVE fn PsTerminateSystemThread(_status: NtStatus) -> NtStatus {
        end_thread();
        NtStatus::INVALID_PARAMETER
    }
    PASSIVE fn PsGetVersion(major: *mut u32, minor: *mut u32, build: *mut u32, _service_pack: *mut u8) -> u8 {
        write_out(major, 10);
        write_out(minor, 0);
        write_out(build, super::variables::BUILD.into());
        0
    }
    PASSIVE fn ObMakeTemporaryObject(_object: *mut u8) {}
    PASSIVE fn ObQueryNameString(object: *mut u8, buffer: *mut u8, length: u32, needed: *mut u32) -> NtStatus {
        let name = match object::kind_of(object) {
            Some(Kind::Device) => crate::nt::device::name(object.cast()).unwrap_or_default(),
            _ => String::new(),
        };
        super::rtl_string::name_information(&name, buffer, length, needed)
    }
}

/// Leaves every frame of the driver's routine: the thread's start sees a routine that returned.
#[expect(unsafe_code, reason = "skips frames of the image")]
fn end_thread() {
    crate::nt::ddi::unwind_calls(0);
    // SAFETY: the frames that are skipped are image code and this export's shim, which holds a call frame (undone above)
    // and nothing that needs dropping.
    unsafe { call::abandon(0) };
}
