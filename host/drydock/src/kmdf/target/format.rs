//! Formatting: filling in the next stack location of a request's IRP (E.3 of the specification).

use super::super::device_init::IoType;
use super::super::handle::{Ref, WDF_VIOLATION};
use super::super::request::{CompletionParams, IrpRef, Request, TYPE_OTHER, release_format};
use super::memory::Buffer;
use super::{Opened, Target, validate};
use crate::nt;
use crate::nt::abi::{self, Address, FileObject, IoStackLocation, Mdl, mj};
use crate::nt::pool::{self, Tag};
use crate::nt::status::NtStatus;
use crate::verify;

const TAG: Tag = Tag::new(b"FxIo");

/// A block of pool of the framework's.
struct Block(u64);

impl Block {
    fn new(size: u32) -> Result<Self, NtStatus> {
        if verify::failable("a buffer of the framework") {
            return Err(NtStatus::INSUFFICIENT_RESOURCES);
        }
        let block = pool::allocate_internal(size as usize, TAG);
        Ok(Self(block as u64))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        pool::free(self.0 as *mut u8, Some(TAG));
    }
}

/// The buffer fields of an IRP, as they were before a format overwrote them (R-TGT-41).
struct Fields {
    mdl: Address<Mdl>,
    system_buffer: Address<u8>,
    user_buffer: Address<u8>,
}

impl Fields {
    fn capture(irp: IrpRef) -> Self {
        let view = irp.view();
        Self {
            mdl: Address(view.mdl_address.get()),
            system_buffer: Address(view.system_buffer.get()),
            user_buffer: Address(view.user_buffer.get()),
        }
    }

    fn restore(&self, irp: IrpRef) {
        let view = irp.view();
        view.mdl_address.set(self.mdl.get());
        view.system_buffer.set(self.system_buffer.get());
        view.user_buffer.set(self.user_buffer.get());
    }
}

/// What a format for a target leaves with the request until it is completed, reused, reformatted or deleted (R-TGT-35).
pub struct Format {
    request_type: u32,
    code: u32,
    buffers: Vec<Buffer>,
    /// Which of `buffers` receives data.
    receives: Option<usize>,
    bounce: Option<Block>,
    mdl: Option<Address<Mdl>>,
    fields: Option<Fields>,
}

impl Format {
    fn new(request_type: u32, code: u32, buffers: Vec<Buffer>) -> Self {
        Self {
            request_type,
            code,
            buffers,
            receives: None,
            bounce: None,
            mdl: None,
            fields: None,
        }
    }

    /// Gives everything back, and the IRP its own buffers.
    pub fn release(self, request: &Ref<Request>) {
        if let (Some(irp), Some(fields)) = (request.irp(), &self.fields) {
            fields.restore(irp);
        }
        if let Some(mdl) = self.mdl {
            nt::mdl::free(mdl.get());
        }
        for buffer in self.buffers {
            buffer.release();
        }
    }

    /// Copies what the lower driver left in the bounce buffer to the driver's (R-TGT-40).
    pub(super) fn copy_back(&mut self, irp: IrpRef) {
        let (Some(bounce), Some(receiver)) = (&self.bounce, self.receives) else {
            return;
        };
        let buffer = &self.buffers[receiver];
        let given = irp.information();
        if given > buffer.length.into() && !irp.status().is_error() {
            verify::violation(
                "R-TGT-40",
                format!(
                    "the lower driver reports {given} bytes for a buffer of {}",
                    buffer.length
                ),
            );
        }
        let length = given.min(buffer.length.into()) as usize;
        let data = abi::read_bytes(bounce.0 as *const u8, length);
        abi::write_bytes(buffer.address as *mut u8, &data);
    }

    /// R-TGT-86
    pub(super) fn fill(&self, params: &mut CompletionParams) {
        params.request_type = self.request_type;
        let handle = |n: usize| self.buffers.get(n).map_or(0, |buffer| buffer.handle);
        let offset = |n: usize| self.buffers.get(n).map_or(0, |buffer| buffer.offset);
        let information = params.io_status.information;
        params.parameters = match self.request_type as u8 {
            mj::READ | mj::WRITE => [handle(0), information, offset(0), 0, 0, 0],
            mj::DEVICE_CONTROL | mj::INTERNAL_DEVICE_CONTROL => [
                self.code.into(),
                handle(0),
                offset(0),
                handle(1),
                offset(1),
                information,
            ],
            _ => [handle(0), handle(1), 0, handle(2), 0, 0],
        };
    }

    fn bounce(&mut self, size: u32) -> Result<u64, NtStatus> {
        let block = Block::new(size)?;
        Ok(self.bounce.insert(block).0)
    }

    fn describe(&mut self, buffer: usize) -> *mut Mdl {
        let buffer = &self.buffers[buffer];
        if buffer.length == 0 {
            return std::ptr::null_mut();
        }
        let mdl = nt::mdl::allocate(buffer.address as *mut u8, buffer.length, false, None);
        nt::mdl::build_for_nonpaged(mdl);
        self.mdl = Some(Address(mdl));
        mdl
    }
}

/// What a request is formatted as.
pub(super) enum Kind {
    Read(i64),
    Write(i64),
    Ioctl {
        code: u32,
        internal: bool,
    },
    /// Internal control with three arguments.
    Others {
        code: u32,
    },
}

/// Formats `request` for `target`; `buffers` are input then output, or the one of a transfer, or the three arguments.
///
/// # Errors
/// R-TGT-33, R-TGT-38, R-TGT-45; the request is unformatted then, and `buffers` are released.
pub(super) fn format(
    request: &Ref<Request>,
    target: &Ref<Target>,
    kind: Kind,
    buffers: Vec<Buffer>,
) -> Result<(), NtStatus> {
    release_format(request);
    request.state().formatted = false;
    let request_type = match kind {
        Kind::Read(_) => mj::READ.into(),
        Kind::Write(_) => mj::WRITE.into(),
        Kind::Ioctl {
            internal: false, ..
        } => mj::DEVICE_CONTROL.into(),
        Kind::Ioctl { internal: true, .. } => mj::INTERNAL_DEVICE_CONTROL.into(),
        Kind::Others { .. } => TYPE_OTHER,
    };
    let code = match kind {
        Kind::Ioctl { code, .. } | Kind::Others { code } => code,
        Kind::Read(_) | Kind::Write(_) => 0,
    };
    let mut format = Format::new(request_type, code, buffers);
    let result = fill_in(request, target, &kind, &mut format);
    match result {
        Ok(()) => {
            let mut state = request.state();
            state.format = Some(format);
            state.formatted = true;
            state.history.note("formatted for a target");
            Ok(())
        }
        Err(status) => {
            format.release(request);
            Err(status)
        }
    }
}

fn fill_in(
    request: &Ref<Request>,
    target: &Ref<Target>,
    kind: &Kind,
    format: &mut Format,
) -> Result<(), NtStatus> {
    validate(request, target)?;
    let opened = target.opened().ok_or(NtStatus::INVALID_DEVICE_STATE)?;
    let irp = request.irp().ok_or(NtStatus::INVALID_DEVICE_STATE)?;
    let next = irp.next().ok_or(NtStatus::REQUEST_NOT_ACCEPTED)?;
    format.fields = Some(Fields::capture(irp));
    clear(next);
    set_file(irp, next, target, &opened);
    match *kind {
        Kind::Read(offset) => transfer(irp, next, mj::READ, offset, opened.io_type, format),
        Kind::Write(offset) => transfer(irp, next, mj::WRITE, offset, opened.io_type, format),
        Kind::Ioctl { code, internal } => control(irp, next, code, internal, format),
        Kind::Others { code } => {
            next.major_function.set(mj::INTERNAL_DEVICE_CONTROL);
            let address = |n: usize| format.buffers[n].address;
            for (slot, value) in [address(0), address(1), code.into(), address(2)]
                .into_iter()
                .enumerate()
            {
                next.parameters[slot].set(value);
            }
            Ok(())
        }
    }
}

fn clear(location: &IoStackLocation) {
    location.minor_function.set(0);
    location.flags.set(0);
    location.control.set(0);
    location.completion_routine.set(None);
    for parameter in &location.parameters {
        parameter.set(0);
    }
}

/// R-TGT-44
fn set_file(irp: IrpRef, next: &IoStackLocation, target: &Ref<Target>, opened: &Opened) {
    if !target.local {
        next.file_object.set(opened.file as *mut FileObject);
        return;
    }
    match irp.current_if_valid() {
        Some(current) => {
            next.flags.set(current.flags.get());
            next.file_object.set(current.file_object.get());
        }
        None => next.file_object.set(std::ptr::null_mut()),
    }
}

/// R-TGT-38
fn transfer(
    irp: IrpRef,
    next: &IoStackLocation,
    major: u8,
    offset: i64,
    io_type: IoType,
    format: &mut Format,
) -> Result<(), NtStatus> {
    let (address, length) = (format.buffers[0].address, format.buffers[0].length);
    next.major_function.set(major);
    next.set_transfer(length, 0, offset);
    let view = irp.view();
    view.system_buffer.set(std::ptr::null_mut());
    view.mdl_address.set(std::ptr::null_mut());
    view.user_buffer.set(address as *mut u8);
    match io_type {
        IoType::Buffered if length != 0 => {
            let bounce = format.bounce(length)?;
            if major == mj::WRITE {
                copy(address, bounce, length);
            } else {
                format.receives = Some(0);
            }
            view.system_buffer.set(bounce as *mut u8);
        }
        IoType::Buffered | IoType::Neither => {}
        IoType::Direct => view.mdl_address.set(format.describe(0)),
    }
    Ok(())
}

/// R-TGT-39
fn control(
    irp: IrpRef,
    next: &IoStackLocation,
    code: u32,
    internal: bool,
    format: &mut Format,
) -> Result<(), NtStatus> {
    let (input, input_length) = (format.buffers[0].address, format.buffers[0].length);
    let (output, output_length) = (format.buffers[1].address, format.buffers[1].length);
    next.major_function.set(if internal {
        mj::INTERNAL_DEVICE_CONTROL
    } else {
        mj::DEVICE_CONTROL
    });
    let view = irp.view();
    view.system_buffer.set(std::ptr::null_mut());
    view.mdl_address.set(std::ptr::null_mut());
    view.user_buffer.set(std::ptr::null_mut());
    let mut type3 = std::ptr::null_mut();
    match code & 3 {
        0 => {
            let size = input_length.max(output_length);
            if size != 0 {
                let bounce = format.bounce(size)?;
                copy(input, bounce, input_length);
                if output_length != 0 {
                    format.receives = Some(1);
                }
                view.system_buffer.set(bounce as *mut u8);
            }
        }
        1 | 2 => {
            view.system_buffer.set(input as *mut u8);
            view.mdl_address.set(format.describe(1));
        }
        _ => {
            type3 = input as *mut u8;
            view.user_buffer.set(output as *mut u8);
        }
    }
    next.set_control(code, input_length, output_length, type3);
    Ok(())
}

fn copy(from: u64, to: u64, length: u32) {
    let data = abi::read_bytes(from as *const u8, length as usize);
    abi::write_bytes(to as *mut u8, &data);
}

/// `WdfRequestFormatRequestUsingCurrentType`: the lower driver sees what the framework's device saw.
pub fn using_current_type(request: &Ref<Request>) {
    let irp = irp_with_room(request);
    if irp.current_if_valid().is_none() {
        verify::violation(
            "R-TGT-42",
            request.explain("a created request has no current stack location to copy"),
        );
    }
    release_format(request);
    nt::irp::copy_current_to_next(irp.raw());
    mark_formatted(request);
}

/// `WdfRequestWdmFormatUsingStackLocation`: the lower driver sees the location at `address` (R-TGT-43).
pub fn using_stack_location(request: &Ref<Request>, address: u64) {
    let irp = irp_with_room(request);
    release_format(request);
    let from = abi::at(address as *mut IoStackLocation);
    if let Some(next) = irp.next() {
        clear(next);
        next.major_function.set(from.major_function.get());
        next.minor_function.set(from.minor_function.get());
        next.flags.set(from.flags.get());
        for (to, from) in next.parameters.iter().zip(&from.parameters) {
            to.set(from.get());
        }
        next.file_object.set(from.file_object.get());
    }
    mark_formatted(request);
}

fn mark_formatted(request: &Ref<Request>) {
    let mut state = request.state();
    state.formatted = true;
    state.history.note("formatted from a stack location");
}

/// R-TGT-42
fn irp_with_room(request: &Ref<Request>) -> IrpRef {
    let Some(irp) = request.irp() else {
        verify::bug_check(
            WDF_VIOLATION,
            [6, 2, request.handle(), 0],
            request.explain("the request to format has no IRP (R-TGT-42)"),
        );
    };
    if irp.next().is_none() {
        verify::bug_check(
            WDF_VIOLATION,
            [6, 1, irp.raw() as u64, 0],
            request.explain("the IRP has no stack location left for a lower driver (R-TGT-42)"),
        );
    }
    irp
}
