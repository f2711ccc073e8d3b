//! What a request says about itself.

use core::mem::MaybeUninit;

use wdk_sys::{WDF_REQUEST_PARAMETERS, WDFREQUEST, call_unsafe_wdf_function_binding};

use super::{Canceled, InternalIoctl, Ioctl, Kind, Request, Transfer};
use crate::preprocess::current_location;

/// The structure's size as its `USHORT` field wants it.
#[expect(clippy::cast_possible_truncation, reason = "checked by the assertion")]
const SIZE: u16 = {
    assert!(size_of::<WDF_REQUEST_PARAMETERS>() <= u16::MAX as usize);
    size_of::<WDF_REQUEST_PARAMETERS>() as u16
};

/// `WdfRequestGetParameters` of a request the caller owns.
pub(super) fn get(request: WDFREQUEST) -> WDF_REQUEST_PARAMETERS {
    let mut parameters = MaybeUninit::<WDF_REQUEST_PARAMETERS>::zeroed();
    let at = parameters.as_mut_ptr();
    // SAFETY: inside the local.
    let size = unsafe { &raw mut (*at).Size };
    // SAFETY: as above; WDF_REQUEST_PARAMETERS_INIT writes nothing else.
    unsafe { size.write(SIZE) };
    // SAFETY: the request is owned by the caller, so it has a current stack location; the size is right (R-REQ-42).
    unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetParameters, request, at) };
    // SAFETY: zeroed memory is a valid value of this plain C structure.
    unsafe { parameters.assume_init() }
}

/// Length and position of a read or write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferParameters {
    /// Bytes asked for.
    pub length: usize,
    /// Byte offset in the device; -1 and -2 have meanings of their own (end of file, current position).
    pub offset: i64,
}

/// A device control's code and lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoctlParameters {
    /// The control code.
    pub code: u32,
    /// Bytes of input.
    pub input: usize,
    /// Bytes of output the requestor has room for.
    pub output: usize,
}

/// `WdfRequestGetParameters` of a read or write.
///
/// # Safety
/// The request is one, driver-owned and not sent during the call.
pub(super) unsafe fn transfer(request: WDFREQUEST) -> TransferParameters {
    let parameters = get(request);
    // SAFETY: the arms of reads and writes are laid out alike; plain integers.
    let read = unsafe { parameters.Parameters.Read };
    TransferParameters {
        length: read.Length,
        offset: read.DeviceOffset,
    }
}

impl<K: Transfer> Request<'_, K> {
    /// Length and position of the read or write. Stands for `WdfRequestGetParameters`. Ownership stays.
    #[must_use]
    pub fn parameters(&self) -> TransferParameters {
        // SAFETY: owned, and a read or write by the type invariant of the kind.
        unsafe { transfer(self.handle()) }
    }
}

/// `WdfRequestGetParameters` of a control the caller owns.
pub(super) fn ioctl(request: WDFREQUEST) -> IoctlParameters {
    let parameters = get(request);
    // SAFETY: the caller says it is a control: that arm of the union, plain integers and one pointer that is not followed.
    let control = unsafe { parameters.Parameters.DeviceIoControl };
    IoctlParameters {
        code: control.IoControlCode,
        input: control.InputBufferLength,
        output: control.OutputBufferLength,
    }
}

impl Request<'_, Ioctl> {
    /// `WdfRequestGetParameters`. Ownership stays.
    #[must_use]
    pub fn parameters(&self) -> IoctlParameters {
        ioctl(self.handle())
    }
}

impl Request<'_, InternalIoctl> {
    /// `WdfRequestGetParameters`. Ownership stays.
    #[must_use]
    pub fn parameters(&self) -> IoctlParameters {
        ioctl(self.handle())
    }
}

/// The open instance a request came through: the address of its `FILE_OBJECT`, as a key and nothing else (filter rule 11).
///
/// Two requests with equal keys alive at the same time came through the same handle. A key may come back after its handle was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileKey(pub(crate) core::num::NonZeroUsize);

fn file_key(request: WDFREQUEST) -> Option<FileKey> {
    // SAFETY: owned by the caller, so it has an IRP (R-REQ-49).
    let irp = unsafe { call_unsafe_wdf_function_binding!(WdfRequestWdmGetIrp, request) };
    // SAFETY: the IRP of an owned request is valid and has a current stack location.
    let location = unsafe { current_location(irp) };
    // SAFETY: the current stack location is valid for reads until the request is given away.
    let file = unsafe { (*location).FileObject };
    core::num::NonZeroUsize::new(file.addr()).map(FileKey)
}

impl<K: Kind> Request<'_, K> {
    /// The open instance the request came through, if it has one. Stands for `WdfRequestWdmGetIrp`. IRQL <= `DISPATCH_LEVEL`.
    #[must_use]
    pub fn file_key(&self) -> Option<FileKey> {
        file_key(self.handle())
    }

    /// True for requests of user-mode code. Stands for `WdfRequestGetRequestorMode` (R-REQ-46).
    #[must_use]
    pub fn is_from_user_mode(&self) -> bool {
        // SAFETY: owned.
        let mode =
            unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetRequestorMode, self.handle()) };
        i32::from(mode) == wdk_sys::_MODE::UserMode
    }

    /// Whether the originator has canceled it. Stands for `WdfRequestIsCanceled`: a polling hint, false may be stale at once (R-CAN-52).
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        // SAFETY: owned and not cancelable (type invariant, R-CAN-51).
        let canceled =
            unsafe { call_unsafe_wdf_function_binding!(WdfRequestIsCanceled, self.handle()) };
        canceled != 0
    }
}

impl<K: Kind> Canceled<'_, K> {
    /// The open instance the request came through, if it has one.
    #[must_use]
    pub fn file_key(&self) -> Option<FileKey> {
        file_key(self.handle())
    }
}
