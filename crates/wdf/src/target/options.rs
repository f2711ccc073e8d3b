//! How a request is sent.

use core::num::NonZeroU32;

use wdk_sys::{
    _WDF_REQUEST_SEND_OPTIONS_FLAGS::{
        WDF_REQUEST_SEND_OPTION_SEND_AND_FORGET, WDF_REQUEST_SEND_OPTION_SYNCHRONOUS,
        WDF_REQUEST_SEND_OPTION_TIMEOUT,
    },
    WDF_REQUEST_SEND_OPTIONS, WDFIOTARGET, WDFREQUEST, call_unsafe_wdf_function_binding,
};

use crate::context;

/// How long a send may take before its cancellation begins: never nothing, which the framework would take for "for ever" (R-TGT-59).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout(NonZeroU32);

impl Timeout {
    /// From milliseconds.
    #[must_use]
    pub const fn milliseconds(milliseconds: NonZeroU32) -> Self {
        Self(milliseconds)
    }

    /// From seconds; at most what milliseconds can count.
    #[must_use]
    pub const fn seconds(seconds: NonZeroU32) -> Self {
        const MILLISECONDS: NonZeroU32 = match NonZeroU32::new(1000) {
            Some(thousand) => thousand,
            None => NonZeroU32::MIN,
        };
        Self(seconds.saturating_mul(MILLISECONDS))
    }

    /// In units of 100 ns, negative: relative.
    const fn relative(self) -> i64 {
        (self.0.get() as i64).saturating_mul(-10_000)
    }
}

/// `WDF_REQUEST_SEND_OPTIONS`, or none of them.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    flags: i32,
    timeout: i64,
}

impl Options {
    pub(super) const SEND_AND_FORGET: Self = Self {
        flags: WDF_REQUEST_SEND_OPTION_SEND_AND_FORGET,
        timeout: 0,
    };

    /// Wait, but not for ever.
    pub(crate) const fn synchronous(timeout: Timeout) -> Self {
        Self {
            flags: WDF_REQUEST_SEND_OPTION_SYNCHRONOUS | WDF_REQUEST_SEND_OPTION_TIMEOUT,
            timeout: timeout.relative(),
        }
    }

    /// Do not wait.
    #[inline]
    pub(crate) const fn asynchronous(timeout: Option<Timeout>) -> Self {
        match timeout {
            Some(timeout) => Self {
                flags: WDF_REQUEST_SEND_OPTION_TIMEOUT,
                timeout: timeout.relative(),
            },
            None => Self {
                flags: 0,
                timeout: 0,
            },
        }
    }

    /// `WdfRequestSend`: whether the request was handed over.
    ///
    /// # Safety
    /// The caller owns the request, which is not cancelable: formatted for the target, and with a completion routine if these options are
    /// asynchronous; unformatted if they forget it; at `PASSIVE_LEVEL` if they wait. If this is true, and nobody waited, the caller
    /// owns it no longer. The target is live.
    #[inline]
    pub(crate) unsafe fn send(self, request: WDFREQUEST, target: WDFIOTARGET) -> bool {
        let mut options = WDF_REQUEST_SEND_OPTIONS {
            Size: context::size_u32::<WDF_REQUEST_SEND_OPTIONS>(),
            Flags: self.flags.cast_unsigned(),
            Timeout: self.timeout,
        };
        let options = if self.flags == 0 {
            core::ptr::null_mut()
        } else {
            &raw mut options
        };
        // SAFETY: contract of this function; the options are null or a local.
        let sent =
            unsafe { call_unsafe_wdf_function_binding!(WdfRequestSend, request, target, options) };
        sent != 0
    }
}
