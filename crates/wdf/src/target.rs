//! I/O targets: sending requests to the driver below.
//!
//! A request must be formatted before it is sent with a completion routine; send-and-forget takes an unformatted one
//! (R-TGT-30). After a send that succeeded the request is nobody's in this driver until its completion routine is given it again,
//! which may happen before the sending call returns (R-TGT-51).

use core::ptr::NonNull;

use wdk_sys::{
    PWDF_REQUEST_COMPLETION_PARAMS, WDF_REQUEST_SEND_OPTIONS, WDFCONTEXT, WDFDEVICE, WDFIOTARGET,
    WDFREQUEST, call_unsafe_wdf_function_binding,
};

use crate::{
    Status, context,
    cx::{self, CanComplete, CanSend, Cx, Done, Passive},
    device::{self, Device, DeviceContext},
    object::ObjectRef,
    request::{Cell, Disposition, Kind, Request, finish},
};

/// The default I/O target of a device: the next device of its stack. Holds a reference on its object.
///
/// Invariant: `device` is the address of the device it belongs to: compared, never followed. A target that outlived its device refuses
/// every send (R-TGT-55), so an address that came back does no harm.
pub struct Target {
    object: ObjectRef,
    device: usize,
}

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

/// How the lower driver completed a request. Stands for the `IoStatus` of `WDF_REQUEST_COMPLETION_PARAMS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// Its status.
    pub status: Status,
    /// Its Information.
    pub information: usize,
}

/// A request formatted for one target.
///
/// Invariant: the target is of the request's own device; `cell` is the request's.
#[must_use]
pub struct Formatted<'r, 't, K: Kind> {
    request: Request<'r, K>,
    cell: NonNull<Cell>,
    target: &'t Target,
}

/// A send that did not happen. The request is still owned, unformatted (R-TGT-50).
pub struct SendFailed<'r, K: Kind> {
    /// The request.
    pub request: Request<'r, K>,
    /// Why.
    pub status: Status,
}

impl Target {
    /// # Safety
    /// `handle` is null or the live default target of `device`.
    pub(crate) unsafe fn acquire(handle: WDFIOTARGET, device: WDFDEVICE) -> Option<Self> {
        // SAFETY: contract of this function.
        let object = unsafe { ObjectRef::acquire(handle.cast()) }?;
        Some(Self {
            object,
            device: device.addr(),
        })
    }

    fn handle(&self) -> WDFIOTARGET {
        self.object.raw().cast()
    }

    /// The cell of a request that may go to this target: one of the same device, which has a stack location left for it (R-TGT-33).
    fn takes<K: Kind>(&self, request: &Request<'_, K>) -> Option<NonNull<Cell>> {
        // SAFETY: owned.
        let cell = unsafe { Cell::of(request.handle()) }?;
        // SAFETY: owned.
        unsafe { cell.is_of(request.handle(), self.device) }.then(|| NonNull::from(cell))
    }

    /// Cancels everything sent through this target and refuses further sends, without waiting. Stands for
    /// `WdfIoTargetPurge(WdfIoTargetPurgeIo)` (R-TGT-25). Completion routines may run inside the call: not at surprise removal
    /// (R-CAN-82), not inside a wait lock.
    pub fn purge(&self, _cx: &Cx<'_, impl Passive + CanComplete>) {
        const WITHOUT_WAITING: i32 = wdk_sys::_WDF_IO_TARGET_PURGE_IO_ACTION::WdfIoTargetPurgeIo;
        // SAFETY: referenced; no lock is held (the token).
        unsafe {
            call_unsafe_wdf_function_binding!(WdfIoTargetPurge, self.handle(), WITHOUT_WAITING);
        };
    }
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
        let mut options = WDF_REQUEST_SEND_OPTIONS {
            Size: context::size_u32::<WDF_REQUEST_SEND_OPTIONS>(),
            Flags:
                wdk_sys::_WDF_REQUEST_SEND_OPTIONS_FLAGS::WDF_REQUEST_SEND_OPTION_SEND_AND_FORGET
                    .cast_unsigned(),
            Timeout: 0,
        };
        let request = self.into_raw();
        // SAFETY: owned, not cancelable, not formatted for a target (R-TGT-71); the options are a local.
        let sent = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestSend,
                request,
                target.handle(),
                &raw mut options
            )
        };
        if sent != 0 {
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
    /// Sends; `C` gets the request back when the lower driver has completed it. Stands for `WdfRequestSetCompletionRoutine` and `WdfRequestSend`.
    ///
    /// Runs the lower driver at the caller's IRQL (R-TGT-58); `C` may have run when this returns.
    ///
    /// # Errors
    /// The request comes back, still owned: the target is gone or purged, or the request was canceled before it was sent.
    pub fn send<C: OnDone<K>>(
        self,
        _cx: &Cx<'_, impl CanSend>,
    ) -> Result<Disposition<'r>, SendFailed<'r, K>> {
        let (target, cell) = (self.target.handle(), self.cell);
        let request = self.request.into_raw();
        // SAFETY: owned; the routine is for this kind.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestSetCompletionRoutine,
                request,
                Some(evt_request_completion::<K, C>),
                core::ptr::null_mut()
            );
        }
        // SAFETY: the cell of an owned request (type invariant).
        let state = unsafe { &cell.as_ref().state };
        // Before the send: afterwards the request may be gone.
        state.sent();
        // SAFETY: owned, formatted, not cancelable, with a completion routine.
        let sent = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestSend,
                request,
                target,
                core::ptr::null_mut()
            )
        };
        if sent != 0 {
            return Ok(Disposition::gone());
        }
        // SAFETY: not sent: still owned here, and so is its cell.
        let state = unsafe { &cell.as_ref().state };
        state.idle();
        // SAFETY: as above.
        Err(unsafe { send_failed(request) })
    }

    /// The request again, unsent.
    pub fn into_request(self) -> Request<'r, K> {
        self.request
    }
}

/// `ULONG_PTR` as `usize`: the same width by definition.
#[expect(clippy::cast_possible_truncation, reason = "kernels here are 64-bit")]
const fn information(raw: u64) -> usize {
    raw as usize
}

unsafe extern "C" fn evt_request_completion<K: Kind, C: OnDone<K>>(
    request: WDFREQUEST,
    target: WDFIOTARGET,
    parameters: PWDF_REQUEST_COMPLETION_PARAMS,
    _context: WDFCONTEXT,
) {
    // SAFETY: owned again from here on (R-REQ-02).
    if let Some(cell) = unsafe { Cell::of(request) } {
        cell.state.idle();
    }
    // SAFETY: the framework passes a structure that is valid during the call.
    let io_status = unsafe { (*parameters).IoStatus };
    // SAFETY: plain integer arm of the union; always the status here (R-TGT-86).
    let status = Status::from_raw(unsafe { io_status.__bindgen_anon_1.Status });
    let completion = Completion {
        status,
        information: information(io_status.Information),
    };
    // SAFETY: the target is live during its completion routine.
    let device = unsafe { call_unsafe_wdf_function_binding!(WdfIoTargetGetDevice, target) };
    // SAFETY: the device outlives the requests of its targets.
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
