//! Looking through a manual queue.
//!
//! A found request is looked at, not owned: it may be canceled and gone at any moment, its memory kept by the reference finding it took
//! (R-QUE-96, R-QUE-97). The session owns that reference and gives it back; it also has the token, so that nothing is retrieved, completed or sent
//! between finding a request and taking it (the rule `WdfIoQueueRetrieveNextRequest`).

use core::{mem::MaybeUninit, ptr::NonNull};

use wdk_sys::{
    WDF_REQUEST_PARAMETERS, WDFFILEOBJECT, WDFREQUEST, call_unsafe_wdf_function_binding,
};

use super::Queue;
use crate::{
    Status,
    cx::{CanComplete, Cx},
    object::ObjectRef,
    request::{
        Any, Disposition, IoctlParameters, Owned, Request, RequestContext, TransferParameters,
        request_context,
    },
};

/// What a found request asks for, as it was when it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundKind {
    /// A read.
    Read(TransferParameters),
    /// A write.
    Write(TransferParameters),
    /// A device control.
    Ioctl(IoctlParameters),
    /// An internal device control.
    InternalIoctl(IoctlParameters),
    /// Anything else.
    Other,
}

/// A waiting request somebody looks at without owning it. Stands for the result of `WdfIoQueueFindRequest` (R-QUE-97).
///
/// Invariant: `request` is referenced for as long as this value exists; nothing but its context is looked at.
pub struct Found {
    pub(super) request: ObjectRef,
    kind: FoundKind,
}

impl Found {
    /// The driver's context on it.
    #[must_use]
    pub fn context<T: RequestContext>(&self) -> Option<&T> {
        // SAFETY: referenced: context access is legal (R-OBJ-70).
        unsafe { request_context::<T>(self.request.raw().cast()) }
    }

    /// What it asks for.
    #[must_use]
    pub const fn kind(&self) -> FoundKind {
        self.kind
    }
}

/// `sizeof(WDF_REQUEST_PARAMETERS)` as its `USHORT` field wants it.
#[expect(clippy::cast_possible_truncation, reason = "checked by the assertion")]
const PARAMETERS_SIZE: u16 = {
    assert!(size_of::<WDF_REQUEST_PARAMETERS>() <= u16::MAX as usize);
    size_of::<WDF_REQUEST_PARAMETERS>() as u16
};

fn kind_of(parameters: &WDF_REQUEST_PARAMETERS) -> FoundKind {
    const READ: i32 = wdk_sys::_WDF_REQUEST_TYPE::WdfRequestTypeRead;
    const WRITE: i32 = wdk_sys::_WDF_REQUEST_TYPE::WdfRequestTypeWrite;
    const IOCTL: i32 = wdk_sys::_WDF_REQUEST_TYPE::WdfRequestTypeDeviceControl;
    const INTERNAL: i32 = wdk_sys::_WDF_REQUEST_TYPE::WdfRequestTypeDeviceControlInternal;
    let transfer = || {
        // SAFETY: a read's or a write's arm of the union, both of the same shape: plain integers.
        let read = unsafe { parameters.Parameters.Read };
        TransferParameters {
            length: read.Length,
            offset: read.DeviceOffset,
        }
    };
    let control = || {
        // SAFETY: a control's arm of the union: plain integers and a pointer that is not followed.
        let control = unsafe { parameters.Parameters.DeviceIoControl };
        IoctlParameters {
            code: control.IoControlCode,
            input: control.InputBufferLength,
            output: control.OutputBufferLength,
        }
    };
    match parameters.Type {
        READ => FoundKind::Read(transfer()),
        WRITE => FoundKind::Write(transfer()),
        IOCTL => FoundKind::Ioctl(control()),
        INTERNAL => FoundKind::InternalIoctl(control()),
        _ => FoundKind::Other,
    }
}

/// The request behind `after`, or the first one; of one open instance if `file` is not null. Stands for `WdfIoQueueFindRequest`.
///
/// # Safety
/// `file` is null or exists during the call.
pub(super) unsafe fn find(
    queue: &Queue,
    after: Option<&Found>,
    file: WDFFILEOBJECT,
) -> Result<Option<Found>, Status> {
    if !queue.object.is_live() {
        return Err(Status::DELETE_PENDING);
    }
    let tag: WDFREQUEST = after.map_or(core::ptr::null_mut(), |found| found.request.raw().cast());
    let mut parameters = MaybeUninit::<WDF_REQUEST_PARAMETERS>::zeroed();
    let at = parameters.as_mut_ptr();
    // SAFETY: inside the local.
    let size = unsafe { &raw mut (*at).Size };
    // SAFETY: as above; WDF_REQUEST_PARAMETERS_INIT writes nothing else.
    unsafe { size.write(PARAMETERS_SIZE) };
    let mut request: WDFREQUEST = core::ptr::null_mut();
    // SAFETY: the queue is referenced, the tag by `after`, the file by contract; results are locals of the right size (R-QUE-98).
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfIoQueueFindRequest,
            queue.handle(),
            tag,
            file,
            at,
            &raw mut request
        )
    };
    match Status::from_raw(status) {
        Status::NO_MORE_ENTRIES => return Ok(None),
        status => status.ok()?,
    }
    let Some(handle) = NonNull::new(request) else {
        return Ok(None);
    };
    // SAFETY: finding took a reference for us (R-QUE-96).
    let request = unsafe { ObjectRef::adopt(handle.cast()) };
    // SAFETY: zeroed memory is a valid value of this plain C structure.
    let parameters = unsafe { parameters.assume_init() };
    Ok(Some(Found {
        request,
        kind: kind_of(&parameters),
    }))
}

/// Takes a found request out of its queue; nothing if it has left it meanwhile. Stands for `WdfIoQueueRetrieveFoundRequest` (R-QUE-99).
pub(super) fn retrieve_found(queue: &Queue, found: &Found) -> Result<Option<WDFREQUEST>, Status> {
    let mut request: WDFREQUEST = core::ptr::null_mut();
    // SAFETY: both referenced; the result is a local.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfIoQueueRetrieveFoundRequest,
            queue.handle(),
            found.request.raw().cast(),
            &raw mut request
        )
    };
    match Status::from_raw(status) {
        Status::NOT_FOUND => Ok(None),
        status => status.ok().map(|()| Some(request)),
    }
}

/// A walk through a manual queue, from its head.
///
/// Lent to the closure of [`Queue::search`]; it has the callback's token for as long as it lasts. Invariant: `file` is null or exists.
pub struct Search<'x, 'c, P: CanComplete> {
    queue: &'x Queue,
    cx: &'x mut Cx<'c, P>,
    file: WDFFILEOBJECT,
    at: Option<Found>,
}

/// A request the walk has come to.
///
/// Invariant: `found` is what the walk stands at.
pub struct Hit<'h, 'x, 'c, P: CanComplete> {
    search: &'h mut Search<'x, 'c, P>,
}

impl<'x, 'c, P: CanComplete> Search<'x, 'c, P> {
    /// Goes to the next request; `None` behind the last one. Stands for `WdfIoQueueFindRequest`.
    ///
    /// # Errors
    /// `STATUS_NOT_FOUND` if the request the walk stood at has left the queue: the next call starts at the head again (R-QUE-98).
    /// `STATUS_INVALID_DEVICE_REQUEST` if the queue is not manual (R-QUE-96); `STATUS_DELETE_PENDING` if it is gone.
    #[expect(
        clippy::should_implement_trait,
        reason = "what it finds borrows the walk, which an iterator's items do not"
    )]
    pub fn next(&mut self) -> Result<Option<Hit<'_, 'x, 'c, P>>, Status> {
        let before = self.at.take();
        // SAFETY: the type's invariant.
        self.at = unsafe { find(self.queue, before.as_ref(), self.file) }?;
        Ok(self.at.is_some().then_some(Hit { search: self }))
    }
}

impl<P: CanComplete> Hit<'_, '_, '_, P> {
    /// What it asks for.
    #[must_use]
    pub fn kind(&self) -> FoundKind {
        self.search
            .at
            .as_ref()
            .map_or(FoundKind::Other, Found::kind)
    }

    /// The driver's context on it.
    #[must_use]
    pub fn context<T: RequestContext>(&self) -> Option<&T> {
        self.search.at.as_ref()?.context()
    }

    /// Takes it out of the queue and gives it to `f`; false if it has left the queue meanwhile. The walk starts at the head again.
    ///
    /// # Errors
    /// `STATUS_WDF_PAUSED` while the queue does not deliver (R-QUE-92).
    pub fn take(
        self,
        f: impl for<'r> FnOnce(&mut Cx<'_, P>, Request<'r, Any>) -> Disposition<'r>,
    ) -> Result<bool, Status> {
        let Some(found) = self.search.at.take() else {
            return Ok(false);
        };
        let Some(request) = retrieve_found(self.search.queue, &found)? else {
            return Ok(false);
        };
        drop(found);
        // SAFETY: owned since this retrieval (R-QUE-99); 'r is minted by `f`.
        let _gone = f(self.search.cx, unsafe { Request::present(request) });
        Ok(true)
    }
}

impl Queue {
    /// Looks through a manual queue: `f` walks it and takes out what it wants.
    pub fn search<P: CanComplete, R>(
        &self,
        cx: &mut Cx<'_, P>,
        f: impl FnOnce(&mut Search<'_, '_, P>) -> R,
    ) -> R {
        f(&mut Search {
            queue: self,
            cx,
            file: core::ptr::null_mut(),
            at: None,
        })
    }

    /// Looks through what waits on behalf of the open instance `of` came through.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if that request has no framework file object ([`Files`](crate::file::Files)).
    pub fn search_of<P: CanComplete, R>(
        &self,
        cx: &mut Cx<'_, P>,
        of: &impl Owned,
        f: impl FnOnce(&mut Search<'_, '_, P>) -> R,
    ) -> Result<R, Status> {
        let file = file_of(of)?;
        // INVARIANT: `of`, borrowed during the call, keeps its file object (R-CAN-62).
        Ok(f(&mut Search {
            queue: self,
            cx,
            file,
            at: None,
        }))
    }
}

/// The file object of an owned request. Stands for `WdfRequestGetFileObject`.
pub(super) fn file_of(request: &impl Owned) -> Result<WDFFILEOBJECT, Status> {
    // SAFETY: owned, by what `Owned` is.
    let file = unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetFileObject, request.raw()) };
    if file.is_null() {
        return Err(Status::INVALID_PARAMETER);
    }
    Ok(file)
}
