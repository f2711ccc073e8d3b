//! DPCs: a callback at `DISPATCH_LEVEL`, soon, on this processor.

use wdk_sys::{WDF_DPC_CONFIG, WDFDPC, call_unsafe_wdf_function_binding};

use crate::{
    Status, context,
    cx::{self, CanDrain, Cx, DpcCall, Passive},
    device::{self, Device, DeviceContext, NewDevice},
    handler::{self, Stateless},
    object::{self, ObjectRef},
};

/// A DPC of a device. Stands for `WDFDPC`. Deleted with the device, after a running callback has returned (R-DEV-87); nothing happens to one that
/// is kept longer.
pub struct Dpc(ObjectRef);

impl Dpc {
    /// `WdfDpcCreate` with the device as parent, not serialised with its queues.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new<D: DeviceContext, R, F>(
        _cx: &Cx<'_, impl Passive>,
        device: &NewDevice<'_, D, R>,
        call: F,
    ) -> Result<Self, Status>
    where
        F: Fn(&mut Cx<'_, DpcCall>, &Device<D>) + Stateless,
    {
        handler::hand_in(call);
        let mut config = WDF_DPC_CONFIG {
            Size: context::size_u32::<WDF_DPC_CONFIG>(),
            EvtDpcFunc: Some(evt_dpc::<D, F>),
            ..WDF_DPC_CONFIG::default()
        };
        let mut attributes = object::attributes(device.handle().cast());
        let mut dpc: WDFDPC = core::ptr::null_mut();
        // SAFETY: all pointers are to locals; the parent exists.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDpcCreate,
                &raw mut config,
                &raw mut attributes,
                &raw mut dpc
            )
        };
        Status::from_raw(status).ok()?;
        // SAFETY: just created.
        unsafe { ObjectRef::acquire(dpc.cast()) }
            .map(Self)
            .ok_or(Status::INSUFFICIENT_RESOURCES)
    }

    /// Runs the callback soon; nothing if that is settled already. Stands for `WdfDpcEnqueue` (R-DEV-86). Any IRQL of the places, also under a lock.
    pub fn enqueue(&self) {
        if self.0.is_live() {
            // SAFETY: referenced and live. Whether it was queued before does not matter here.
            let _ =
                unsafe { call_unsafe_wdf_function_binding!(WdfDpcEnqueue, self.0.raw().cast()) };
        }
    }

    /// Takes back what was asked for; true if it had not begun. Stands for `WdfDpcCancel(FALSE)`.
    #[must_use]
    pub fn cancel(&self) -> bool {
        if !self.0.is_live() {
            return false;
        }
        // SAFETY: referenced and live; not waiting is legal at IRQL <= DISPATCH_LEVEL.
        let taken =
            unsafe { call_unsafe_wdf_function_binding!(WdfDpcCancel, self.0.raw().cast(), 0) };
        taken != 0
    }

    /// Takes back what was asked for, or waits until it has run. Stands for `WdfDpcCancel(TRUE)`, `PASSIVE_LEVEL`.
    pub fn cancel_and_wait(&self, _cx: &mut Cx<'_, impl CanDrain>) {
        if self.0.is_live() {
            // SAFETY: referenced and live; PASSIVE_LEVEL (the token).
            let _ =
                unsafe { call_unsafe_wdf_function_binding!(WdfDpcCancel, self.0.raw().cast(), 1) };
        }
    }
}

unsafe extern "C" fn evt_dpc<D: DeviceContext, F>(dpc: WDFDPC)
where
    F: Fn(&mut Cx<'_, DpcCall>, &Device<D>) + Stateless,
{
    // SAFETY: the DPC is live during its callback, and so is its parent (R-DEV-88).
    let parent = unsafe { call_unsafe_wdf_function_binding!(WdfDpcGetParentObject, dpc) };
    // SAFETY: the parent given at creation is a device.
    let Some(device) = (unsafe { device::borrow::<D>(parent.cast()) }) else {
        return;
    };
    // SAFETY: `new` was given an F.
    let call: F = unsafe { handler::recall() };
    cx::enter::<DpcCall, _>(|cx| call(cx, &device));
}
