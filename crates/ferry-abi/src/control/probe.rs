//! Asking the lower device whether it still answers, and taking back what it has.

use super::{Invalid, MAX_PROBE, MAX_TIMEOUT_MS, ops, require};
use crate::{ControlCode, Method, message};

message! {
    /// Cancels what is below. The requests come back when the lower driver lets go of them, with whatever status it says.
    Abort, 24 {
        /// A [`Device::id`](super::Device::id).
        device: u32,
        /// 0.
        reserved: u32,
        /// An [`InFlight::request`](super::InFlight::request); 0: everything that is below.
        request: u64,
    }
}

impl Abort {
    /// Checks the fields.
    ///
    /// # Errors
    /// The field that cannot be accepted.
    pub fn check(&self) -> Result<(), Invalid> {
        require(self.reserved == 0, "reserved")
    }
}

message! {
    /// Answer to [`Abort`].
    Aborted, 16 {
        /// Requests that were below when the abort began.
        count: u32,
        /// 0.
        reserved: u32,
    }
}

message! {
    /// Sends one request of ferry's own to the lower device and waits for it, at most for the timeout.
    ///
    /// It carries no file object: a device whose driver keeps state per handle may refuse it, which is an answer too.
    Probe, 40 {
        /// A [`Device::id`](super::Device::id).
        device: u32,
        /// [`ops::READ`] or [`ops::CONTROL`].
        op: u32,
        /// Byte offset of the read.
        offset: u64,
        /// Bytes to read, not 0, or of output, at most [`MAX_PROBE`]. What arrives is thrown away.
        length: u32,
        /// Control code, of `METHOD_BUFFERED` and without input; 0 for a read.
        code: u32,
        /// Milliseconds, 1 to [`MAX_TIMEOUT_MS`].
        timeout_ms: u32,
        /// 0.
        reserved: u32,
    }
}

impl Probe {
    /// Checks the fields.
    ///
    /// # Errors
    /// The field that cannot be accepted.
    pub fn check(&self) -> Result<(), Invalid> {
        let control = self.op == ops::CONTROL;
        require(control || self.op == ops::READ, "op")?;
        require(control == (self.code != 0), "code")?;
        if control && ControlCode(self.code).method() != Method::Buffered {
            return Err(Invalid::unsupported("code"));
        }
        require(!control || self.offset == 0, "offset")?;
        require(i64::try_from(self.offset).is_ok(), "offset")?;
        require(self.length <= MAX_PROBE, "length")?;
        require(control || self.length != 0, "length")?;
        require(
            self.timeout_ms != 0 && self.timeout_ms <= MAX_TIMEOUT_MS,
            "timeout_ms",
        )?;
        require(self.reserved == 0, "reserved")
    }
}

message! {
    /// Answer to [`Probe`].
    Probed, 32 {
        /// NTSTATUS the lower device answered with; `STATUS_IO_TIMEOUT` if it did not in time.
        status: u32,
        /// 0.
        reserved: u32,
        /// Information it answered with.
        information: u64,
        /// How long it took, in 100 ns.
        elapsed: u64,
    }
}
