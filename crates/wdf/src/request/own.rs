//! Requests the driver makes itself.
//!
//! An [`OwnRequest`] belongs to nobody above: it is sent, comes back, is used again, and is deleted when dropped. It is never completed
//! (R-TGT-112): there is no such call. While it is below, nothing in the driver owns it, and what it works on ([`Lent`]) is inside it.
//!
//! | the request is | the value | how it leaves |
//! |---|---|---|
//! | idle | [`OwnRequest`] | format; drop deletes it |
//! | formatted | [`OwnFormatted`], with what it works on | send; drop deletes it |
//! | below | nothing; a [`SentToken`] may cancel it | its handler gets an `OwnDone` |
//! | back | [`OwnDone`] | [`split`](OwnDone::split): reused, then both parts are handed out |
//!
//! Its parent is the driver object, so that it may lie in any context and outlive a device that is going: everything else it could be a
//! child of may be deleted while it is below (R-OBJ-40, R-TGT-114). One that is forgotten goes with the driver.
//!
//! A request that is made once and used again allocates nothing any more, unless a format needs a buffer of its own (R-TGT-38, R-TGT-39):
//! [`format_piece`](OwnRequest::format_piece) needs none.

use core::{marker::PhantomData, mem::ManuallyDrop, ptr::NonNull};

use wdk_sys::{
    PWDF_REQUEST_COMPLETION_PARAMS, WDF_OBJECT_ATTRIBUTES, WDF_REQUEST_REUSE_PARAMS, WDFCONTEXT,
    WDFDEVICE, WDFIOTARGET, WDFOBJECT, WDFREQUEST, WDFREQUEST__, call_unsafe_wdf_function_binding,
    ntddk::{IoAllocateIrp, IoAllocateMdl, IoFreeIrp},
};

use super::{
    Kind, RequestContext, SentToken, Share, cell,
    cell::Cell,
    piece,
    sent::{self, Leaving},
};
use crate::{
    Status, context,
    cx::{self, CanComplete, CanSend, CanWait, Cx, Done},
    device::{self, Device, DeviceContext},
    driver,
    object::ObjectRef,
    target::{Completion, Options, Target, Timeout},
};

mod sealed {
    pub trait Sealed {}
}

/// What a request of the driver's own works on: `()` for memory the framework keeps alive by itself, or a [`Share`] of the request whose
/// memory it is. Sealed.
pub trait Lent: sealed::Sealed + Send + 'static {
    #[doc(hidden)]
    fn into_context(self) -> WDFCONTEXT;
    /// # Safety
    /// `context` came from `into_context` of this type, and this is done once.
    #[doc(hidden)]
    unsafe fn of_context(context: WDFCONTEXT) -> Option<Self>
    where
        Self: Sized;
}

impl sealed::Sealed for () {}
impl Lent for () {
    fn into_context(self) -> WDFCONTEXT {
        core::ptr::null_mut()
    }

    unsafe fn of_context(_context: WDFCONTEXT) -> Option<Self> {
        Some(())
    }
}

impl<K: Kind> sealed::Sealed for Share<K> {}
impl<K: Kind> Lent for Share<K> {
    fn into_context(self) -> WDFCONTEXT {
        self.into_raw().as_ptr().cast()
    }

    unsafe fn of_context(context: WDFCONTEXT) -> Option<Self> {
        // SAFETY: contract of this function.
        NonNull::new(context.cast()).map(|request| unsafe { Self::from_raw(request) })
    }
}

/// An idle request of the driver's own. Stands for `WdfRequestCreate`; dropping it is `WdfObjectDelete`.
///
/// `Send + Sync`; keep it anywhere. `T` is the driver's own data on it.
/// Invariant: `request` is a created request, not sent, with a `T` behind its cell, and this value is the only one for it.
#[must_use]
pub struct OwnRequest<T: RequestContext = ()> {
    request: NonNull<WDFREQUEST__>,
    of: PhantomData<fn() -> T>,
}

// SAFETY: an unsent request of the driver's own may be used from any thread.
unsafe impl<T: RequestContext> Send for OwnRequest<T> {}
// SAFETY: `&OwnRequest` gives the context away only, which is Sync.
unsafe impl<T: RequestContext> Sync for OwnRequest<T> {}

/// A request of the driver's own, formatted for one target.
///
/// Invariant: `lent` is what the format works on. It is given up after the request has been reused or deleted, never before.
#[must_use]
pub struct OwnFormatted<'t, T: RequestContext, L: Lent> {
    parts: OwnDone<T, L>,
    target: &'t Target,
    timeout: Option<Timeout>,
}

/// A request of the driver's own that has come back, with what it worked on. Dropping it deletes the request and then gives that back.
#[must_use]
pub struct OwnDone<T: RequestContext, L: Lent> {
    request: ManuallyDrop<OwnRequest<T>>,
    lent: ManuallyDrop<L>,
}

/// A format that failed: nothing has happened to either.
pub struct FormatFailed<T: RequestContext, L: Lent> {
    /// The request, idle.
    pub request: OwnRequest<T>,
    /// What it was to work on.
    pub lent: L,
    /// Why.
    pub status: Status,
}

/// A send that did not happen (R-TGT-50); its handler will not be called.
pub struct OwnSendFailed<T: RequestContext, L: Lent> {
    /// Request and memory, as if it had come back.
    pub done: OwnDone<T, L>,
    /// Why.
    pub status: Status,
}

/// Who gets a request of the driver's own back. Stands for `EvtRequestCompletionRoutine`.
pub trait OnOwnDone: 'static {
    /// The context type of the device the target belongs to.
    type Device: DeviceContext;
    /// The driver's own data on the request.
    type Request: RequestContext;
    /// What it works on.
    type Lent: Lent;

    /// The lower driver has completed the request. IRQL <= `DISPATCH_LEVEL` (R-TGT-81), possibly inside the send or the cancel call.
    ///
    /// The handler owns the request again. What it does not keep of `done` is deleted and given back when it returns.
    fn done(
        cx: &mut Cx<'_, Done>,
        device: &Device<Self::Device>,
        done: OwnDone<Self::Request, Self::Lent>,
        completion: Completion,
    );
}

/// Attributes of a request with a `T`: a child of the driver object (see the module).
fn attributes<T: RequestContext>() -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        ParentObject: driver::handle().cast(),
        ..cell::attributes_of_own::<T>()
    }
}

impl<T: RequestContext> OwnRequest<T> {
    /// `WdfRequestCreate` with room for `target`'s stack. IRQL <= `DISPATCH_LEVEL`. Allocates: do it when the device is set up.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`; `STATUS_INVALID_DEVICE_STATE` for a target that is closed (R-TGT-110).
    pub fn new(target: &Target) -> Result<Self, Status> {
        let mut attributes = attributes::<T>();
        let mut request: WDFREQUEST = core::ptr::null_mut();
        // SAFETY: all pointers are to locals; the target is referenced.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestCreate,
                &raw mut attributes,
                target.handle(),
                &raw mut request
            )
        };
        Status::from_raw(status).ok()?;
        // SAFETY: just created with these attributes, known to nobody else.
        unsafe { Self::created(request, target) }
    }

    /// As [`new`](Self::new), around an IRP of the driver's own with as many stack locations as `target`'s stack has now: the request is good for
    /// that one, and never gets another IRP (R-TGT-33). Stands for `IoAllocateIrp` and `WdfRequestCreateFromIrp`; the IRP goes with the request
    /// (R-TGT-111).
    ///
    /// # Errors
    /// As there.
    pub fn from_irp(target: &Target) -> Result<Self, Status> {
        // SAFETY: referenced.
        let device = unsafe {
            call_unsafe_wdf_function_binding!(WdfIoTargetWdmGetTargetDeviceObject, target.handle())
        };
        let device = NonNull::new(device).ok_or(Status::INVALID_DEVICE_STATE)?;
        // SAFETY: the device a target leads to exists while it is open; a number that stays what it is.
        let locations = unsafe { (*device.as_ptr()).StackSize };
        // SAFETY: no preconditions up to DISPATCH_LEVEL.
        let irp = unsafe { IoAllocateIrp(locations, 0) };
        if irp.is_null() {
            return Err(Status::INSUFFICIENT_RESOURCES);
        }
        let mut attributes = attributes::<T>();
        let mut request: WDFREQUEST = core::ptr::null_mut();
        // SAFETY: all pointers are to locals; the IRP is the driver's, and given to the request.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestCreateFromIrp,
                &raw mut attributes,
                irp,
                1,
                &raw mut request
            )
        };
        if let Err(status) = Status::from_raw(status).ok() {
            // SAFETY: allocated above, and nobody has taken it.
            unsafe { IoFreeIrp(irp) };
            return Err(status);
        }
        // SAFETY: just created with these attributes, known to nobody else.
        unsafe { Self::created(request, target) }
    }

    /// # Safety
    /// `request` was just created with [`attributes`] of `T`, and is known to nobody else.
    unsafe fn created(request: WDFREQUEST, target: &Target) -> Result<Self, Status> {
        let handle = NonNull::new(request).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        // SAFETY: created with these attributes (contract).
        if !unsafe { cell::first_presentation::<T>(request, target.device()) } {
            // SAFETY: known to nobody else (contract).
            unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, request.cast()) };
            return Err(Status::INVALID_DEVICE_STATE);
        }
        // INVARIANT: created, unsent, its T built.
        Ok(Self {
            request: handle,
            of: PhantomData,
        })
    }

    /// As [`new`](Self::new), able to carry parts of up to `largest` bytes of other requests ([`format_piece`](Self::format_piece)).
    ///
    /// # Errors
    /// As there; `STATUS_INVALID_PARAMETER` for more bytes than an MDL can describe.
    pub fn with_room(target: &Target, largest: usize) -> Result<Self, Status> {
        /// At any alignment a part touches one page more than its length fills.
        const PAGE: u32 = 4096;
        let this = Self::new(target)?;
        let bytes = u32::try_from(largest)
            .ok()
            .and_then(|bytes| bytes.checked_add(PAGE))
            .ok_or(Status::INVALID_PARAMETER)?;
        // SAFETY: describes no memory yet: only the length counts.
        let mdl =
            unsafe { IoAllocateMdl(core::ptr::null_mut(), bytes, 0, 0, core::ptr::null_mut()) };
        let mdl = NonNull::new(mdl).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        // SAFETY: owned by `this`, which has none; just allocated with room for `largest` bytes and a page.
        unsafe { this.cell().borrows.set_mdl(mdl, largest) };
        Ok(this)
    }

    pub(crate) const fn handle(&self) -> WDFREQUEST {
        self.request.as_ptr()
    }

    pub(super) fn cell(&self) -> &Cell {
        // SAFETY: the object exists by the type's invariant.
        let cell = unsafe { Cell::of(self.handle()) };
        // SAFETY: it was created with a cell: `new` made sure.
        unsafe { cell.unwrap_unchecked() }
    }

    /// The driver's own data on it.
    #[must_use]
    pub fn context(&self) -> Option<&T> {
        // SAFETY: the object exists by the type's invariant.
        unsafe { cell::context::<T>(self.handle()) }
    }

    /// Makes sure that a send with a timeout cannot fail for want of memory. Stands for `WdfRequestAllocateTimer` (R-TGT-59).
    /// IRQL <= `DISPATCH_LEVEL`.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn allocate_timer(&self) -> Result<(), Status> {
        // SAFETY: the object exists by the type's invariant.
        let status =
            unsafe { call_unsafe_wdf_function_binding!(WdfRequestAllocateTimer, self.handle()) };
        Status::from_raw(status).ok()
    }

    /// Lets go of everything the last format took: memory, mapping, cancellation. Stands for `WdfRequestReuse` (R-TGT-83).
    fn release(&self) {
        // SAFETY: owned and not sent (type invariant).
        if let Some(irp) = unsafe { piece::irp(self.handle()) } {
            // SAFETY: as above; the cell is this request's.
            unsafe { piece::forget_memory(irp, self.cell()) };
        }
        let mut parameters = WDF_REQUEST_REUSE_PARAMS {
            Size: context::size_u32::<WDF_REQUEST_REUSE_PARAMS>(),
            Flags: 0,
            Status: Status::SUCCESS.raw(),
            NewIrp: core::ptr::null_mut(),
        };
        // SAFETY: owned and not sent (R-TGT-85); a well-formed local, so it cannot fail.
        let _ = unsafe {
            call_unsafe_wdf_function_binding!(WdfRequestReuse, self.handle(), &raw mut parameters)
        };
    }
}

impl<T: RequestContext> Drop for OwnRequest<T> {
    fn drop(&mut self) {
        // SAFETY: created by the driver, not sent, and this is the only value for it (type invariant); legal at IRQL <= DISPATCH_LEVEL.
        unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, self.handle().cast()) };
    }
}

/// The context of a request of the driver's own ends with it, and what it owns.
pub(super) unsafe extern "C" fn evt_destroy<T: RequestContext>(object: WDFOBJECT) {
    // SAFETY: context access is legal during destroy (R-OBJ-34).
    if let Some(cell) = unsafe { Cell::of(object.cast()) } {
        // SAFETY: being destroyed: nothing uses it any more.
        unsafe { cell.borrows.destroy() };
    }
    // SAFETY: called by the framework as the destroy callback.
    unsafe { cell::evt_destroy::<T>(object) };
}

impl<T: RequestContext, L: Lent> OwnDone<T, L> {
    pub(super) const fn new(request: OwnRequest<T>, lent: L) -> Self {
        Self {
            request: ManuallyDrop::new(request),
            lent: ManuallyDrop::new(lent),
        }
    }

    /// The driver's own data on the request.
    #[must_use]
    pub fn context(&self) -> Option<&T> {
        self.request.context()
    }

    /// What it worked on.
    #[must_use]
    pub fn lent(&self) -> &L {
        &self.lent
    }

    /// The request, ready to be formatted again, and what it worked on, in this order: whoever completes the owner of the memory next finds
    /// no reference on it (R-REQ-22). Stands for `WdfRequestReuse`. Allocates nothing.
    pub fn split(self) -> (OwnRequest<T>, L) {
        let mut this = ManuallyDrop::new(self);
        this.request.release();
        // SAFETY: `this` is never dropped: the one move out of it.
        let request = unsafe { ManuallyDrop::take(&mut this.request) };
        // SAFETY: as above.
        let lent = unsafe { ManuallyDrop::take(&mut this.lent) };
        (request, lent)
    }

    /// Both without reuse, for the next step of the same sending.
    fn apart(self) -> (OwnRequest<T>, L) {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped: the one move out of it.
        let request = unsafe { ManuallyDrop::take(&mut this.request) };
        // SAFETY: as above.
        let lent = unsafe { ManuallyDrop::take(&mut this.lent) };
        (request, lent)
    }
}

impl<T: RequestContext, L: Lent> Drop for OwnDone<T, L> {
    fn drop(&mut self) {
        self.request.release();
        // SAFETY: dropped once, here; the request first: it must not outlive what it works on.
        unsafe { ManuallyDrop::drop(&mut self.request) };
        // SAFETY: dropped once, here.
        unsafe { ManuallyDrop::drop(&mut self.lent) };
    }
}

impl<'t, T: RequestContext, L: Lent> OwnFormatted<'t, T, L> {
    /// After a format that succeeded.
    pub(super) const fn new(request: OwnRequest<T>, lent: L, target: &'t Target) -> Self {
        Self {
            parts: OwnDone::new(request, lent),
            target,
            timeout: None,
        }
    }

    /// The driver's own data on the request.
    #[must_use]
    pub fn context(&self) -> Option<&T> {
        self.parts.context()
    }

    /// The lower driver is asked to give the request up after `timeout`. Stands for `WDF_REQUEST_SEND_OPTION_TIMEOUT`: it bounds the beginning
    /// of the cancellation, not its end (R-TGT-60).
    pub const fn with_timeout(mut self, timeout: Timeout) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Not sent after all.
    pub fn into_done(self) -> OwnDone<T, L> {
        self.parts
    }

    /// Sends; `C` gets the request back. Stands for `WdfRequestSetCompletionRoutine` and `WdfRequestSend`.
    ///
    /// Runs the lower driver at the caller's IRQL (R-TGT-58); `C` may have run when this returns.
    ///
    /// # Errors
    /// Request and memory come back: the target is gone or purged (R-TGT-55).
    pub fn send<C: OnOwnDone<Request = T, Lent = L>>(
        self,
        _cx: &Cx<'_, impl CanSend>,
    ) -> Result<(), OwnSendFailed<T, L>> {
        self.parts.request.cell().state.sent();
        self.submit::<C>()
    }

    /// As [`send`](Self::send), with the right to cancel it (R-CAN-75).
    ///
    /// # Errors
    /// As there.
    pub fn send_tracked<C: OnOwnDone<Request = T, Lent = L>>(
        self,
        _cx: &Cx<'_, impl CanSend>,
    ) -> Result<SentToken, OwnSendFailed<T, L>> {
        // SAFETY: owned: the object exists.
        let reference = unsafe { ObjectRef::acquire(self.parts.request.handle().cast()) };
        let Some(reference) = reference else {
            return Err(OwnSendFailed {
                done: self.parts,
                status: Status::INVALID_PARAMETER,
            });
        };
        let sending = self.parts.request.cell().state.sent();
        self.submit::<C>()?;
        Ok(SentToken::new(reference, sending))
    }

    /// The state says sent. If the send fails it is idle again.
    fn submit<C: OnOwnDone<Request = T, Lent = L>>(self) -> Result<(), OwnSendFailed<T, L>> {
        let options = Options::asynchronous(self.timeout);
        let target = self.target.handle();
        let (request, lent) = self.parts.apart();
        let request = ManuallyDrop::new(request);
        let context = lent.into_context();
        // SAFETY: owned; the routine is for this type of request and memory.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestSetCompletionRoutine,
                request.handle(),
                Some(evt_own_completion::<C>),
                context
            );
        }
        // SAFETY: owned, formatted, with a completion routine.
        if unsafe { options.send(request.handle(), target) } {
            return Ok(());
        }
        // Not sent: the request and the memory are still here.
        request.cell().state.returned_to_sender();
        // SAFETY: meaningful after a failed send (R-REQ-41).
        let status =
            unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetStatus, request.handle()) };
        // SAFETY: given up a few lines above, once.
        let lent = unsafe { L::of_context(context) };
        Err(OwnSendFailed {
            // SAFETY: made from an L above: never nothing.
            done: OwnDone::new(ManuallyDrop::into_inner(request), unsafe {
                lent.unwrap_unchecked()
            }),
            status: Status::from_raw(status),
        })
    }

    /// Sends and waits. Stands for `WdfRequestSend` with `WDF_REQUEST_SEND_OPTION_SYNCHRONOUS`. `PASSIVE_LEVEL`.
    ///
    /// After `timeout` the lower driver is asked to give the request up; if it does the status is `STATUS_IO_TIMEOUT` (R-TGT-60). A lower driver
    /// that ignores cancellation is waited for.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_sync(
        self,
        _cx: &mut Cx<'_, impl CanWait + CanComplete>,
        timeout: Timeout,
    ) -> Result<(OwnDone<T, L>, Completion), OwnSendFailed<T, L>> {
        let done = self.parts;
        let request = done.request.handle();
        done.request.cell().state.sent();
        // SAFETY: owned and formatted; PASSIVE_LEVEL by the token.
        let sent = unsafe { Options::synchronous(timeout).send(request, self.target.handle()) };
        done.request.cell().state.returned_to_sender();
        // SAFETY: meaningful after a synchronous or failed send (R-REQ-41).
        let status = unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetStatus, request) };
        let status = Status::from_raw(status);
        if !sent {
            return Err(OwnSendFailed { done, status });
        }
        // SAFETY: the request has come back: owned here.
        let information =
            unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetInformation, request) };
        let completion = Completion::of_sync(status, information);
        Ok((done, completion))
    }
}

unsafe extern "C" fn evt_own_completion<C: OnOwnDone>(
    request: WDFREQUEST,
    target: WDFIOTARGET,
    parameters: PWDF_REQUEST_COMPLETION_PARAMS,
    context: WDFCONTEXT,
) {
    // SAFETY: the target is live during its completion routine.
    let device = unsafe { call_unsafe_wdf_function_binding!(WdfIoTargetGetDevice, target) };
    // SAFETY: the framework passes a structure that is valid during the call.
    let completion = unsafe { Completion::read(parameters) };
    // SAFETY: created with a cell, and alive during its completion routine.
    if let Some(cell) = unsafe { Cell::of(request) } {
        let leaving = || {
            Some(Leaving {
                handler: run::<C>,
                device,
                context,
                completion,
            })
        };
        // SAFETY: within the completion routine.
        if !unsafe { sent::came_back(cell, leaving) } {
            return;
        }
    }
    // SAFETY: the routine owns the request again, and the device is live.
    unsafe { run::<C>(request, device, context, completion) };
}

/// Gives a request that has come back to `C`.
///
/// # Safety
/// The caller owns the request, which was sent with `C` as handler and `context` for what it works on; `device` is live during the call.
unsafe fn run<C: OnOwnDone>(
    request: WDFREQUEST,
    device: WDFDEVICE,
    context: WDFCONTEXT,
    completion: Completion,
) {
    let Some(request) = NonNull::new(request) else {
        return;
    };
    // INVARIANT: created with a C::Request, not sent any more, the only value for it.
    let request = OwnRequest {
        request,
        of: PhantomData,
    };
    // SAFETY: made from a C::Lent when it was sent, given back once.
    let Some(lent) = (unsafe { C::Lent::of_context(context) }) else {
        return;
    };
    let done = OwnDone::new(request, lent);
    // SAFETY: live during the call (contract).
    let Some(device) = (unsafe { device::borrow::<C::Device>(device) }) else {
        // Dropping it deletes the request and gives the memory back.
        return;
    };
    cx::enter::<Done, _>(|cx| C::done(cx, &device, done, completion));
}
