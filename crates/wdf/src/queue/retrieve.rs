//! Taking requests out of manual and sequential queues.

use wdk_sys::{WDFREQUEST, call_unsafe_wdf_function_binding};

use super::{
    Queue,
    search::{Found, file_of, find, retrieve_found},
};
use crate::{
    Status,
    cx::{CanComplete, Cx},
    request::{Any, Disposition, Owned, Request},
};

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

/// Gives what a retrieving call returned to `f`; false if nothing waits.
///
/// # Safety
/// `status` and `request` are what a retrieving call has just returned.
unsafe fn present<P: CanComplete>(
    cx: &mut Cx<'_, P>,
    status: Status,
    request: WDFREQUEST,
    f: impl for<'r> FnOnce(&mut Cx<'_, P>, Request<'r, Any>) -> Disposition<'r>,
) -> Result<bool, Status> {
    match status {
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

impl Queue {
    /// Takes the first waiting request and gives it to `f`; false if there is none. Stands for `WdfIoQueueRetrieveNextRequest`.
    ///
    /// # Errors
    /// `STATUS_WDF_PAUSED` while the queue does not deliver; `STATUS_INVALID_DEVICE_STATE` on a parallel queue (R-QUE-90, R-QUE-92);
    /// `STATUS_DELETE_PENDING` if the queue is gone.
    pub fn retrieve_next<P: CanComplete>(
        &self,
        cx: &mut Cx<'_, P>,
        f: impl for<'r> FnOnce(&mut Cx<'_, P>, Request<'r, Any>) -> Disposition<'r>,
    ) -> Result<bool, Status> {
        if !self.object.is_live() {
            return Err(Status::DELETE_PENDING);
        }
        let mut request: WDFREQUEST = core::ptr::null_mut();
        // SAFETY: referenced and live; the result is a local.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfIoQueueRetrieveNextRequest,
                self.handle(),
                &raw mut request
            )
        };
        // SAFETY: of the call above.
        unsafe { present(cx, Status::from_raw(status), request, f) }
    }

    /// Takes the first request that waits on behalf of the open instance `of` came through, and gives it to `f`; false if there is none.
    /// Stands for `WdfIoQueueRetrieveRequestByFileObject`.
    ///
    /// # Errors
    /// As [`retrieve_next`](Self::retrieve_next), and `STATUS_INVALID_PARAMETER` if `of` has no framework file object.
    pub fn retrieve_next_of<P: CanComplete>(
        &self,
        cx: &mut Cx<'_, P>,
        of: &impl Owned,
        f: impl for<'r> FnOnce(&mut Cx<'_, P>, Request<'r, Any>) -> Disposition<'r>,
    ) -> Result<bool, Status> {
        let file = file_of(of)?;
        if !self.object.is_live() {
            return Err(Status::DELETE_PENDING);
        }
        let mut request: WDFREQUEST = core::ptr::null_mut();
        // SAFETY: referenced and live; the file object lives as long as `of`; the result is a local.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfIoQueueRetrieveRequestByFileObject,
                self.handle(),
                file,
                &raw mut request
            )
        };
        // SAFETY: of the call above.
        unsafe { present(cx, Status::from_raw(status), request, f) }
    }

    /// Takes the first waiting request of a manual queue that `wanted` says yes to, wherever it waits, and gives it to `f`; false if there
    /// is none. Stands for `WdfIoQueueFindRequest`, each request found being the tag of the next search, and
    /// `WdfIoQueueRetrieveFoundRequest`.
    ///
    /// `wanted` is asked in the order of arrival. When a request it has seen leaves the queue meanwhile, the search begins anew and asks
    /// again (R-QUE-98).
    ///
    /// # Errors
    /// As [`retrieve_next`](Self::retrieve_next).
    pub fn retrieve_first<P: CanComplete>(
        &self,
        cx: &mut Cx<'_, P>,
        mut wanted: impl FnMut(&Found) -> bool,
        f: impl for<'r> FnOnce(&mut Cx<'_, P>, Request<'r, Any>) -> Disposition<'r>,
    ) -> Result<bool, Status> {
        let mut last: Option<Found> = None;
        loop {
            // SAFETY: of any open instance.
            let found = match unsafe { find(self, last.as_ref(), core::ptr::null_mut()) } {
                // The request the walk stood at has left the queue: from the head again (R-QUE-98).
                Err(Status::NOT_FOUND) if last.is_some() => {
                    last = None;
                    continue;
                }
                found => found?,
            };
            let Some(found) = found else {
                return Ok(false);
            };
            if !wanted(&found) {
                last = Some(found);
                continue;
            }
            let Some(request) = retrieve_found(self, &found)? else {
                // It left the queue meanwhile: look again.
                last = None;
                continue;
            };
            drop(found);
            // SAFETY: owned since this retrieval (R-QUE-99).
            let _gone = f(cx, unsafe { Request::present(request) });
            return Ok(true);
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
            // SAFETY: of any file object.
            let Some(found) = (unsafe { find(self, None, core::ptr::null_mut()) })? else {
                return Ok(Retrieved::Empty);
            };
            if !wanted(&found) {
                return Ok(Retrieved::NotYet);
            }
            // None: it left the queue meanwhile; look again.
            if let Some(request) = retrieve_found(self, &found)? {
                drop(found);
                // SAFETY: owned since this retrieval (R-QUE-99).
                let _gone = f(cx, unsafe { Request::present(request) });
                return Ok(Retrieved::Done);
            }
        }
    }
}
