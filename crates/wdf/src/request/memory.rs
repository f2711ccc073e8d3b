//! The memory objects and MDLs of an owned request. They are borrowed from it and end with it (R-REQ-76).
//!
//! [`buffers`](super::Buffered) are the way to the bytes; these are for what wants the objects: lengths as the framework has them, copies that
//! it checks, descriptions of pages. Sending a request's memory on goes by [`Share`](super::Share), which keeps the request meanwhile.

use core::{marker::PhantomData, ptr::NonNull};

use wdk_sys::{MDL, NTSTATUS, PMDL, WDFMEMORY, WDFREQUEST, call_unsafe_wdf_function_binding};

use super::{InternalIoctl, Ioctl, Read, Request, Write};
use crate::{Status, cx::Brand};

/// Memory of a request to read from. Stands for the `WDFMEMORY` of `WdfRequestRetrieveInputMemory`.
///
/// Invariant: `memory` is an embedded object of a request that is owned for `'a` (R-OBJ-07).
pub struct InputMemory<'a> {
    memory: WDFMEMORY,
    of: PhantomData<&'a ()>,
}

/// Memory of request `'r` to write to. Stands for the `WDFMEMORY` of `WdfRequestRetrieveOutputMemory`.
///
/// Invariant: as [`InputMemory`], with no other view of the request's memory beside it.
pub struct OutputMemory<'a, 'r> {
    memory: WDFMEMORY,
    lent: PhantomData<&'a mut ()>,
    of: Brand<'r>,
}

/// The description of a request's pages. Stands for the MDL of `WdfRequestRetrieveInputWdmMdl` and `WdfRequestRetrieveOutputWdmMdl`.
///
/// Invariant: `mdl` is an MDL of a request that is owned for `'a`.
pub struct Mdl<'a> {
    mdl: NonNull<MDL>,
    of: PhantomData<&'a ()>,
}

fn length(memory: WDFMEMORY) -> usize {
    let mut length = 0;
    // SAFETY: an embedded object of an owned request (invariants of the callers); the result is a local.
    let _ =
        unsafe { call_unsafe_wdf_function_binding!(WdfMemoryGetBuffer, memory, &raw mut length) };
    length
}

impl InputMemory<'_> {
    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        length(self.memory)
    }

    /// Whether there are none: never, for empty memory is not retrieved (R-REQ-62).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies what lies at `offset` into all of `to`. Stands for `WdfMemoryCopyToBuffer`. IRQL <= `DISPATCH_LEVEL`.
    ///
    /// # Errors
    /// `STATUS_BUFFER_TOO_SMALL` if there are fewer bytes.
    pub fn copy_to(&self, offset: usize, to: &mut [u8]) -> Result<(), Status> {
        // SAFETY: an embedded object of an owned request (type invariant); the framework checks the range, `to` is a local slice.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfMemoryCopyToBuffer,
                self.memory,
                offset,
                to.as_mut_ptr().cast(),
                to.len()
            )
        };
        Status::from_raw(status).ok()
    }
}

impl OutputMemory<'_, '_> {
    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        length(self.memory)
    }

    /// Whether there are none: never, for empty memory is not retrieved (R-REQ-62).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies all of `from` to `offset`. Stands for `WdfMemoryCopyFromBuffer`. IRQL <= `DISPATCH_LEVEL`. What a success may claim is
    /// counted by [`Output`](super::Output) only.
    ///
    /// # Errors
    /// `STATUS_BUFFER_TOO_SMALL` if it does not fit.
    pub fn copy_from(&mut self, offset: usize, from: &[u8]) -> Result<(), Status> {
        // SAFETY: an embedded object of an owned request (type invariant); the framework checks the range and reads `from` only.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfMemoryCopyFromBuffer,
                self.memory,
                offset,
                from.as_ptr().cast_mut().cast(),
                from.len()
            )
        };
        Status::from_raw(status).ok()
    }
}

impl Mdl<'_> {
    /// How many bytes it describes. Stands for `MmGetMdlByteCount`.
    #[must_use]
    pub fn len(&self) -> usize {
        // SAFETY: valid for reads (type invariant).
        let bytes = unsafe { (*self.mdl.as_ptr()).ByteCount };
        bytes as usize
    }

    /// Whether it describes none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where in its first page the bytes begin. Stands for `MmGetMdlByteOffset`.
    #[must_use]
    pub fn page_offset(&self) -> usize {
        // SAFETY: valid for reads (type invariant).
        let offset = unsafe { (*self.mdl.as_ptr()).ByteOffset };
        offset as usize
    }
}

/// A retrieve call's status and result.
fn memory(request: WDFREQUEST, output: bool) -> Result<WDFMEMORY, Status> {
    let mut memory: WDFMEMORY = core::ptr::null_mut();
    let status: NTSTATUS = if output {
        // SAFETY: the request is owned by the caller; the result is a local.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestRetrieveOutputMemory,
                request,
                &raw mut memory
            )
        }
    } else {
        // SAFETY: as above.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestRetrieveInputMemory,
                request,
                &raw mut memory
            )
        }
    };
    Status::from_raw(status).ok().map(|()| memory)
}

fn mdl<'a>(request: WDFREQUEST, output: bool) -> Result<Mdl<'a>, Status> {
    let mut mdl: PMDL = core::ptr::null_mut();
    let status: NTSTATUS = if output {
        // SAFETY: the request is owned by the caller, whose borrow bounds 'a; the result is a local.
        unsafe {
            call_unsafe_wdf_function_binding!(WdfRequestRetrieveOutputWdmMdl, request, &raw mut mdl)
        }
    } else {
        // SAFETY: as above.
        unsafe {
            call_unsafe_wdf_function_binding!(WdfRequestRetrieveInputWdmMdl, request, &raw mut mdl)
        }
    };
    Status::from_raw(status).ok()?;
    NonNull::new(mdl)
        .map(|mdl| Mdl {
            mdl,
            of: PhantomData,
        })
        .ok_or(Status::INVALID_USER_BUFFER)
}

/// The accessors of the kinds that have input.
macro_rules! inputs {
    ($($kind:ident)*) => { $(
        impl Request<'_, $kind> {
            /// Its input as a memory object. Stands for `WdfRequestRetrieveInputMemory`. IRQL <= `DISPATCH_LEVEL`. Ownership stays.
            ///
            /// # Errors
            /// `STATUS_BUFFER_TOO_SMALL` if there is none (R-REQ-62); `STATUS_INVALID_DEVICE_REQUEST` for raw user addresses (R-REQ-68).
            pub fn input_memory(&self) -> Result<InputMemory<'_>, Status> {
                // INVARIANT: of this request, which `&self` keeps owned.
                memory(self.handle(), false).map(|memory| InputMemory { memory, of: PhantomData })
            }

            /// The pages of its input. Stands for `WdfRequestRetrieveInputWdmMdl`. IRQL <= `DISPATCH_LEVEL`. Ownership stays.
            ///
            /// # Errors
            /// As [`input_memory`](Self::input_memory); `STATUS_INSUFFICIENT_RESOURCES` where one has to be built (R-REQ-72).
            pub fn input_mdl(&self) -> Result<Mdl<'_>, Status> {
                mdl(self.handle(), false)
            }
        }
    )* };
}
inputs!(Write Ioctl InternalIoctl);

/// The accessors of the kinds that have output.
macro_rules! outputs {
    ($($kind:ident)*) => { $(
        impl<'r> Request<'r, $kind> {
            /// Room for its output as a memory object. Stands for `WdfRequestRetrieveOutputMemory`. IRQL <= `DISPATCH_LEVEL`. Ownership stays.
            ///
            /// # Errors
            /// `STATUS_BUFFER_TOO_SMALL` if there is none (R-REQ-62); `STATUS_INVALID_DEVICE_REQUEST` for raw user addresses (R-REQ-68), and
            /// for the output side of `METHOD_IN_DIRECT`, which is input too (R-REQ-67).
            pub fn output_memory(&mut self) -> Result<OutputMemory<'_, 'r>, Status> {
                self.has_room()?;
                // INVARIANT: of this request, which `&mut self` keeps owned and free of other views.
                memory(self.handle(), true).map(|memory| OutputMemory {
                    memory,
                    lent: PhantomData,
                    of: PhantomData,
                })
            }

            /// The pages of its output. Stands for `WdfRequestRetrieveOutputWdmMdl`. IRQL <= `DISPATCH_LEVEL`. Ownership stays.
            ///
            /// # Errors
            /// As [`output_memory`](Self::output_memory); `STATUS_INSUFFICIENT_RESOURCES` where one has to be built (R-REQ-72).
            pub fn output_mdl(&mut self) -> Result<Mdl<'_>, Status> {
                mdl(self.handle(), true)
            }
        }
    )* };
}
outputs!(Read Ioctl InternalIoctl);

impl Request<'_, Read> {
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "a control may have none"
    )]
    const fn has_room(&self) -> Result<(), Status> {
        Ok(())
    }
}

/// `METHOD_IN_DIRECT`: the "output" was locked for reading only.
fn not_in_direct(code: u32) -> Result<(), Status> {
    const IN_DIRECT: u32 = 1;
    if code & 3 == IN_DIRECT {
        return Err(Status::INVALID_DEVICE_REQUEST);
    }
    Ok(())
}

impl Request<'_, Ioctl> {
    fn has_room(&self) -> Result<(), Status> {
        not_in_direct(self.parameters().code)
    }
}

impl Request<'_, InternalIoctl> {
    fn has_room(&self) -> Result<(), Status> {
        not_in_direct(self.parameters().code)
    }
}
