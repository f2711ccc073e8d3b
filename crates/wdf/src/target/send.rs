//! Sending a request that came from above.

use core::ptr::NonNull;

use wdk_sys::{
    PWDF_REQUEST_COMPLETION_PARAMS, WDFCONTEXT, WDFDEVICE, WDFIOTARGET, WDFREQUEST,
    call_unsafe_wdf_function_binding,
};

use super::{Completion, Options, Target, Timeout};
use crate::{
    Status,
    cx::{self, CanSend, CanWait, Cx, Done},
    device::{self, Device, DeviceContext},
    object::ObjectRef,
    preprocess::current_location,
    request::{Cell, Disposition, Kind, Leaving, Request, SentToken, finish, meets_canceller},
};

/// Who gets a sent request back. Stands for `EvtRequestCompletionRoutine`.
pub trait OnDone<K: Kind>: 'static {
    /// The context type of the device the target belongs to.
    type Device: DeviceContext;

    /// The lower driver has completed the request: the handler owns it again. IRQL <= `DISPATCH_LEVEL` (R-TGT-81).
    ///
    /// Its Information is what the lower driver left; [`Request::complete`] passes it on unchanged (R-TGT-89).
    fn done<'r>(
        cx: &mut Cx<'_, Done>,
        device: &Device<Self::Device>,
        request: Request<'r, K>,
        completion: Completion,
    ) -> Disposition<'r>;
}

/// A request formatted for one target.
///
/// Invariant: the target is of the request's own device; `cell` is the request's.
#[must_use]
pub struct Formatted<'r, 't, K: Kind> {
    request: Request<'r, K>,
    cell: NonNull<Cell>,
    target: &'t Target,
    timeout: Option<Timeout>,
}

/// A send that did not happen. The request is still owned, unformatted (R-TGT-50).
pub struct SendFailed<'r, K: Kind> {
    /// The request.
    pub request: Request<'r, K>,
    /// Why.
    pub status: Status,
}

impl<'r, K: Kind> Request<'r, K> {
    /// Copies the request's own stack location for the target. Stands for `WdfRequestFormatRequestUsingCurrentType`.
    /// IRQL <= `DISPATCH_LEVEL`. Ownership stays in the result.
    ///
    /// # Errors
    /// The request comes back, still owned, with `STATUS_REQUEST_NOT_ACCEPTED` if the target is another device's: a deeper stack
    /// needs more stack locations than the request has (R-TGT-33, R-TGT-57), and with none left the format is a bug check (R-TGT-42).
    pub fn format_current_type(
        self,
        target: &Target,
    ) -> Result<Formatted<'r, '_, K>, SendFailed<'r, K>> {
        let Some(cell) = target.takes(&self) else {
            return Err(SendFailed {
                request: self,
                status: Status::REQUEST_NOT_ACCEPTED,
            });
        };
        // SAFETY: owned, of the target's own device (`takes`): its IRP has a location left for the device below.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestFormatRequestUsingCurrentType,
                self.handle()
            );
        };
        // INVARIANT: `takes`.
        Ok(Formatted {
            request: self,
            cell,
            target,
            timeout: None,
        })
    }

    /// Passes the request on and gives it up: no completion routine, no accounting. Stands for `WdfRequestSend` with
    /// `WDF_REQUEST_SEND_OPTION_SEND_AND_FORGET`. The target's state is ignored (R-TGT-74).
    ///
    /// # Errors
    /// The request comes back, still owned; with `STATUS_REQUEST_NOT_ACCEPTED` if the target is another device's.
    pub fn send_and_forget(
        self,
        _cx: &Cx<'_, impl CanSend>,
        target: &Target,
    ) -> Result<Disposition<'r>, SendFailed<'r, K>> {
        if target.takes(&self).is_none() {
            return Err(SendFailed {
                request: self,
                status: Status::REQUEST_NOT_ACCEPTED,
            });
        }
        let request = self.into_raw();
        // SAFETY: owned, not cancelable, not formatted for a target (R-TGT-71).
        let sent = unsafe { Options::SEND_AND_FORGET.send(request, target.handle()) };
        if sent {
            return Ok(Disposition::gone());
        }
        // SAFETY: a failed send leaves ownership here (R-TGT-50).
        Err(unsafe { send_failed(request) })
    }
}

/// # Safety
/// A send of `request`, owned by the caller under `'r`, has just returned false.
unsafe fn send_failed<'r, K: Kind>(request: WDFREQUEST) -> SendFailed<'r, K> {
    // SAFETY: meaningful after a failed send (R-REQ-41).
    let status = unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetStatus, request) };
    // SAFETY: contract of this function.
    let request = unsafe { Request::present(request) };
    SendFailed {
        request,
        status: Status::from_raw(status),
    }
}

impl<'r, K: Kind> Formatted<'r, '_, K> {
    /// The lower driver is asked to give the request up after `timeout`. Stands for `WDF_REQUEST_SEND_OPTION_TIMEOUT`: it bounds the beginning
    /// of the cancellation, not its end. If the request ends canceled then, its handler sees `STATUS_IO_TIMEOUT` (R-TGT-60).
    pub const fn with_timeout(mut self, timeout: Timeout) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends; `C` gets the request back when the lower driver has completed it. Stands for `WdfRequestSetCompletionRoutine` and `WdfRequestSend`.
    ///
    /// Runs the lower driver at the caller's IRQL (R-TGT-58); `C` may have run when this returns.
    ///
    /// # Errors
    /// The request comes back, still owned: the target is gone or purged, or the request was canceled before it was sent; with a timeout also
    /// `STATUS_INSUFFICIENT_RESOURCES` (R-TGT-59).
    pub fn send<C: OnDone<K>>(
        self,
        _cx: &Cx<'_, impl CanSend>,
    ) -> Result<Disposition<'r>, SendFailed<'r, K>> {
        // SAFETY: the cell of an owned request (type invariant).
        let state = unsafe { &self.cell.as_ref().state };
        // Before the send: afterwards the request may be gone.
        state.sent();
        self.submit::<C>()
    }

    /// As [`send`](Self::send), with the right to cancel what was sent. The token's reference comes before the send (R-CAN-75).
    ///
    /// # Errors
    /// As there.
    pub fn send_tracked<C: OnDone<K>>(
        self,
        _cx: &Cx<'_, impl CanSend>,
    ) -> Result<(Disposition<'r>, SentToken), SendFailed<'r, K>> {
        // SAFETY: owned: the object exists.
        let Some(reference) = (unsafe { ObjectRef::acquire(self.request.handle().cast()) }) else {
            return Err(SendFailed {
                request: self.request,
                status: Status::INVALID_PARAMETER,
            });
        };
        // SAFETY: the cell of an owned request (type invariant).
        let state = unsafe { &self.cell.as_ref().state };
        let sending = state.sent();
        let gone = self.submit::<C>()?;
        Ok((gone, SentToken::new(reference, sending)))
    }

    /// The state says sent. If the send fails it is idle again.
    fn submit<C: OnDone<K>>(self) -> Result<Disposition<'r>, SendFailed<'r, K>> {
        let options = Options::asynchronous(self.timeout);
        let (target, cell) = (self.target.handle(), self.cell);
        let request = self.request.into_raw();
        // SAFETY: owned; the routine is for this kind, and takes the request's own cell.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestSetCompletionRoutine,
                request,
                Some(evt_request_completion::<K, C>),
                cell.as_ptr().cast()
            );
        }
        // SAFETY: owned, formatted, not cancelable, with a completion routine.
        if unsafe { options.send(request, target) } {
            return Ok(Disposition::gone());
        }
        // SAFETY: not sent: still owned here, and so is its cell.
        let state = unsafe { &cell.as_ref().state };
        state.returned_to_sender();
        // SAFETY: as above.
        Err(unsafe { send_failed(request) })
    }

    /// Sends, waits, and owns the request again. Stands for `WdfRequestSend` with `WDF_REQUEST_SEND_OPTION_SYNCHRONOUS` (R-TGT-62).
    /// `PASSIVE_LEVEL`, in no wait lock.
    ///
    /// After `timeout` the lower driver is asked to give the request up; if it does the status is `STATUS_IO_TIMEOUT` (R-TGT-60). A lower driver
    /// that ignores cancellation is waited for.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_sync(
        self,
        _cx: &mut Cx<'_, impl CanWait + CanSend>,
        timeout: Timeout,
    ) -> Result<(Request<'r, K>, Completion), SendFailed<'r, K>> {
        let (target, cell) = (self.target.handle(), self.cell);
        let request = self.request.into_raw();
        // SAFETY: the cell of an owned request (type invariant).
        let state = unsafe { &cell.as_ref().state };
        state.sent();
        // SAFETY: owned, formatted, not cancelable; PASSIVE_LEVEL by the token.
        let sent = unsafe { Options::synchronous(timeout).send(request, target) };
        // Come back, or never gone: owned here, and so is its cell.
        state.returned_to_sender();
        if !sent {
            // SAFETY: as above.
            return Err(unsafe { send_failed(request) });
        }
        // SAFETY: meaningful after a synchronous send (R-REQ-41).
        let status = unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetStatus, request) };
        // SAFETY: owned.
        let information =
            unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetInformation, request) };
        let completion = Completion::of_sync(Status::from_raw(status), information);
        // SAFETY: owned again, under the same brand.
        Ok((unsafe { Request::present(request) }, completion))
    }

    /// Asks the target for `bytes` at most, if it is a read or write: writes the length of the location just formatted.
    pub fn ask_at_most(self, bytes: u32) -> Self {
        const READ: u8 = 3;
        const WRITE: u8 = 4;
        let request = self.request.handle();
        // SAFETY: owned, so it has an IRP (R-REQ-49).
        let irp = unsafe { call_unsafe_wdf_function_binding!(WdfRequestWdmGetIrp, request) };
        // SAFETY: the IRP of an owned request is valid and has a current stack location.
        let current = unsafe { current_location(irp) };
        // SAFETY: formatted for a device below: its IRP has a location left, in front of the current one (type invariant).
        let next = unsafe { current.sub(1) };
        // SAFETY: in bounds, valid for reads.
        let major = unsafe { (*next).MajorFunction };
        if major == READ || major == WRITE {
            // SAFETY: in bounds; every arm of the union is inside it. Read and write have their length at the same place.
            let parameters = unsafe { &raw mut (*next).Parameters };
            // SAFETY: the arm of a read or write.
            let length = unsafe { &raw mut (*parameters).Read.Length };
            // SAFETY: a field of the location this value may write.
            let asked = unsafe { length.read() };
            // SAFETY: as above.
            unsafe { length.write(asked.min(bytes)) };
        }
        self
    }

    /// The request again, unsent.
    pub fn into_request(self) -> Request<'r, K> {
        self.request
    }
}

unsafe extern "C" fn evt_request_completion<K: Kind, C: OnDone<K>>(
    request: WDFREQUEST,
    _target: WDFIOTARGET,
    parameters: PWDF_REQUEST_COMPLETION_PARAMS,
    context: WDFCONTEXT,
) {
    // SAFETY: `submit` has passed the cell of this very request, which is alive during its completion routine.
    let cell = unsafe { &*context.cast::<Cell>() };
    if cell.state.returned() {
        // Read here, where the handler is known: what it does not ask for costs nothing.
        // SAFETY: the framework passes a structure that is valid during the call.
        let completion = unsafe { Completion::read(parameters) };
        // SAFETY: the routine owns the request again (R-REQ-02), and the device outlives its requests.
        unsafe { run::<K, C>(request, cell.device(), context, completion) };
        return;
    }
    // SAFETY: within the completion routine, after a `returned` that was false.
    unsafe { returned_to_canceller::<K, C>(request, parameters, context) };
}

/// The rest of a completion routine that met a canceller.
///
/// # Safety
/// Within the completion routine, with its arguments, after a `returned` that was false.
#[cold]
#[inline(never)]
unsafe fn returned_to_canceller<K: Kind, C: OnDone<K>>(
    request: WDFREQUEST,
    parameters: PWDF_REQUEST_COMPLETION_PARAMS,
    context: WDFCONTEXT,
) {
    // SAFETY: the cell of this very request (contract).
    let cell = unsafe { &*context.cast::<Cell>() };
    // SAFETY: valid during the completion routine (contract).
    let completion = unsafe { Completion::read(parameters) };
    let leaving = Leaving {
        handler: run::<K, C>,
        device: cell.device(),
        context,
        completion,
    };
    // SAFETY: contract of this function.
    if unsafe { meets_canceller(cell, Some(leaving)) } {
        // SAFETY: the routine owns the request again, and the device outlives its requests.
        unsafe { run::<K, C>(request, cell.device(), context, completion) };
    }
}

/// Gives a request that has come back to `C`.
///
/// # Safety
/// The caller owns the request, of kind `K`, whose cell is at `context`, and which was sent with `C` as handler; `device` is its device, live
/// during the call.
#[expect(
    clippy::inline_always,
    reason = "a handler that does not ask what was completed pays for reading it otherwise: 20 instructions"
)]
#[inline(always)]
unsafe fn run<K: Kind, C: OnDone<K>>(
    request: WDFREQUEST,
    device: WDFDEVICE,
    context: WDFCONTEXT,
    completion: Completion,
) {
    // SAFETY: the cell of an owned request (contract).
    let cell = unsafe { &*context.cast::<Cell>() };
    // SAFETY: the request has not ended; it may in `done`, and its device exists longer (contract).
    let Some(lent) = (unsafe { cell.home::<C::Device>() }) else {
        // SAFETY: contract of this function.
        return unsafe { run_homeless::<K, C>(request, device, completion) };
    };
    cx::enter::<Done, _>(|cx| {
        // SAFETY: owned again, of the kind it was sent as, with its cell; 'r is minted by `done`.
        let request = unsafe { Request::present_with(request, cell) };
        let _gone = C::done(cx, &lent, request, completion);
    });
}

/// [`run`] for a request that was taken from a queue and sent before any handler was given it: the device is asked for its context.
///
/// # Safety
/// As there.
#[cold]
#[inline(never)]
unsafe fn run_homeless<K: Kind, C: OnDone<K>>(
    request: WDFREQUEST,
    device: WDFDEVICE,
    completion: Completion,
) {
    // SAFETY: live during the call (contract).
    let Some(device) = (unsafe { device::borrow::<C::Device>(device) }) else {
        // SAFETY: owned.
        unsafe { finish(request, Status::INTERNAL_ERROR) };
        return;
    };
    cx::enter::<Done, _>(|cx| {
        // SAFETY: owned again, of the kind it was sent as; 'r is minted by `done`.
        let _gone = C::done(
            cx,
            &device,
            unsafe { Request::present(request) },
            completion,
        );
    });
}
