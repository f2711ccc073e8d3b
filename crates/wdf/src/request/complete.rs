//! Completing: the end of every I/O request.

use core::{
    mem::ManuallyDrop,
    sync::atomic::{AtomicU32, Ordering},
};

use wdk_sys::{WDFREQUEST, call_unsafe_wdf_function_binding};

use super::{Canceled, Disposition, Kind, Read, Request, Write, Written};
use crate::{
    FinalStatus, Status,
    cx::{CanComplete, Cx},
};

/// Requests a safety net had to complete since the driver was loaded. Anything but 0 is a bug of the driver.
static FAULTS: AtomicU32 = AtomicU32::new(0);

/// How many requests had to be completed by a safety net since the driver was loaded: dropped by a driver, or presented on an
/// object whose context was not installed.
#[must_use]
pub fn faults() -> u32 {
    FAULTS.load(Ordering::Relaxed)
}

/// What a thread that waited for a request gains in priority. The values are those of `wdm.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriorityBoost(i8);

impl PriorityBoost {
    /// `IO_NO_INCREMENT`: the request was answered at once.
    pub const NONE: Self = Self(0);
    /// `IO_DISK_INCREMENT`, also that of parallel ports, video and CD-ROM.
    pub const DISK: Self = Self(1);
    /// `IO_NETWORK_INCREMENT`, also that of serial ports, mailslots and named pipes.
    pub const NETWORK: Self = Self(2);
    /// `IO_KEYBOARD_INCREMENT`, also that of the mouse.
    pub const KEYBOARD: Self = Self(6);
    /// `IO_SOUND_INCREMENT`.
    pub const SOUND: Self = Self(8);

    /// Any increment up to the highest of `wdm.h`, that of sound.
    #[must_use]
    pub fn new(increment: u32) -> Option<Self> {
        let increment = i8::try_from(increment).ok()?;
        (increment <= Self::SOUND.0).then_some(Self(increment))
    }
}

/// `WdfRequestComplete`: Information stays what it is (R-REQ-10).
///
/// # Safety
/// The caller owns the request, it is not cancelable, and it gives the ownership up.
unsafe fn complete(request: WDFREQUEST, status: FinalStatus) {
    // SAFETY: contract of this function.
    unsafe {
        call_unsafe_wdf_function_binding!(WdfRequestComplete, request, status.status().raw());
    };
}

/// `WdfRequestCompleteWithInformation` (R-REQ-11).
///
/// # Safety
/// As [`complete`], and a success with `information` does not claim more than the requestor's buffer (R-REQ-16).
unsafe fn complete_with(request: WDFREQUEST, status: FinalStatus, information: usize) {
    // SAFETY: contract of this function.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfRequestCompleteWithInformation,
            request,
            status.status().raw(),
            information as u64
        );
    }
}

/// `WdfRequestSetInformation`.
///
/// # Safety
/// The caller owns the request; `information` does not claim more than the requestor's buffer (R-REQ-16).
unsafe fn set_information(request: WDFREQUEST, information: usize) {
    // SAFETY: contract of this function.
    unsafe {
        call_unsafe_wdf_function_binding!(WdfRequestSetInformation, request, information as u64);
    }
}

/// [`complete_with`] for a request whose buffer is initialised throughout.
///
/// # Safety
/// As [`complete_with`].
pub(super) unsafe fn complete_counted(
    request: WDFREQUEST,
    status: FinalStatus,
    information: usize,
) {
    // SAFETY: contract of this function.
    unsafe { complete_with(request, status, information) };
}

/// The net: ends a request nobody else will, and counts it.
///
/// # Safety
/// As [`complete`].
pub(crate) unsafe fn finish(request: WDFREQUEST, status: Status) {
    FAULTS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: contract of this function.
    unsafe { complete_with(request, status.into(), 0) };
}

impl<'r, K: Kind> Request<'r, K> {
    /// `WdfRequestComplete`. The request is gone when this returns; its Information is what a lower driver left there, or 0 (R-REQ-89).
    ///
    /// Upper drivers' completion code runs inside the call (R-REQ-20); the token proves that no lock is held.
    pub fn complete(
        self,
        _cx: &Cx<'_, impl CanComplete>,
        status: impl Into<FinalStatus>,
    ) -> Disposition<'r> {
        // SAFETY: owned and not cancelable by the type's invariant; `self` ends here.
        unsafe { complete(self.into_raw(), status.into()) };
        Disposition::gone()
    }

    /// `WdfRequestCompleteWithPriorityBoost`: as [`complete`](Self::complete), and the thread that waits gets `boost` (R-REQ-12).
    pub fn complete_with_boost(
        self,
        _cx: &Cx<'_, impl CanComplete>,
        status: impl Into<FinalStatus>,
        boost: PriorityBoost,
    ) -> Disposition<'r> {
        let request = self.into_raw();
        let status = status.into().status().raw();
        // SAFETY: owned and not cancelable by the type's invariant; `self` has ended.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfRequestCompleteWithPriorityBoost,
                request,
                status,
                boost.0
            );
        };
        Disposition::gone()
    }

    /// Notes what was written as the request's Information, for a completion that takes none. Stands for `WdfRequestSetInformation`.
    /// Ownership stays with the caller.
    #[expect(clippy::needless_pass_by_value, reason = "an amount is claimed once")]
    pub fn set_written(&mut self, written: Written<'r>) {
        // SAFETY: owned; `written` was counted inside the output buffer of this very request ('r), so it may be claimed (R-REQ-16).
        unsafe { set_information(self.handle(), written.bytes()) };
    }

    /// `WdfRequestComplete` with success and the Information that was written, which cannot exceed the buffer (R-REQ-16).
    #[expect(clippy::needless_pass_by_value, reason = "an amount is claimed once")]
    pub fn complete_written(
        self,
        _cx: &Cx<'_, impl CanComplete>,
        written: Written<'r>,
    ) -> Disposition<'r> {
        // SAFETY: owned; `written` was counted inside the output buffer of this very request ('r).
        unsafe { complete_with(self.into_raw(), Status::SUCCESS.into(), written.bytes()) };
        Disposition::gone()
    }

    /// Completes and tells the requestor of `bytes` at most, where the lower driver left more in Information.
    /// Stands for `WdfRequestGetInformation` and `WdfRequestCompleteWithInformation`.
    pub fn complete_at_most(
        self,
        _cx: &Cx<'_, impl CanComplete>,
        status: impl Into<FinalStatus>,
        bytes: usize,
    ) -> Disposition<'r> {
        // SAFETY: owned.
        let left =
            unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetInformation, self.handle()) };
        let information = usize::try_from(left).map_or(bytes, |left| left.min(bytes));
        // SAFETY: owned; no more is claimed than the lower driver claimed.
        unsafe { complete_with(self.into_raw(), status.into(), information) };
        Disposition::gone()
    }

    /// `WdfRequestCompleteWithInformation` with Information 0.
    pub fn complete_empty(
        self,
        _cx: &Cx<'_, impl CanComplete>,
        status: impl Into<FinalStatus>,
    ) -> Disposition<'r> {
        // SAFETY: owned; nothing is claimed.
        unsafe { complete_with(self.into_raw(), status.into(), 0) };
        Disposition::gone()
    }

    /// Runs `f`; if it fails, completes the request with its status and Information 0.
    ///
    /// # Errors
    /// The disposition of the completed request.
    pub fn try_with<T>(
        mut self,
        cx: &Cx<'_, impl CanComplete>,
        f: impl FnOnce(&mut Self) -> Result<T, Status>,
    ) -> Result<(Self, T), Disposition<'r>> {
        match f(&mut self) {
            Ok(value) => Ok((self, value)),
            Err(status) => Err(self.complete_empty(cx, status)),
        }
    }
}

impl Request<'_, Write> {
    /// Notes how many bytes were taken as the request's Information; more than it carries counts as all of it. Stands for
    /// `WdfRequestSetInformation`. Ownership stays with the caller.
    pub fn set_taken(&mut self, bytes: usize) {
        let bytes = bytes.min(self.parameters().length);
        // SAFETY: owned; at most the write's own length is claimed.
        unsafe { set_information(self.handle(), bytes) };
    }
}

impl<'r> Request<'r, Write> {
    /// Completes with success after `bytes` of the data were taken; more than the request carried counts as all of it.
    pub fn complete_taken(self, cx: &Cx<'_, impl CanComplete>, bytes: usize) -> Disposition<'r> {
        let bytes = bytes.min(self.parameters().length);
        let _: &Cx<'_, _> = cx;
        // SAFETY: owned; at most the write's own length is claimed.
        unsafe { complete_with(self.into_raw(), Status::SUCCESS.into(), bytes) };
        Disposition::gone()
    }
}

impl<'r> Request<'r, Read> {
    /// Completes with success and nothing read.
    pub fn complete_nothing(self, cx: &Cx<'_, impl CanComplete>) -> Disposition<'r> {
        self.complete_empty(cx, Status::SUCCESS)
    }
}

impl<'r> Request<'r, super::Ioctl> {
    /// Completes with success and an Information of the driver's choice, cut to the length of the output buffer (R-REQ-16).
    ///
    /// `METHOD_BUFFERED` gets 0: there Information is what the system copies to the requestor, and bytes nobody wrote are uninitialised pool
    /// (R-REQ-66). [`complete_written`](Self::complete_written) says what was written.
    pub fn complete_counted(
        self,
        cx: &Cx<'_, impl CanComplete>,
        information: usize,
    ) -> Disposition<'r> {
        const BUFFERED: u32 = 0;
        let parameters = self.parameters();
        let information = if parameters.code & 3 == BUFFERED {
            0
        } else {
            information.min(parameters.output)
        };
        let _: &Cx<'_, _> = cx;
        // SAFETY: owned; at most the output length is claimed.
        unsafe { complete_with(self.into_raw(), Status::SUCCESS.into(), information) };
        Disposition::gone()
    }
}

impl<'r, K: Kind> Canceled<'r, K> {
    /// `WdfRequestCompleteWithInformation` with Information 0, normally with `STATUS_CANCELLED` (R-CAN-47).
    pub fn complete(
        self,
        _cx: &Cx<'_, impl CanComplete>,
        status: impl Into<FinalStatus>,
    ) -> Disposition<'r> {
        let request = ManuallyDrop::new(self).handle;
        // SAFETY: owned and no longer cancelable by the type's invariant; `self` ended.
        unsafe { complete_with(request, status.into(), 0) };
        Disposition::gone()
    }
}

impl<K: Kind> Drop for Request<'_, K> {
    fn drop(&mut self) {
        // SAFETY: owned and not cancelable (type invariant); legal at IRQL <= DISPATCH_LEVEL (R-REQ-13).
        unsafe { finish(self.handle, Status::UNSUCCESSFUL) };
    }
}

impl<K: Kind> Drop for Canceled<'_, K> {
    fn drop(&mut self) {
        // SAFETY: as for Request.
        unsafe { finish(self.handle, Status::CANCELLED) };
    }
}
