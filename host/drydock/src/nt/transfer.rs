//! Where the data of a request is, on its way to the driver and back: buffered, direct or neither.

use super::abi::{
    Address, DO_BUFFERED_IO, DO_DIRECT_IO, DeviceObject, Irp, Mdl, at, irp_flags, mj, read_bytes,
    write_bytes,
};
use super::io::Op;
use super::irp;
use super::mdl;
use super::memory::UserBuffer;
use super::pool::{self, Tag};
use super::process::Process;
use super::status::NtStatus;
use crate::verify;

const TAG: Tag = Tag::new(b"IoSB");

/// Where the data of an operation is.
pub(super) enum Transfer {
    /// Nothing comes back.
    None { system: Address<u8> },
    /// In the system buffer; up to this many bytes come back.
    Buffered { system: Address<u8>, output: usize },
    /// In the program's pages, which an MDL describes; a control's input is in the system buffer.
    Direct {
        system: Address<u8>,
        mdl: Address<Mdl>,
        user: UserBuffer,
        output: usize,
    },
    /// In the program's memory, which the driver was given the addresses of.
    Neither {
        output: UserBuffer,
        _input: Option<UserBuffer>,
    },
}

/// Fills in the IRP for `op` and brings its data where the driver expects it.
pub(super) fn prepare(
    irp: *mut Irp,
    top: *mut DeviceObject,
    process: &Process,
    op: Op,
) -> Transfer {
    let next = irp::next(irp);
    let view = at(irp);
    let flags = at(top).flags.get();
    match op {
        Op::Flush => {
            next.major_function.set(mj::FLUSH_BUFFERS);
            view.flags.set(irp_flags::SYNCHRONOUS_API);
            Transfer::None {
                system: Address(std::ptr::null_mut()),
            }
        }
        Op::Read { offset, len } => {
            next.major_function.set(mj::READ);
            next.set_transfer(len, 0, offset);
            view.flags
                .set(irp_flags::READ_OPERATION | irp_flags::DEFER_IO_COMPLETION);
            let len = len as usize;
            if flags & DO_BUFFERED_IO != 0 {
                let system = system_buffer(irp, len, &[]);
                view.flags
                    .update(|flags| flags | irp_flags::INPUT_OPERATION);
                Transfer::Buffered {
                    system: Address(system),
                    output: len,
                }
            } else if flags & DO_DIRECT_IO != 0 {
                direct(
                    irp,
                    std::ptr::null_mut(),
                    UserBuffer::new(len, process.id()),
                    true,
                    len,
                )
            } else {
                let output = UserBuffer::new(len, process.id());
                view.user_buffer.set(output.user_address());
                Transfer::Neither {
                    output,
                    _input: None,
                }
            }
        }
        Op::Write { offset, data } => {
            next.major_function.set(mj::WRITE);
            next.set_transfer(data.len() as u32, 0, offset);
            view.flags
                .set(irp_flags::WRITE_OPERATION | irp_flags::DEFER_IO_COMPLETION);
            if flags & DO_BUFFERED_IO != 0 {
                Transfer::None {
                    system: Address(system_buffer(irp, data.len(), &data)),
                }
            } else if flags & DO_DIRECT_IO != 0 {
                direct(
                    irp,
                    std::ptr::null_mut(),
                    UserBuffer::with(&data, process.id()),
                    false,
                    0,
                )
            } else {
                let input = UserBuffer::with(&data, process.id());
                view.user_buffer.set(input.user_address());
                Transfer::Neither {
                    output: UserBuffer::new(0, process.id()),
                    _input: Some(input),
                }
            }
        }
        Op::Ioctl {
            code,
            input,
            output_len,
        } => control(
            irp,
            mj::DEVICE_CONTROL,
            process,
            code,
            &input,
            output_len,
            &[],
        ),
        Op::IoctlWith {
            code,
            input,
            output,
        } => {
            let len = output.len() as u32;
            control(irp, mj::DEVICE_CONTROL, process, code, &input, len, &output)
        }
        Op::Neither {
            code,
            input: (input, input_len),
            output: (output, output_len),
        } => {
            next.major_function.set(mj::DEVICE_CONTROL);
            next.set_control(code | 3, input_len, output_len, input as *mut u8);
            view.user_buffer.set(output as *mut u8);
            Transfer::None {
                system: Address(std::ptr::null_mut()),
            }
        }
        Op::FsControl {
            code,
            input,
            output_len,
        } => control(
            irp,
            mj::FILE_SYSTEM_CONTROL,
            process,
            code,
            &input,
            output_len,
            &[],
        ),
        Op::OfFileSystems {
            major,
            minor,
            class,
            length,
            data,
        } => {
            next.major_function.set(major);
            next.minor_function.set(minor);
            next.set_transfer(length, class, 0);
            let system = system_buffer(
                irp,
                length as usize,
                &data[..data.len().min(length as usize)],
            );
            view.flags
                .update(|flags| flags | irp_flags::INPUT_OPERATION);
            Transfer::Buffered {
                system: Address(system),
                output: length as usize,
            }
        }
        Op::Internal {
            code,
            input,
            output_len,
        } => control(
            irp,
            mj::INTERNAL_DEVICE_CONTROL,
            process,
            code,
            &input,
            output_len,
            &[],
        ),
    }
}

/// `contents`: what the output buffer begins with, as far as the driver can see it.
fn control(
    irp: *mut Irp,
    major: u8,
    process: &Process,
    code: u32,
    input: &[u8],
    output_len: u32,
    contents: &[u8],
) -> Transfer {
    let next = irp::next(irp);
    let view = at(irp);
    let output = output_len as usize;
    let output_buffer = || {
        let buffer = UserBuffer::new(output, process.id());
        buffer.write(contents);
        buffer
    };
    next.major_function.set(major);
    next.set_control(code, input.len() as u32, output_len, std::ptr::null_mut());
    match code & 3 {
        0 => {
            let size = input.len().max(output);
            if size == 0 {
                return Transfer::None {
                    system: Address(std::ptr::null_mut()),
                };
            }
            let system = system_buffer(irp, size, input);
            if output != 0 {
                view.flags
                    .update(|flags| flags | irp_flags::INPUT_OPERATION);
            }
            Transfer::Buffered {
                system: Address(system),
                output,
            }
        }
        method @ (1 | 2) => {
            let system = if input.is_empty() {
                std::ptr::null_mut()
            } else {
                system_buffer(irp, input.len(), input)
            };
            if output == 0 {
                return Transfer::None {
                    system: Address(system),
                };
            }
            direct(irp, system, output_buffer(), method == 2, output)
        }
        _ => {
            let input = UserBuffer::with(input, process.id());
            let buffer = output_buffer();
            next.parameters[3].set(if input.is_empty() {
                0
            } else {
                input.user_address() as u64
            });
            if output != 0 {
                view.user_buffer.set(buffer.user_address());
            }
            Transfer::Neither {
                output: buffer,
                _input: Some(input),
            }
        }
    }
}

/// The system buffer of a buffered transfer: what lies behind the input is whatever was in the memory before.
fn system_buffer(irp: *mut Irp, size: usize, input: &[u8]) -> *mut u8 {
    if size == 0 {
        return std::ptr::null_mut();
    }
    let buffer = pool::allocate_internal(size, TAG);
    super::abi::fill_bytes(buffer, 0xcd, size);
    write_bytes(buffer, input);
    let view = at(irp);
    view.system_buffer.set(buffer);
    view.flags
        .update(|flags| flags | irp_flags::BUFFERED_IO | irp_flags::DEALLOCATE_BUFFER);
    buffer
}

/// Locks the program's pages and describes them to the driver, which shares them with the program from here on (R-REQ-71).
fn direct(
    irp: *mut Irp,
    system: *mut u8,
    user: UserBuffer,
    write: bool,
    output: usize,
) -> Transfer {
    if user.is_empty() {
        return Transfer::None {
            system: Address(system),
        };
    }
    let address = user.user_address();
    let mdl = mdl::allocate(address, user.len() as u32, false, Some(irp));
    if mdl::probe_and_lock(mdl, true, write).is_err() {
        verify::model_error("a program's own buffer cannot be locked");
    }
    at(irp).user_buffer.set(address);
    Transfer::Direct {
        system: Address(system),
        mdl: Address(mdl),
        user,
        output,
    }
}

impl Transfer {
    /// Copies back what the program is to see, and frees what the transfer needed.
    pub(super) fn end(self, irp: &Irp, status: NtStatus, information: u64) -> Vec<u8> {
        let reported = |output: usize| {
            if status.is_error() {
                0
            } else {
                usize::try_from(information).map_or(output, |n| n.min(output))
            }
        };
        match self {
            Self::None { system } => {
                free_system(system);
                Vec::new()
            }
            Self::Buffered { system, output } => {
                if !status.is_error() && information > output as u64 && output != 0 {
                    verify::violation(
                        "NT-IRP-13",
                        format!(
                            "a buffered request was completed with {status} and Information {information}; the output buffer \
                             has {output} bytes, so Windows would copy pool the driver does not own to the program"
                        ),
                    );
                }
                let data = read_bytes(system.0, reported(output));
                free_system(system);
                data
            }
            Self::Direct {
                system,
                mdl,
                user,
                output,
            } => {
                let data = user.read(reported(output));
                free_system(system);
                let mut chain = irp.mdl_address.get();
                if chain.is_null() {
                    chain = mdl.0;
                }
                while !chain.is_null() {
                    let next = at(chain).next.get();
                    mdl::unlock(chain);
                    mdl::free(chain);
                    chain = next;
                }
                irp.mdl_address.set(std::ptr::null_mut());
                data
            }
            Self::Neither { output, _input } => {
                let len = output.len();
                output.read(reported(len))
            }
        }
    }
}

fn free_system(system: Address<u8>) {
    if !system.0.is_null() {
        pool::free(system.0, Some(TAG));
    }
}
