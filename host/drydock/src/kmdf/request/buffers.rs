//! The buffers of a request, for every transfer method (C.4 of the specification).

use super::super::ddi::Call;
use super::super::handle::{Part, Ref};
use super::{IrpRef, Request};
use crate::nt;
use crate::nt::abi::{Address, DO_BUFFERED_IO, DO_DIRECT_IO, Mdl, mj};
use crate::nt::status::NtStatus;
use crate::verify;

/// Direction of a buffer, seen from the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Input,
    Output,
}

impl Direction {
    /// The handle flag of the memory embedded in the request.
    pub(super) fn part(self) -> Part {
        match self {
            Self::Input => Part::InputMemory,
            Self::Output => Part::OutputMemory,
        }
    }
}

/// Address and length.
pub(super) type Buffer = (u64, u32);

/// The buffer of a request in one direction (R-REQ-60 to R-REQ-68).
pub(super) fn buffer(
    call: &Call,
    request: &Ref<Request>,
    direction: Direction,
) -> Result<Buffer, NtStatus> {
    request.require_not_completed(call, "R-CHK-19")?;
    let irp = request.irp().ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
    let Some(location) = irp.current_if_valid() else {
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    };
    match (location.major_function.get(), direction) {
        (mj::READ, Direction::Output) | (mj::WRITE, Direction::Input) => {
            transfer(call, request, irp)
        }
        (mj::READ | mj::WRITE, _) => Err(NtStatus::INVALID_DEVICE_REQUEST), // R-REQ-60
        (mj::DEVICE_CONTROL | mj::INTERNAL_DEVICE_CONTROL, _) => control(irp, direction),
        _ => {
            call.framework_break(
                "R-REQ-61",
                "the request is neither a transfer nor a control",
            );
            Err(NtStatus::INVALID_DEVICE_REQUEST)
        }
    }
}

/// Read and write: the device's I/O type decides (R-REQ-64, R-REQ-65).
fn transfer(call: &Call, request: &Ref<Request>, irp: IrpRef) -> Result<Buffer, NtStatus> {
    let length = irp.current().length();
    if length == 0 {
        return Err(NtStatus::BUFFER_TOO_SMALL); // R-REQ-62
    }
    let flags = io_type(request);
    if flags & DO_BUFFERED_IO != 0 {
        Ok((irp.system_buffer(), length))
    } else if flags & DO_DIRECT_IO != 0 {
        Ok((mapped(irp)?, length))
    } else if irp.is_from_user_mode() {
        if call.verifier() {
            call.framework_break(
                // R-CHK-42
                "R-REQ-65",
                "a program's buffer on a device with I/O type Neither",
            );
            return Err(NtStatus::INVALID_DEVICE_REQUEST);
        }
        Ok((0, length))
    } else {
        Ok((irp.user_buffer(), length))
    }
}

fn io_type(request: &Ref<Request>) -> u32 {
    request.device().map_or(DO_BUFFERED_IO, |device| {
        nt::abi::at(device.wdm()).flags.get()
    })
}

/// The MDL's pages in system space.
fn mapped(irp: IrpRef) -> Result<u64, NtStatus> {
    let mdl = irp.mdl();
    if mdl.is_null() {
        return Err(NtStatus::BUFFER_TOO_SMALL);
    }
    let address = nt::mdl::system_address(mdl);
    if address.is_null() {
        return Err(NtStatus::INSUFFICIENT_RESOURCES);
    }
    Ok(address as u64)
}

/// Controls: the method bits of the code decide (R-REQ-66 to R-REQ-68).
fn control(irp: IrpRef, direction: Direction) -> Result<Buffer, NtStatus> {
    let location = irp.current();
    let internal = location.major_function.get() == mj::INTERNAL_DEVICE_CONTROL;
    let method = location.io_control_code() & 3;
    if method == 3 && irp.is_from_user_mode() && !internal {
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    let length = match direction {
        Direction::Input => location.input_length(),
        Direction::Output => location.output_length(),
    };
    if length == 0 {
        return Err(NtStatus::BUFFER_TOO_SMALL);
    }
    let address = match (method, direction) {
        (0, _) | (1 | 2, Direction::Input) => irp.system_buffer(),
        (1 | 2, Direction::Output) => mapped(irp)?,
        (_, Direction::Input) => location.type3_input_buffer() as u64,
        (_, Direction::Output) => irp.user_buffer(),
    };
    Ok((address, length))
}

/// The same, for a WDFMEMORY that was retrieved before: never reports. There is none once the IRP is gone (R-REQ-76).
pub(super) fn embedded(request: &Request, part: Part) -> Option<(u64, usize)> {
    let irp = request.irp()?;
    let location = irp.current_if_valid()?;
    let direction = match part {
        Part::InputMemory => Direction::Input,
        Part::OutputMemory => Direction::Output,
        Part::Whole => return None,
    };
    let (address, length) = match location.major_function.get() {
        mj::READ | mj::WRITE => {
            let flags = request.device().map_or(DO_BUFFERED_IO, |device| {
                nt::abi::at(device.wdm()).flags.get()
            });
            let address = if flags & DO_BUFFERED_IO != 0 {
                irp.system_buffer()
            } else if flags & DO_DIRECT_IO != 0 {
                mapped(irp).ok()?
            } else {
                irp.user_buffer()
            };
            (address, location.length())
        }
        _ => control(irp, direction).ok()?,
    };
    Some((address, length as usize))
}

/// The MDL of a request in one direction (R-REQ-72).
pub(super) fn wdm_mdl(
    call: &Call,
    request: &Ref<Request>,
    direction: Direction,
) -> Result<*mut Mdl, NtStatus> {
    request.require_not_completed(call, "R-CHK-19")?;
    let irp = request.irp().ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
    let location = irp
        .current_if_valid()
        .ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
    let major = location.major_function.get();
    let (address, length) = match (major, direction) {
        (mj::READ, Direction::Output) | (mj::WRITE, Direction::Input) => {
            let flags = io_type(request);
            let length = location.length();
            if flags & (DO_BUFFERED_IO | DO_DIRECT_IO) == 0 {
                return Err(NtStatus::INVALID_DEVICE_REQUEST);
            }
            if length == 0 {
                return Err(NtStatus::BUFFER_TOO_SMALL);
            }
            if flags & DO_BUFFERED_IO == 0 {
                return irp_mdl(irp);
            }
            (irp.system_buffer(), length)
        }
        (mj::READ | mj::WRITE, _) => return Err(NtStatus::INVALID_DEVICE_REQUEST),
        (mj::DEVICE_CONTROL | mj::INTERNAL_DEVICE_CONTROL, _) => {
            let length = match direction {
                Direction::Input => location.input_length(),
                Direction::Output => location.output_length(),
            };
            let method = location.io_control_code() & 3;
            if method == 3 {
                return Err(NtStatus::INVALID_DEVICE_REQUEST);
            }
            if length == 0 {
                return Err(NtStatus::BUFFER_TOO_SMALL);
            }
            if method != 0 && direction == Direction::Output {
                return irp_mdl(irp);
            }
            (irp.system_buffer(), length)
        }
        _ => {
            call.framework_break(
                "R-REQ-61",
                "the request is neither a transfer nor a control",
            );
            return Err(NtStatus::INVALID_DEVICE_REQUEST);
        }
    };
    system_mdl(request, address, length)
}

fn irp_mdl(irp: IrpRef) -> Result<*mut Mdl, NtStatus> {
    if irp.mdl().is_null() {
        Err(NtStatus::BUFFER_TOO_SMALL)
    } else {
        Ok(irp.mdl())
    }
}

/// The one MDL for the system buffer, built at the first call and kept with that length (R-REQ-72).
fn system_mdl(request: &Ref<Request>, address: u64, length: u32) -> Result<*mut Mdl, NtStatus> {
    if let Some(mdl) = request.state().system_mdl {
        return Ok(mdl.get());
    }
    if verify::failable("an MDL of the framework") {
        return Err(NtStatus::INSUFFICIENT_RESOURCES);
    }
    let mdl = nt::mdl::allocate(address as *mut u8, length, false, None);
    nt::mdl::build_for_nonpaged(mdl);
    request.state().system_mdl = Some(Address(mdl));
    Ok(mdl)
}

/// `WdfRequestRetrieveUnsafeUserInputBuffer` and `...OutputBuffer` (R-REQ-73, R-REQ-74).
pub(super) fn unsafe_user_buffer(
    call: &Call,
    request: &Ref<Request>,
    direction: Direction,
    required: u64,
) -> Result<Buffer, NtStatus> {
    request.require_not_completed(call, "R-CHK-19")?;
    if call.verifier() && request.state().owner != super::Owner::CallerContext {
        call.framework_break(
            // R-CHK-23
            "R-REQ-73",
            "unsafe buffers are only meaningful in EvtIoInCallerContext",
        );
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    let irp = request.irp().ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
    let location = irp
        .current_if_valid()
        .ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
    let major = location.major_function.get();
    let neither_device = io_type(request) & (DO_BUFFERED_IO | DO_DIRECT_IO) == 0;
    let (address, length) = match (major, direction) {
        (mj::DEVICE_CONTROL, _) if location.io_control_code() & 3 != 3 => {
            // (observed) The input form reports, the output form does not.
            if direction == Direction::Input {
                // R-CHK-23
                call.framework_break("R-REQ-73", "the control is not METHOD_NEITHER");
            }
            return Err(NtStatus::INVALID_DEVICE_REQUEST);
        }
        (mj::DEVICE_CONTROL, Direction::Input) => (
            location.type3_input_buffer() as u64,
            location.input_length(),
        ),
        (mj::DEVICE_CONTROL, Direction::Output) => (irp.user_buffer(), location.output_length()),
        (mj::READ, Direction::Output) | (mj::WRITE, Direction::Input) if neither_device => {
            (irp.user_buffer(), location.length())
        }
        _ => return Err(NtStatus::INVALID_DEVICE_REQUEST),
    };
    if u64::from(length) < required {
        return Err(NtStatus::BUFFER_TOO_SMALL);
    }
    Ok((address, length))
}

/// `WdfRequestProbeAndLockUserBufferForRead` and `...ForWrite` (R-REQ-75): an MDL with locked, mapped pages.
pub(super) fn probe_and_lock(
    call: &Call,
    request: &Ref<Request>,
    address: u64,
    length: u64,
    for_write: bool,
) -> Result<*mut Mdl, NtStatus> {
    if call.verifier() {
        request.require_owned(call)?;
    }
    let irp = request.irp().ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
    if length == 0 {
        return Err(NtStatus::INVALID_USER_BUFFER);
    }
    let user = irp.is_from_user_mode();
    if call.verifier() && user && irp.view().thread.get() != nt::thread::current().ethread() {
        return Err(NtStatus::ACCESS_VIOLATION);
    }
    let Ok(length) = u32::try_from(length) else {
        verify::violation(
            "R-REQ-75",
            request.explain("a user buffer of more than 4 GiB is probed"),
        );
    };
    if verify::failable("an MDL of the framework") {
        return Err(NtStatus::INSUFFICIENT_RESOURCES);
    }
    let mdl = nt::mdl::allocate(address as *mut u8, length, false, None);
    let locked = nt::mdl::probe_and_lock(mdl, user, for_write).and_then(|()| {
        if nt::mdl::system_address(mdl).is_null() {
            nt::mdl::unlock(mdl);
            Err(NtStatus::INSUFFICIENT_RESOURCES)
        } else {
            Ok(())
        }
    });
    if let Err(status) = locked {
        nt::mdl::free(mdl);
        return Err(status);
    }
    Ok(mdl)
}
