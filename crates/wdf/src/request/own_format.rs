//! What a request of the driver's own can ask for.

use wdk_sys::{
    _IO_STACK_LOCATION__bindgen_ty_1__bindgen_ty_9, IO_STACK_LOCATION, WDFMEMORY, WDFMEMORY_OFFSET,
    WDFREQUEST, call_unsafe_wdf_function_binding,
};

use super::{
    FormatFailed, Ioctl, Kind, Lent, OwnFormatted, OwnRequest, Piece, Read, RequestContext, Share,
    Transfer, Write, cell::Cell, piece,
};
use crate::{Status, memory::Memory, preprocess::current_location, target::Target};

/// A part of a memory object, in bytes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Where it begins.
    pub offset: usize,
    /// How long it is; 0 at offset 0 means all of it, elsewhere all that follows (R-TGT-36).
    pub length: usize,
}

impl Part {
    /// All of it.
    pub const ALL: Self = Self {
        offset: 0,
        length: 0,
    };

    const fn raw(self) -> WDFMEMORY_OFFSET {
        WDFMEMORY_OFFSET {
            BufferOffset: self.offset,
            BufferLength: self.length,
        }
    }
}

/// `WdfRequestRetrieveInputMemory` (R-REQ-69).
///
/// # Safety
/// The request is kept driver-owned by a share of the caller's.
unsafe fn input_memory(request: WDFREQUEST) -> Result<WDFMEMORY, Status> {
    let mut memory: WDFMEMORY = core::ptr::null_mut();
    // SAFETY: driver-owned (contract); the result is a local.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(WdfRequestRetrieveInputMemory, request, &raw mut memory)
    };
    Status::from_raw(status).ok().map(|()| memory)
}

/// `WdfRequestRetrieveOutputMemory` (R-REQ-69).
///
/// # Safety
/// As [`input_memory`].
unsafe fn output_memory(request: WDFREQUEST) -> Result<WDFMEMORY, Status> {
    let mut memory: WDFMEMORY = core::ptr::null_mut();
    // SAFETY: driver-owned (contract); the result is a local.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(WdfRequestRetrieveOutputMemory, request, &raw mut memory)
    };
    Status::from_raw(status).ok().map(|()| memory)
}

impl<T: RequestContext> OwnRequest<T> {
    /// Ends a format: `status` says whether it succeeded.
    fn formatted<L: Lent>(
        self,
        target: &Target,
        lent: L,
        status: Result<(), Status>,
    ) -> Result<OwnFormatted<'_, T, L>, FormatFailed<T, L>> {
        match status {
            // INVARIANT: formatted for memory `lent` keeps.
            Ok(()) => Ok(OwnFormatted::new(self, lent, target)),
            Err(status) => Err(FormatFailed {
                request: self,
                lent,
                status,
            }),
        }
    }

    /// # Safety
    /// `memory` is live and stays so until the framework has its own reference on it.
    unsafe fn read_into(
        &self,
        target: &Target,
        memory: WDFMEMORY,
        part: Part,
        at: i64,
    ) -> Result<(), Status> {
        let (mut part, mut at) = (part.raw(), at);
        // SAFETY: owned and unsent; the memory is live (contract), the rest are locals; the framework checks the part (R-TGT-36).
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfIoTargetFormatRequestForRead,
                target.handle(),
                self.handle(),
                memory,
                &raw mut part,
                &raw mut at
            )
        };
        Status::from_raw(status).ok()
    }

    /// # Safety
    /// As [`read_into`](Self::read_into).
    unsafe fn write_from(
        &self,
        target: &Target,
        memory: WDFMEMORY,
        part: Part,
        at: i64,
    ) -> Result<(), Status> {
        let (mut part, mut at) = (part.raw(), at);
        // SAFETY: as for reads.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfIoTargetFormatRequestForWrite,
                target.handle(),
                self.handle(),
                memory,
                &raw mut part,
                &raw mut at
            )
        };
        Status::from_raw(status).ok()
    }

    /// # Safety
    /// As [`read_into`](Self::read_into), for both memories; null is none (R-TGT-37).
    unsafe fn control(
        &self,
        target: &Target,
        code: u32,
        input: (WDFMEMORY, Part),
        output: (WDFMEMORY, Part),
        internal: bool,
    ) -> Result<(), Status> {
        let (mut from, mut to) = (input.1.raw(), output.1.raw());
        let status = if internal {
            // SAFETY: owned and unsent; the memories are live or null (contract), the rest are locals.
            unsafe {
                call_unsafe_wdf_function_binding!(
                    WdfIoTargetFormatRequestForInternalIoctl,
                    target.handle(),
                    self.handle(),
                    code,
                    input.0,
                    &raw mut from,
                    output.0,
                    &raw mut to
                )
            }
        } else {
            // SAFETY: as above.
            unsafe {
                call_unsafe_wdf_function_binding!(
                    WdfIoTargetFormatRequestForIoctl,
                    target.handle(),
                    self.handle(),
                    code,
                    input.0,
                    &raw mut from,
                    output.0,
                    &raw mut to
                )
            }
        };
        Status::from_raw(status).ok()
    }

    /// A read at `at` of the device into memory of the driver. Stands for `WdfIoTargetFormatRequestForRead`. IRQL <= `DISPATCH_LEVEL`.
    ///
    /// # Errors
    /// `STATUS_INTEGER_OVERFLOW` for a part outside the memory; `STATUS_INSUFFICIENT_RESOURCES`, for a buffered device needs a buffer
    /// (R-TGT-38); `STATUS_INVALID_DEVICE_STATE` for a closed target.
    pub fn format_read<'t>(
        self,
        target: &'t Target,
        memory: &Memory,
        part: Part,
        at: i64,
    ) -> Result<OwnFormatted<'t, T, ()>, FormatFailed<T, ()>> {
        // SAFETY: live; the format takes a reference of its own (R-TGT-35).
        let status = unsafe { self.read_into(target, memory.handle(), part, at) };
        self.formatted(target, (), status)
    }

    /// A write at `at` of the device from memory of the driver. Stands for `WdfIoTargetFormatRequestForWrite`.
    ///
    /// # Errors
    /// As [`format_read`](Self::format_read).
    pub fn format_write<'t>(
        self,
        target: &'t Target,
        memory: &Memory,
        part: Part,
        at: i64,
    ) -> Result<OwnFormatted<'t, T, ()>, FormatFailed<T, ()>> {
        // SAFETY: live; the format takes a reference of its own (R-TGT-35).
        let status = unsafe { self.write_from(target, memory.handle(), part, at) };
        self.formatted(target, (), status)
    }

    /// A read into the memory of the read that is shared. Stands for `WdfRequestRetrieveOutputMemory` and `WdfIoTargetFormatRequestForRead`.
    ///
    /// # Errors
    /// As [`format_read`](Self::format_read); `STATUS_BUFFER_TOO_SMALL` if it has length 0.
    pub fn format_read_for(
        self,
        target: &Target,
        share: Share<Read>,
        part: Part,
        at: i64,
    ) -> Result<OwnFormatted<'_, T, Share<Read>>, FormatFailed<T, Share<Read>>> {
        // SAFETY: the share keeps the request, and is given up after the child was reused or deleted.
        let status = unsafe { output_memory(share.handle()) }
            // SAFETY: live as long as the request.
            .and_then(|memory| unsafe { self.read_into(target, memory, part, at) });
        self.formatted(target, share, status)
    }

    /// A write from the memory of the write that is shared. Stands for `WdfRequestRetrieveInputMemory` and `WdfIoTargetFormatRequestForWrite`.
    ///
    /// # Errors
    /// As [`format_read_for`](Self::format_read_for).
    pub fn format_write_for(
        self,
        target: &Target,
        share: Share<Write>,
        part: Part,
        at: i64,
    ) -> Result<OwnFormatted<'_, T, Share<Write>>, FormatFailed<T, Share<Write>>> {
        // SAFETY: as for reads.
        let status = unsafe { input_memory(share.handle()) }
            // SAFETY: live as long as the request.
            .and_then(|memory| unsafe { self.write_from(target, memory, part, at) });
        self.formatted(target, share, status)
    }

    /// A device control with memory of the driver on both sides. Stands for `WdfIoTargetFormatRequestForIoctl`.
    ///
    /// # Errors
    /// As [`format_read`](Self::format_read).
    pub fn format_ioctl<'t>(
        self,
        target: &'t Target,
        code: u32,
        input: Option<(&Memory, Part)>,
        output: Option<(&Memory, Part)>,
    ) -> Result<OwnFormatted<'t, T, ()>, FormatFailed<T, ()>> {
        // SAFETY: live; the format takes references of its own (R-TGT-35).
        let status = unsafe { self.control(target, code, side(input), side(output), false) };
        self.formatted(target, (), status)
    }

    /// As [`format_ioctl`](Self::format_ioctl) for an internal control. Stands for `WdfIoTargetFormatRequestForInternalIoctl`.
    ///
    /// # Errors
    /// As there.
    pub fn format_internal_ioctl<'t>(
        self,
        target: &'t Target,
        code: u32,
        input: Option<(&Memory, Part)>,
        output: Option<(&Memory, Part)>,
    ) -> Result<OwnFormatted<'t, T, ()>, FormatFailed<T, ()>> {
        // SAFETY: live; the format takes references of its own (R-TGT-35).
        let status = unsafe { self.control(target, code, side(input), side(output), true) };
        self.formatted(target, (), status)
    }

    /// A device control on the memory of the control that is shared.
    ///
    /// # Errors
    /// As [`format_ioctl`](Self::format_ioctl).
    pub fn format_ioctl_for(
        self,
        target: &Target,
        code: u32,
        share: Share<Ioctl>,
    ) -> Result<OwnFormatted<'_, T, Share<Ioctl>>, FormatFailed<T, Share<Ioctl>>> {
        // A side of length 0 has no memory (R-REQ-62).
        // SAFETY: the share keeps the request, and is given up after the child was reused or deleted.
        let input = unsafe { input_memory(share.handle()) }.unwrap_or(core::ptr::null_mut());
        // SAFETY: as above.
        let output = unsafe { output_memory(share.handle()) }.unwrap_or(core::ptr::null_mut());
        // SAFETY: live as long as the request.
        let status =
            unsafe { self.control(target, code, (input, Part::ALL), (output, Part::ALL), false) };
        self.formatted(target, share, status)
    }

    /// A part of the read or write that is shared, carrying what it came with (filter rule 16). Stands for
    /// `WdfRequestWdmFormatUsingStackLocation`. IRQL <= `DISPATCH_LEVEL`. Allocates nothing: the request brings its MDL
    /// ([`with_room`](Self::with_room)).
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for a part that is empty or not inside the whole, or a whole at offset -1 or -2; `STATUS_BUFFER_TOO_SMALL`
    /// for one longer than the request was made for; `STATUS_REQUEST_NOT_ACCEPTED` if the target is not the shared request's own device's;
    /// `STATUS_INVALID_DEVICE_REQUEST` for a device whose buffers are raw addresses.
    pub fn format_piece<K: Transfer>(
        self,
        target: &Target,
        share: Share<K>,
        piece: Piece,
    ) -> Result<OwnFormatted<'_, T, Share<K>>, FormatFailed<T, Share<K>>> {
        // SAFETY: the share keeps it driver-owned.
        let status = unsafe { self.reach(target, share.handle()) }
            // SAFETY: owned, with a location for the target (`reach`); the share goes with the child until that was reused or deleted.
            .and_then(|()| unsafe {
                piece::format::<K>(self.handle(), self.cell(), share.handle(), piece)
            });
        self.formatted(target, share, status)
    }

    /// `IRP_MJ_FLUSH_BUFFERS` for the open instance the shared request came through. Stands for `WdfRequestWdmFormatUsingStackLocation`.
    ///
    /// # Errors
    /// `STATUS_REQUEST_NOT_ACCEPTED` if the target is not the shared request's own device's.
    pub fn format_flush<K: Kind>(
        self,
        target: &Target,
        share: Share<K>,
    ) -> Result<OwnFormatted<'_, T, Share<K>>, FormatFailed<T, Share<K>>> {
        const FLUSH_BUFFERS: u8 = 0x09;
        // SAFETY: the share keeps the request driver-owned.
        let status = unsafe { self.for_file_of(target, share.handle(), FLUSH_BUFFERS, |_| {}) };
        self.formatted(target, share, status)
    }

    /// `IRP_MJ_QUERY_INFORMATION` of one class, into memory of the driver, for the open instance the shared request came through.
    ///
    /// # Errors
    /// As [`format_flush`](Self::format_flush).
    pub fn format_query_information<'t, K: Kind>(
        self,
        target: &'t Target,
        share: Share<K>,
        class: i32,
        memory: &Memory,
    ) -> Result<OwnFormatted<'t, T, Share<K>>, FormatFailed<T, Share<K>>> {
        const QUERY_INFORMATION: u8 = 0x05;
        // SAFETY: the share keeps the request driver-owned.
        let status =
            unsafe { self.information(target, share.handle(), QUERY_INFORMATION, class, memory) };
        self.formatted(target, share, status)
    }

    /// `IRP_MJ_SET_INFORMATION` of one class, from memory of the driver, for the open instance the shared request came through.
    ///
    /// # Errors
    /// As [`format_flush`](Self::format_flush).
    pub fn format_set_information<'t, K: Kind>(
        self,
        target: &'t Target,
        share: Share<K>,
        class: i32,
        memory: &Memory,
    ) -> Result<OwnFormatted<'t, T, Share<K>>, FormatFailed<T, Share<K>>> {
        const SET_INFORMATION: u8 = 0x06;
        // SAFETY: the share keeps the request driver-owned.
        let status =
            unsafe { self.information(target, share.handle(), SET_INFORMATION, class, memory) };
        self.formatted(target, share, status)
    }

    /// Makes sure that the request has a stack location for the target, which is the device's of `parent`. Stands for `WdfRequestChangeTarget`.
    ///
    /// # Safety
    /// `parent` is kept driver-owned by a share of the caller's.
    unsafe fn reach(&self, target: &Target, parent: WDFREQUEST) -> Result<(), Status> {
        // SAFETY: driver-owned (contract).
        let cell = unsafe { Cell::of(parent) }.ok_or(Status::INVALID_DEVICE_STATE)?;
        // SAFETY: as above.
        if !unsafe { cell.is_of(parent, target.device().addr()) } {
            return Err(Status::REQUEST_NOT_ACCEPTED);
        }
        // SAFETY: owned and unsent; the target is referenced.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestChangeTarget,
                self.handle(),
                target.handle()
            )
        };
        Status::from_raw(status).ok()
    }

    /// Formats by a stack location with the file object of `parent`.
    ///
    /// # Safety
    /// `parent` is kept driver-owned by a share that outlives the sending; what `fill` puts in is true of the IRP.
    unsafe fn for_file_of(
        &self,
        target: &Target,
        parent: WDFREQUEST,
        major: u8,
        fill: impl FnOnce(&mut IO_STACK_LOCATION),
    ) -> Result<(), Status> {
        // SAFETY: contract of this function.
        unsafe { self.reach(target, parent) }?;
        // SAFETY: contract of this function.
        let irp = unsafe { piece::irp(parent) }.ok_or(Status::INVALID_DEVICE_REQUEST)?;
        // SAFETY: the IRP of a driver-owned request.
        let above = unsafe { current_location(irp.as_ptr()) };
        // SAFETY: valid while the request is driver-owned.
        let opened = unsafe { (*above).FileObject };
        let mut location = IO_STACK_LOCATION {
            MajorFunction: major,
            FileObject: opened,
            ..IO_STACK_LOCATION::default()
        };
        fill(&mut location);
        // SAFETY: owned, with a stack location for the target (`reach`); the framework copies the local.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestWdmFormatUsingStackLocation,
                self.handle(),
                &raw mut location
            );
        };
        Ok(())
    }

    /// # Safety
    /// As [`for_file_of`](Self::for_file_of).
    unsafe fn information(
        &self,
        target: &Target,
        parent: WDFREQUEST,
        major: u8,
        class: i32,
        memory: &Memory,
    ) -> Result<(), Status> {
        let length = u32::try_from(memory.len()).map_err(|_| Status::INVALID_PARAMETER)?;
        let fill = |location: &mut IO_STACK_LOCATION| {
            // Query and set begin alike: length and class.
            location.Parameters.QueryFile = _IO_STACK_LOCATION__bindgen_ty_1__bindgen_ty_9 {
                Length: length,
                FileInformationClass: class,
                ..Default::default()
            };
        };
        // SAFETY: contract of this function; the length is that of the system buffer set below.
        unsafe { self.for_file_of(target, parent, major, fill) }?;
        // SAFETY: owned and unsent.
        let irp = unsafe { piece::irp(self.handle()) }.ok_or(Status::INVALID_DEVICE_REQUEST)?;
        // SAFETY: the request's own IRP; the memory is kept until it has come back (next line).
        unsafe { piece::set_system_buffer(irp, memory.at()) };
        // SAFETY: owned and unsent.
        unsafe { self.cell().borrows.keep(memory.object().clone()) };
        Ok(())
    }
}

/// One side of a control.
fn side(side: Option<(&Memory, Part)>) -> (WDFMEMORY, Part) {
    side.map_or((core::ptr::null_mut(), Part::ALL), |(memory, part)| {
        (memory.handle(), part)
    })
}
