//! The DDIs of a request's buffers.

use super::super::ddi::{Call, DISPATCH, PASSIVE, export};
use super::super::guest;
use super::super::handle::{self, Handle, Ref};
use super::super::memory;
use super::Request;
use super::buffers::{self, Buffer, Direction};
use crate::nt::abi::Mdl;
use crate::nt::status::NtStatus;

export! {
    "WdfRequestRetrieveInputMemory" => input_memory[request: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfRequestRetrieveOutputMemory" => output_memory[request: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfRequestRetrieveInputBuffer" => input_buffer[request: u64, required: u64, out: u64, length: u64] -> NtStatus, DISPATCH;
    "WdfRequestRetrieveOutputBuffer" => output_buffer[request: u64, required: u64, out: u64, length: u64] -> NtStatus, DISPATCH;
    "WdfRequestRetrieveInputWdmMdl" => input_mdl[request: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfRequestRetrieveOutputWdmMdl" => output_mdl[request: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfRequestRetrieveUnsafeUserInputBuffer" => unsafe_input[request: u64, required: u64, out: u64, length: u64] -> NtStatus, PASSIVE;
    "WdfRequestRetrieveUnsafeUserOutputBuffer" => unsafe_output[request: u64, required: u64, out: u64, length: u64] -> NtStatus, PASSIVE;
    "WdfRequestProbeAndLockUserBufferForRead" => probe_for_read[request: u64, buffer: u64, length: u64, out: u64] -> NtStatus, PASSIVE;
    "WdfRequestProbeAndLockUserBufferForWrite" => probe_for_write[request: u64, buffer: u64, length: u64, out: u64] -> NtStatus, PASSIVE;
}

/// Embedded memory (R-REQ-69): the driver does not own a separate object (R-OBJ-07).
fn retrieve_memory(call: &Call, request: u64, direction: Direction, out: u64) -> NtStatus {
    call.require(out, "Memory");
    guest::write(out, 0_u64);
    let request: Ref<Request> = handle::resolve(request);
    match buffers::buffer(call, &request, direction) {
        Ok(_) => {
            let handle = Handle(request.handle()).with_part(direction.part());
            guest::write(out, handle.0);
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// `WdfRequestRetrieveInputMemory`.
fn input_memory(call: &Call, request: u64, out: u64) -> NtStatus {
    retrieve_memory(call, request, Direction::Input, out)
}

/// `WdfRequestRetrieveOutputMemory`.
fn output_memory(call: &Call, request: u64, out: u64) -> NtStatus {
    retrieve_memory(call, request, Direction::Output, out)
}

/// R-REQ-63
fn give(required: u64, out: u64, length: u64, found: Result<Buffer, NtStatus>) -> NtStatus {
    let (status, address, actual) = match found {
        Ok((_, actual)) if u64::from(actual) < required => (NtStatus::BUFFER_TOO_SMALL, 0, 0),
        Ok((address, actual)) => (NtStatus::SUCCESS, address, u64::from(actual)),
        Err(status) => (status, 0, 0),
    };
    guest::write(out, address);
    guest::write_optional(length, actual);
    status
}

/// `WdfRequestRetrieveInputBuffer`: valid until the request is completed or handed away (R-REQ-70).
fn input_buffer(call: &Call, request: u64, required: u64, out: u64, length: u64) -> NtStatus {
    call.require(out, "Buffer");
    let request = handle::resolve(request);
    give(
        required,
        out,
        length,
        buffers::buffer(call, &request, Direction::Input),
    )
}

/// `WdfRequestRetrieveOutputBuffer`.
fn output_buffer(call: &Call, request: u64, required: u64, out: u64, length: u64) -> NtStatus {
    call.require(out, "Buffer");
    let request = handle::resolve(request);
    give(
        required,
        out,
        length,
        buffers::buffer(call, &request, Direction::Output),
    )
}

fn retrieve_mdl(call: &Call, request: u64, direction: Direction, out: u64) -> NtStatus {
    call.require(out, "Mdl");
    let request = handle::resolve(request);
    let found = buffers::wdm_mdl(call, &request, direction);
    guest::write(out, found.map_or(0, |mdl| mdl as u64));
    found.map_or_else(|status| status, |_| NtStatus::SUCCESS)
}

/// `WdfRequestRetrieveInputWdmMdl`: R-REQ-72.
fn input_mdl(call: &Call, request: u64, out: u64) -> NtStatus {
    retrieve_mdl(call, request, Direction::Input, out)
}

/// `WdfRequestRetrieveOutputWdmMdl`: R-REQ-72.
fn output_mdl(call: &Call, request: u64, out: u64) -> NtStatus {
    retrieve_mdl(call, request, Direction::Output, out)
}

fn retrieve_unsafe(
    call: &Call,
    request: u64,
    direction: Direction,
    required: u64,
    out: u64,
    length: u64,
) -> NtStatus {
    call.require(out, "Buffer");
    let request = handle::resolve(request);
    let found = buffers::unsafe_user_buffer(call, &request, direction, required);
    give(0, out, length, found)
}

/// `WdfRequestRetrieveUnsafeUserInputBuffer`: R-REQ-73. PASSIVE_LEVEL.
fn unsafe_input(call: &Call, request: u64, required: u64, out: u64, length: u64) -> NtStatus {
    retrieve_unsafe(call, request, Direction::Input, required, out, length)
}

/// `WdfRequestRetrieveUnsafeUserOutputBuffer`: R-REQ-73. PASSIVE_LEVEL.
fn unsafe_output(call: &Call, request: u64, required: u64, out: u64, length: u64) -> NtStatus {
    retrieve_unsafe(call, request, Direction::Output, required, out, length)
}

fn probe(
    call: &Call,
    request: u64,
    buffer: u64,
    length: u64,
    for_write: bool,
    out: u64,
) -> NtStatus {
    call.require(out, "Memory");
    guest::write(out, 0_u64);
    let request: Ref<Request> = handle::resolve(request);
    let locked = buffers::probe_and_lock(call, &request, buffer, length, for_write);
    match locked.and_then(|mdl: *mut Mdl| memory::of_locked_pages(call, request.object(), mdl)) {
        Ok(memory) => {
            guest::write(out, memory.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// `WdfRequestProbeAndLockUserBufferForRead`: R-REQ-75. PASSIVE_LEVEL.
fn probe_for_read(call: &Call, request: u64, buffer: u64, length: u64, out: u64) -> NtStatus {
    probe(call, request, buffer, length, false, out)
}

/// `WdfRequestProbeAndLockUserBufferForWrite`: R-REQ-75. PASSIVE_LEVEL.
fn probe_for_write(call: &Call, request: u64, buffer: u64, length: u64, out: u64) -> NtStatus {
    probe(call, request, buffer, length, true, out)
}
