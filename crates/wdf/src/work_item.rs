//! Work items: a callback at `PASSIVE_LEVEL` for code that is above it.

use wdk_sys::{WDF_WORKITEM_CONFIG, WDFWORKITEM, call_unsafe_wdf_function_binding};

use crate::{
    Status, context,
    cx::{self, CanDrain, Cx, Passive, Work},
    device::{self, Device, DeviceContext, NewDevice},
    handler::{self, Stateless},
    object::{self, ObjectRef},
};

/// A work item of a device. Stands for `WDFWORKITEM`. Deleted with the device, after a running callback has returned (R-DEV-87).
pub struct WorkItem(ObjectRef);

impl WorkItem {
    /// `WdfWorkItemCreate` with the device as parent, not serialised with its queues.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new<D: DeviceContext, R, F>(
        _cx: &Cx<'_, impl Passive>,
        device: &NewDevice<'_, D, R>,
        work: F,
    ) -> Result<Self, Status>
    where
        F: Fn(&mut Cx<'_, Work>, &Device<D>) + Stateless,
    {
        handler::hand_in(work);
        let mut config = WDF_WORKITEM_CONFIG {
            Size: context::size_u32::<WDF_WORKITEM_CONFIG>(),
            EvtWorkItemFunc: Some(evt_work_item::<D, F>),
            ..WDF_WORKITEM_CONFIG::default()
        };
        let mut attributes = object::attributes(device.handle().cast());
        let mut item: WDFWORKITEM = core::ptr::null_mut();
        // SAFETY: all pointers are to locals; the parent exists.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfWorkItemCreate,
                &raw mut config,
                &raw mut attributes,
                &raw mut item
            )
        };
        Status::from_raw(status).ok()?;
        // SAFETY: just created.
        unsafe { ObjectRef::acquire(item.cast()) }
            .map(Self)
            .ok_or(Status::INSUFFICIENT_RESOURCES)
    }

    /// Runs the callback soon; nothing if that is settled already. Stands for `WdfWorkItemEnqueue`. IRQL <= `DISPATCH_LEVEL`, also under a lock.
    ///
    /// Enqueued again while its callback runs, a second run may overlap the first (R-DEV-85).
    pub fn enqueue(&self) {
        if self.0.is_live() {
            // SAFETY: referenced and live.
            unsafe { call_unsafe_wdf_function_binding!(WdfWorkItemEnqueue, self.0.raw().cast()) };
        }
    }

    /// Waits until every run asked for so far has returned. Stands for `WdfWorkItemFlush`, `PASSIVE_LEVEL`; the place rules out that it is
    /// called by the work item's own callback (R-DEV-85).
    pub fn flush(&self, _cx: &mut Cx<'_, impl CanDrain>) {
        if self.0.is_live() {
            // SAFETY: referenced and live; PASSIVE_LEVEL, not in a work item's callback (the token).
            unsafe { call_unsafe_wdf_function_binding!(WdfWorkItemFlush, self.0.raw().cast()) };
        }
    }
}

unsafe extern "C" fn evt_work_item<D: DeviceContext, F>(item: WDFWORKITEM)
where
    F: Fn(&mut Cx<'_, Work>, &Device<D>) + Stateless,
{
    // SAFETY: the item is live during its callback, and so is its parent (R-DEV-88).
    let parent = unsafe { call_unsafe_wdf_function_binding!(WdfWorkItemGetParentObject, item) };
    // SAFETY: the parent given at creation is a device.
    let Some(device) = (unsafe { device::borrow::<D>(parent.cast()) }) else {
        return;
    };
    // SAFETY: `new` was given an F.
    let work: F = unsafe { handler::recall() };
    cx::enter::<Work, _>(|cx| work(cx, &device));
}
