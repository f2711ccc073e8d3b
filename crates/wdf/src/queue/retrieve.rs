//! Taking requests out of manual and sequential queues.

use wdk_sys::{WDFREQUEST, call_unsafe_wdf_function_binding};

use super::Queue;
use crate::{
    Status,
    cx::{CanComplete, Cx},
    object::ObjectRef,
    request::{Any, Disposition, Request, RequestContext, request_context},
};

/// A waiting request somebody looks at without owning it. Stands for the result of `WdfIoQueueFindRequest` (R-QUE-97).
///
/// Invariant: `request` is referenced for as long as this value exists; nothing but its context is looked at.
pub struct Found {
    request: ObjectRef,
}

impl Found {
    /// The driver's context on it.
    #[must_use]
    pub fn context<T: RequestContext>(&self) -> Option<&T> {
        // SAFETY: referenced: context access is legal (R-OBJ-70).
        unsafe { request_context::<T>(self.request.raw().cast()) }
    }
}

/// What became of an attempt to take the first request of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retrieved {
    /// One was taken and disposed of.
    Done,
    /// The first one is not wanted yet.
    NotYet,
    /// Nothing waits.
    Empty,
}

impl Queue {
    /// Takes the first waiting request and gives it to `f`; false if there is none. Stands for `WdfIoQueueRetrieveNextRequest`.
    ///
    /// # Errors
    /// `STATUS_WDF_PAUSED` while the queue does not deliver; `STATUS_INVALID_DEVICE_STATE` on a parallel queue (R-QUE-90, R-QUE-92).
    pub fn retrieve_next<P: CanComplete>(
        &self,
        cx: &mut Cx<'_, P>,
        f: impl for<'r> FnOnce(&mut Cx<'_, P>, Request<'r, Any>) -> Disposition<'r>,
    ) -> Result<bool, Status> {
        let mut request: WDFREQUEST = core::ptr::null_mut();
        // SAFETY: referenced; the result is a local.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfIoQueueRetrieveNextRequest,
                self.handle(),
                &raw mut request
            )
        };
        match Status::from_raw(status) {
            Status::NO_MORE_ENTRIES => Ok(false),
            status => {
                status.ok()?;
                // SAFETY: owned since this retrieval (R-QUE-95); presented before it was put into a manual queue, or by this call,
                // in which case its context is built when a handler first sees it.
                let _gone = f(cx, unsafe { Request::present(request) });
                Ok(true)
            }
        }
    }

    /// Takes the first waiting request of a manual queue if `wanted` says so, and gives it to `f`.
    /// Stands for `WdfIoQueueFindRequest` and `WdfIoQueueRetrieveFoundRequest`: a request that is not wanted stays where it is, and where
    /// its handle's clean-up finds it (R-CAN-60).
    ///
    /// # Errors
    /// As [`retrieve_next`](Self::retrieve_next).
    pub fn retrieve_next_if<P: CanComplete>(
        &self,
        cx: &mut Cx<'_, P>,
        wanted: impl Fn(&Found) -> bool,
        f: impl for<'r> FnOnce(&mut Cx<'_, P>, Request<'r, Any>) -> Disposition<'r>,
    ) -> Result<Retrieved, Status> {
        loop {
            let mut found: WDFREQUEST = core::ptr::null_mut();
            // SAFETY: referenced; from the head, of any file, without parameters (R-QUE-96).
            let status = unsafe {
                call_unsafe_wdf_function_binding!(
                    WdfIoQueueFindRequest,
                    self.handle(),
                    core::ptr::null_mut(),
                    core::ptr::null_mut(),
                    core::ptr::null_mut(),
                    &raw mut found
                )
            };
            match Status::from_raw(status) {
                Status::NO_MORE_ENTRIES => return Ok(Retrieved::Empty),
                status => status.ok()?,
            }
            let Some(handle) = core::ptr::NonNull::new(found) else {
                return Ok(Retrieved::Empty);
            };
            // SAFETY: finding took a reference for us (R-QUE-96); dropped below in every case.
            let request = unsafe { ObjectRef::adopt(handle.cast()) };
            let found = Found { request };
            if !wanted(&found) {
                return Ok(Retrieved::NotYet);
            }
            let mut request: WDFREQUEST = core::ptr::null_mut();
            // SAFETY: both referenced; the result is a local.
            let status = unsafe {
                call_unsafe_wdf_function_binding!(
                    WdfIoQueueRetrieveFoundRequest,
                    self.handle(),
                    found.request.raw().cast(),
                    &raw mut request
                )
            };
            drop(found);
            match Status::from_raw(status) {
                // It left the queue meanwhile: look again.
                Status::NOT_FOUND => {}
                status => {
                    status.ok()?;
                    // SAFETY: owned since this retrieval (R-QUE-99).
                    let _gone = f(cx, unsafe { Request::present(request) });
                    return Ok(Retrieved::Done);
                }
            }
        }
    }
}
