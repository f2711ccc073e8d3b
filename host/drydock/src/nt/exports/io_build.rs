//! Io: IRPs the kernel builds for drivers.

use super::exports;
use crate::nt::abi::{
    Address, DO_BUFFERED_IO, DO_DIRECT_IO, DeviceObject, IoStatusBlock, Irp, Kevent, at,
    fill_bytes, irp_flags, mj, read_bytes, read_in, write_bytes,
};
use crate::nt::irp::{self, Originator};
use crate::nt::pool::{self, Tag};
use crate::nt::status::NtStatus;
use crate::nt::{mdl, thread, wait};
use std::sync::Arc;

const TAG: Tag = Tag::new(b"IoSB");

/// An IRP whose end the kernel handles: it copies the result, signals the event and frees the IRP.
struct Built {
    status: Address<IoStatusBlock>,
    event: Address<Kevent>,
    /// Where a buffered result goes, and how much of it there can be.
    output: Address<u8>,
    length: usize,
}

impl Originator for Built {
    fn done(&self, request: *mut Irp) {
        let view = at(request);
        let status = view.io_status.status.get();
        let information = view.io_status.information.get();
        let system = view.system_buffer.get();
        if view.flags.get() & irp_flags::DEALLOCATE_BUFFER != 0 && !system.is_null() {
            if !status.is_error() && view.flags.get() & irp_flags::INPUT_OPERATION != 0 {
                let count = usize::try_from(information)
                    .map_or(self.length, |count| count.min(self.length));
                write_bytes(self.output.get(), &read_bytes(system, count));
            }
            pool::free(system, Some(TAG));
        }
        let chain = view.mdl_address.get();
        if !chain.is_null() {
            mdl::unlock(chain);
            mdl::free(chain);
        }
        let block = at(self.status.get());
        block.information.set(information);
        block.status.set(status);
        irp::free(request);
        if !self.event.get().is_null() {
            wait::set_event(self.event.get());
        }
    }
}

fn begin(
    device: *mut DeviceObject,
    status: *mut IoStatusBlock,
    event: *mut Kevent,
    output: *mut u8,
    length: u32,
) -> *mut Irp {
    let request = irp::allocate(at(device).stack_size.get());
    at(request).thread.set(thread::current().ethread());
    at(request).user_iosb.set(status);
    at(request).user_event.set(event.cast());
    let built = Built {
        status: Address(status),
        event: Address(event),
        output: Address(output),
        length: length as usize,
    };
    irp::set_originator(request, Arc::new(built));
    request
}

fn system_buffer(request: *mut Irp, size: u32, input: *const u8, input_length: u32) {
    let buffer = pool::allocate_internal(size as usize, TAG);
    fill_bytes(buffer, 0xcd, size as usize);
    write_bytes(buffer, &read_bytes(input, input_length as usize));
    let view = at(request);
    view.system_buffer.set(buffer);
    view.flags
        .update(|flags| flags | irp_flags::BUFFERED_IO | irp_flags::DEALLOCATE_BUFFER);
}

fn locked(request: *mut Irp, buffer: *mut u8, length: u32, write: bool) {
    let list = mdl::allocate(buffer, length, false, Some(request));
    if let Err(status) = mdl::probe_and_lock(list, false, write) {
        super::raise::raise("a request built by the kernel", status);
    }
}

fn transfer(
    request: *mut Irp,
    device: *mut DeviceObject,
    major: u8,
    buffer: *mut u8,
    length: u32,
    offset: *const i64,
) {
    let next = irp::next(request);
    next.major_function.set(major);
    if major != mj::READ && major != mj::WRITE {
        return;
    }
    let offset = if offset.is_null() { 0 } else { read_in(offset) };
    next.set_transfer(length, 0, offset);
    let flags = at(device).flags.get();
    let read = major == mj::READ;
    at(request).user_buffer.set(buffer);
    if length == 0 {
        return;
    }
    if flags & DO_BUFFERED_IO != 0 {
        system_buffer(request, length, buffer, if read { 0 } else { length });
        if read {
            at(request)
                .flags
                .update(|flags| flags | irp_flags::INPUT_OPERATION);
        }
    } else if flags & DO_DIRECT_IO != 0 {
        locked(request, buffer, length, read);
    }
}

exports! {
    APC fn IoBuildDeviceIoControlRequest(code: u32, device: *mut DeviceObject, input: *mut u8, input_length: u32, output: *mut u8, output_length: u32, internal: u8, event: *mut Kevent, status: *mut IoStatusBlock) -> *mut Irp {
        if crate::verify::failable("IoBuildDeviceIoControlRequest") {
            return std::ptr::null_mut();
        }
        let request = begin(device, status, event, output, output_length);
        let next = irp::next(request);
        next.major_function.set(if internal != 0 { mj::INTERNAL_DEVICE_CONTROL } else { mj::DEVICE_CONTROL });
        next.set_control(code, input_length, output_length, std::ptr::null_mut());
        at(request).user_buffer.set(output);
        match code & 3 {
            0 => {
                let size = input_length.max(output_length);
                if size != 0 {
                    system_buffer(request, size, input, input_length);
                    at(request).flags.update(|flags| flags | irp_flags::INPUT_OPERATION);
                }
            }
            method @ (1 | 2) => {
                if input_length != 0 {
                    system_buffer(request, input_length, input, input_length);
                }
                if output_length != 0 {
                    locked(request, output, output_length, method == 2);
                }
            }
            _ => next.parameters[3].set(input as u64),
        }
        request
    }
    APC fn IoBuildSynchronousFsdRequest(major: u32, device: *mut DeviceObject, buffer: *mut u8, length: u32, offset: *const i64, event: *mut Kevent, status: *mut IoStatusBlock) -> *mut Irp {
        if crate::verify::failable("IoBuildSynchronousFsdRequest") {
            return std::ptr::null_mut();
        }
        let request = begin(device, status, event, buffer, length);
        transfer(request, device, major as u8, buffer, length, offset);
        request
    }
    DISPATCH fn IoBuildAsynchronousFsdRequest(major: u32, device: *mut DeviceObject, buffer: *mut u8, length: u32, offset: *const i64, status: *mut IoStatusBlock) -> *mut Irp {
        // The driver's completion routine ends this one, so the kernel stays out of it.
        if crate::verify::failable("IoBuildAsynchronousFsdRequest") {
            return std::ptr::null_mut();
        }
        let request = irp::allocate(at(device).stack_size.get());
        at(request).user_iosb.set(status);
        transfer(request, device, major as u8, buffer, length, offset);
        request
    }
    PASSIVE fn IoForwardIrpSynchronously(device: *mut DeviceObject, request: *mut Irp) -> u8 {
        let event = crate::sched::Event::new(true, false);
        irp::copy_current_to_next(request);
        irp::set_completion_routine(request, forwarded, std::ptr::from_ref(&event).cast_mut().cast(), true, true, true);
        if irp::call_driver(device, request) == NtStatus::PENDING {
            event.wait();
        }
        1
    }
}

/// Completion routine of a forwarded IRP: the context is an event on the stack of the thread that waits.
extern "win64" fn forwarded(
    _device: *mut DeviceObject,
    request: *mut Irp,
    context: *mut u8,
) -> NtStatus {
    if at(request).pending_returned.get() != 0 {
        set_event_at(context.cast());
    }
    NtStatus::MORE_PROCESSING_REQUIRED
}

#[expect(
    unsafe_code,
    reason = "a completion routine gets its context as an address"
)]
fn set_event_at(event: *const crate::sched::Event) {
    // SAFETY: `IoForwardIrpSynchronously` passes the address of an event it waits for; it cannot return before this.
    unsafe { &*event }.set();
}
