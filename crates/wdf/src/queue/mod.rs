//! I/O queues.
//!
//! [`QueueConfig`] says how a queue delivers and to whom; a queue that may own requests cannot be created without a stop handler, and a
//! filter's queue cannot be power-managed (filter rules 7 and 8). [`Queue`] is what the driver keeps of it.
//!
//! | a queue | waiting requests leave it | by |
//! |---|---|---|
//! | parallel, sequential | when fewer are owned than its limit | its handlers |
//! | sequential, manual | when the driver wants them | [`Queue::retrieve_next`], [`Queue::retrieve_next_if`], [`Queue::retrieve_next_of`] |
//! | manual | wherever they stand in it | [`Queue::search`] |
//! | any | canceled, purged, their handle closed | the framework, or its canceled-on-queue handler |
//!
//! | after | accepts | delivers | waiting requests | owned ones |
//! |---|---|---|---|---|
//! | [`start`](Queue::start) | yes | yes | delivered | |
//! | [`stop`](Queue::stop) | yes | no | wait | stay |
//! | [`drain`](Queue::drain) | no | yes | delivered | stay |
//! | [`purge`](Queue::purge) | no | unchanged | canceled | cancel handlers called |
//! | [`stop_and_purge`](Queue::stop_and_purge) | yes | no | canceled | cancel handlers called |
//!
//! Left out: forward progress (`WdfIoQueueAssignForwardProgressPolicy`). It exists for drivers on the paging path, whose reserved requests keep
//! their context from one IRP to the next (R-OBJ-68): a request context here is built anew for every request, and a filter passes paging I/O
//! down before the framework sees it ([`preprocess`](crate::preprocess)).

mod config;
mod dispatching;
mod home;
mod retrieve;
mod search;
mod state;
mod trampolines;

use wdk_sys::{WDFDEVICE, WDFQUEUE, call_unsafe_wdf_function_binding};

pub use self::config::{
    Managed, NoStop, QueueConfig, Serves, Stoppable, Unmanaged, wait_for_the_owner,
};
pub(crate) use self::home::device as device_of;
pub use self::{
    dispatching::Dispatched,
    retrieve::Retrieved,
    search::{Found, FoundKind, Hit, Search},
};
use crate::{
    Status,
    cx::{CanComplete, Cx},
    object::ObjectRef,
    request::{Cell, Disposition, Kind, Request},
};

/// A queue. Holds a reference on its object.
///
/// Invariant: `device` is the address of the device it belongs to: compared, never followed.
pub struct Queue {
    object: ObjectRef,
    device: usize,
}

impl Queue {
    /// # Safety
    /// `handle` is null or a live queue of `device`.
    pub(crate) unsafe fn acquire(handle: WDFQUEUE, device: WDFDEVICE) -> Option<Self> {
        // SAFETY: contract of this function.
        let object = unsafe { ObjectRef::acquire(handle.cast()) }?;
        Some(Self {
            object,
            device: device.addr(),
        })
    }

    pub(crate) fn handle(&self) -> WDFQUEUE {
        self.object.raw().cast()
    }
}

impl<'r, K: Kind> Request<'r, K> {
    /// Puts the request at the tail of another queue of the same device. Stands for `WdfRequestForwardToIoQueue` (R-REQ-85).
    /// The queue's handlers may run, and complete it, inside the call (R-QUE-49).
    ///
    /// # Errors
    /// The request comes back, still owned: `STATUS_WDF_BUSY` if the queue does not accept (R-REQ-86);
    /// `STATUS_INVALID_DEVICE_REQUEST` if it is another device's or the one the request is in (R-REQ-87: unchecked without the verifier).
    pub fn forward(
        self,
        _cx: &Cx<'_, impl CanComplete>,
        queue: &Queue,
    ) -> Result<Disposition<'r>, (Self, Status)> {
        // SAFETY: owned.
        let cell = unsafe { Cell::of(self.handle()) };
        // SAFETY: owned.
        let ours = cell.is_some_and(|cell| unsafe { cell.is_of(self.handle(), queue.device) });
        // SAFETY: owned.
        let from =
            unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetIoQueue, self.handle()) };
        if !ours || from == queue.handle() {
            return Err((self, Status::INVALID_DEVICE_REQUEST));
        }
        let request = self.into_raw();
        // SAFETY: owned and not cancelable; the queue is referenced, another one, and of the same device (checked above).
        let status = unsafe {
            call_unsafe_wdf_function_binding!(WdfRequestForwardToIoQueue, request, queue.handle())
        };
        match Status::from_raw(status).ok() {
            Ok(()) => Ok(Disposition::gone()),
            // SAFETY: a failed hand-over leaves ownership here (R-REQ-05), under the same brand.
            Err(status) => Err((unsafe { Request::present(request) }, status)),
        }
    }

    /// Puts the request back at the head of the manual queue it came from. Stands for `WdfRequestRequeue` (R-REQ-82).
    ///
    /// # Errors
    /// The request comes back, still owned, if its queue is not manual (R-REQ-80).
    pub fn requeue(
        self,
        _cx: &Cx<'_, impl CanComplete>,
    ) -> Result<Disposition<'r>, (Self, Status)> {
        let request = self.into_raw();
        // SAFETY: owned and not cancelable.
        let status = unsafe { call_unsafe_wdf_function_binding!(WdfRequestRequeue, request) };
        match Status::from_raw(status).ok() {
            Ok(()) => Ok(Disposition::gone()),
            // SAFETY: as above.
            Err(status) => Err((unsafe { Request::present(request) }, status)),
        }
    }
}
