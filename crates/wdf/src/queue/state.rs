//! Starting, stopping, draining and purging a queue.
//!
//! Three forms each: without a report, with a handler that is called when it is done, and waiting, where the framework may be waited for. Of the
//! latter two, one at a time may be under way on a queue: a second one is a bug check of the framework (R-QUE-80) and is refused here (the rule
//! `ChangeQueueState`). On a queue that has gone with its device nothing is done (R-QUE-81).

use wdk_sys::{PFN_WDF_IO_QUEUE_STATE, WDFCONTEXT, WDFQUEUE, call_unsafe_wdf_function_binding};

use super::Queue;
use crate::{
    Status,
    cx::{self, CanComplete, CanDrain, Cx, Notify},
    device::{self, Device, DeviceContext},
    handler::{self, Stateless},
    object::ObjectRef,
};

/// The change of `queue` that reported its end is over. The next may begin.
///
/// # Safety
/// `queue` exists.
unsafe fn changed(queue: WDFQUEUE) {
    // SAFETY: contract of this function.
    let queue = unsafe { ObjectRef::acquire(queue.cast()) };
    if let Some(life) = queue.as_ref().and_then(ObjectRef::life) {
        life.end_change();
    }
}

unsafe extern "C" fn evt_changed<D: DeviceContext, F>(queue: WDFQUEUE, _context: WDFCONTEXT)
where
    F: Fn(&mut Cx<'_, Notify>, &Device<D>) + Stateless,
{
    // SAFETY: the framework calls with the live queue, once per change (R-QUE-79).
    unsafe { changed(queue) };
    // SAFETY: the queue exists, and so does its device.
    let Some(device) = (unsafe { device::of_queue::<D>(queue) }) else {
        return;
    };
    // SAFETY: handed in by the call that began the change.
    let f: F = unsafe { handler::recall() };
    cx::enter::<Notify, _>(|cx| f(cx, &device));
}

/// `EvtIoQueueState` of a ready notification.
pub(super) unsafe extern "C" fn evt_ready<D: DeviceContext, F>(
    queue: WDFQUEUE,
    _context: WDFCONTEXT,
) where
    F: Fn(&mut Cx<'_, Notify>, &Device<D>) + Stateless,
{
    // SAFETY: the framework calls with the live queue, whose device exists.
    let Some(device) = (unsafe { device::of_queue::<D>(queue) }) else {
        return;
    };
    // SAFETY: handed in by the configuration.
    let f: F = unsafe { handler::recall() };
    cx::enter::<Notify, _>(|cx| f(cx, &device));
}

macro_rules! changes {
    ($(
        $(#[$plain_doc:meta])* $plain:ident $dispatch:ident;
        $(#[$then_doc:meta])* $then:ident;
        $(#[$wait_doc:meta])* $wait:ident $synchronously:ident;
    )*) => { $(
        $(#[$plain_doc])*
        pub fn $plain(&self, _cx: &Cx<'_, impl CanComplete>) {
            if self.object.is_live() {
                // SAFETY: referenced and live; without a handler it conflicts with nothing (R-QUE-80).
                unsafe {
                    call_unsafe_wdf_function_binding!($dispatch, self.handle(), None, core::ptr::null_mut());
                }
            }
        }

        $(#[$then_doc])*
        ///
        /// `then` runs once, perhaps inside this call (R-QUE-79), for the device whose context is a `D`.
        ///
        /// # Errors
        /// `STATUS_DEVICE_BUSY` while another change that reports its end is under way; `STATUS_DELETE_PENDING` if the queue is gone.
        pub fn $then<D: DeviceContext, F>(&self, _cx: &Cx<'_, impl CanComplete>, then: F) -> Result<(), Status>
        where
            F: Fn(&mut Cx<'_, Notify>, &Device<D>) + Stateless,
        {
            handler::hand_in(then);
            self.begin()?;
            let then: PFN_WDF_IO_QUEUE_STATE = Some(evt_changed::<D, F>);
            // SAFETY: referenced and live, no other change reports its end (`begin`).
            unsafe {
                call_unsafe_wdf_function_binding!($dispatch, self.handle(), then, core::ptr::null_mut());
            }
            Ok(())
        }

        $(#[$wait_doc])*
        ///
        /// `PASSIVE_LEVEL`, in a `PnP` callback: a handler that waited for its own queue would wait for ever (R-QUE-83).
        ///
        /// # Errors
        /// As the form with a handler.
        pub fn $wait<P: CanDrain + CanComplete>(&self, _cx: &mut Cx<'_, P>) -> Result<(), Status> {
            self.begin()?;
            // SAFETY: referenced and live, at PASSIVE_LEVEL by `P`, no other change reports its end (`begin`).
            unsafe { call_unsafe_wdf_function_binding!($synchronously, self.handle()) };
            // SAFETY: referenced.
            unsafe { changed(self.handle()) };
            Ok(())
        }
    )* };
}

impl Queue {
    /// Begins a change that will report its end.
    fn begin(&self) -> Result<(), Status> {
        let life = self.object.life().ok_or(Status::DELETE_PENDING)?;
        if life.begin_change() {
            Ok(())
        } else {
            Err(Status::DEVICE_BUSY)
        }
    }

    /// Accepts and delivers. Stands for `WdfIoQueueStart` (R-QUE-72). What waits is delivered inside the call.
    pub fn start(&self, _cx: &Cx<'_, impl CanComplete>) {
        if self.object.is_live() {
            // SAFETY: referenced and live.
            unsafe { call_unsafe_wdf_function_binding!(WdfIoQueueStart, self.handle()) };
        }
    }

    changes! {
        /// Delivers nothing more, without waiting; what arrives waits. Stands for `WdfIoQueueStop` (R-QUE-73).
        stop WdfIoQueueStop;
        /// `WdfIoQueueStop` that tells when the driver owns none of the queue's requests any more (R-QUE-78).
        stop_then;
        /// `WdfIoQueueStopSynchronously`: delivers nothing more, and returns when the driver owns none of the queue's requests any more.
        stop_and_wait WdfIoQueueStopSynchronously;

        /// Refuses what arrives and delivers what waits; without waiting. Stands for `WdfIoQueueDrain` (R-QUE-75).
        drain WdfIoQueueDrain;
        /// `WdfIoQueueDrain` that tells when all its requests have ended (R-QUE-78).
        drain_then;
        /// `WdfIoQueueDrainSynchronously`: refuses what arrives, and returns when all its requests have ended.
        drain_and_wait WdfIoQueueDrainSynchronously;

        /// Cancels what waits, refuses what arrives, and calls the cancel handlers of what is parked; without waiting.
        /// Stands for `WdfIoQueuePurge` (R-QUE-76). Canceled requests reach the queue's handlers inside or after the call.
        purge WdfIoQueuePurge;
        /// `WdfIoQueuePurge` that tells when all its requests have ended (R-QUE-78).
        purge_then;
        /// `WdfIoQueuePurgeSynchronously`: cancels and refuses, and returns when all its requests have ended.
        purge_and_wait WdfIoQueuePurgeSynchronously;

        /// Cancels what waits and delivers nothing more; what arrives waits; without waiting. Stands for `WdfIoQueueStopAndPurge` (R-QUE-74).
        stop_and_purge WdfIoQueueStopAndPurge;
        /// `WdfIoQueueStopAndPurge` that tells when the driver owns none of the queue's requests any more.
        stop_and_purge_then;
        /// `WdfIoQueueStopAndPurgeSynchronously`: as that, and returns when the driver owns none of them any more.
        stop_and_purge_and_wait WdfIoQueueStopAndPurgeSynchronously;
    }

    /// How many requests wait and how many the driver owns. Stands for `WdfIoQueueGetState`. Stale at once; nothing on a queue that is gone.
    #[must_use]
    pub fn counts(&self) -> (u32, u32) {
        let (mut waiting, mut owned) = (0, 0);
        if self.object.is_live() {
            // SAFETY: referenced and live; results are locals. The state bits are not used.
            let _ = unsafe {
                call_unsafe_wdf_function_binding!(
                    WdfIoQueueGetState,
                    self.handle(),
                    &raw mut waiting,
                    &raw mut owned
                )
            };
        }
        (waiting, owned)
    }
}
