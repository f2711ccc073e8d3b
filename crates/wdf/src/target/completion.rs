//! How a request came back.

use wdk_sys::{
    _WDF_REQUEST_TYPE::{
        WdfRequestTypeDeviceControl, WdfRequestTypeDeviceControlInternal, WdfRequestTypeRead,
        WdfRequestTypeWrite,
    },
    PWDF_REQUEST_COMPLETION_PARAMS,
};

use crate::Status;

/// How the lower driver completed a request. Stands for `WDF_REQUEST_COMPLETION_PARAMS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// Its status; `STATUS_IO_TIMEOUT` if it was canceled because a timeout had elapsed (R-TGT-60).
    pub status: Status,
    /// Its Information.
    pub information: usize,
    /// What was completed.
    pub of: Completed,
}

/// What a completed request had been formatted as (R-TGT-86). Memory is not named: who lent it has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completed {
    /// By its current type or a stack location: the framework knows nothing more. Also after a synchronous send.
    AsSent,
    /// A read.
    Read {
        /// Bytes that were read.
        length: usize,
        /// Where in the memory the format had put them.
        offset: usize,
    },
    /// A write.
    Write {
        /// Bytes that were written.
        length: usize,
        /// Where in the memory the format had them from.
        offset: usize,
    },
    /// A device control.
    Ioctl {
        /// Its code.
        code: u32,
        /// Bytes of output.
        output: usize,
    },
    /// An internal device control.
    InternalIoctl {
        /// Its code.
        code: u32,
        /// Bytes of output.
        output: usize,
    },
}

/// `ULONG_PTR` as `usize`: the same width by definition.
#[expect(clippy::cast_possible_truncation, reason = "kernels here are 64-bit")]
const fn information(raw: u64) -> usize {
    raw as usize
}

impl Completion {
    /// After a synchronous send.
    pub(crate) const fn of_sync(status: Status, raw: u64) -> Self {
        Self {
            status,
            information: information(raw),
            of: Completed::AsSent,
        }
    }

    /// Reads what a completion routine was given. Inlined: a handler that does not ask what was completed does not pay for it.
    ///
    /// # Safety
    /// `parameters` is what the framework passed, within the call.
    #[inline]
    pub(crate) unsafe fn read(parameters: PWDF_REQUEST_COMPLETION_PARAMS) -> Self {
        // SAFETY: contract of this function.
        let parameters = unsafe { &*parameters };
        let io_status = parameters.IoStatus;
        // SAFETY: plain integer arm of the union; always the status here (R-TGT-86).
        let status = Status::from_raw(unsafe { io_status.__bindgen_anon_1.Status });
        let arms = &parameters.Parameters;
        #[expect(non_upper_case_globals, reason = "the names of the header")]
        let of = match parameters.Type {
            WdfRequestTypeRead => {
                // SAFETY: the arm the type names; plain integers.
                let read = unsafe { arms.Read };
                Completed::Read {
                    length: read.Length,
                    offset: read.Offset,
                }
            }
            WdfRequestTypeWrite => {
                // SAFETY: as above.
                let write = unsafe { arms.Write };
                Completed::Write {
                    length: write.Length,
                    offset: write.Offset,
                }
            }
            WdfRequestTypeDeviceControl => {
                // SAFETY: as above.
                let control = unsafe { arms.Ioctl };
                Completed::Ioctl {
                    code: control.IoControlCode,
                    output: control.Output.Length,
                }
            }
            WdfRequestTypeDeviceControlInternal => {
                // SAFETY: as above.
                let control = unsafe { arms.Ioctl };
                Completed::InternalIoctl {
                    code: control.IoControlCode,
                    output: control.Output.Length,
                }
            }
            _ => Completed::AsSent,
        };
        Self {
            status,
            information: information(io_status.Information),
            of,
        }
    }
}
