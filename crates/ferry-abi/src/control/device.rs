//! Which devices there are.

use crate::{layout, message};

message! {
    /// What answers at `\\.\Ferry`.
    Info, 24 {
        /// Version of the driver, `major << 16 | minor`.
        driver_version: u32,
        /// KMDF minor version the driver was built for.
        kmdf_minor: u32,
        /// Filter devices alive.
        devices: u32,
        /// Requests the safety net had to complete since the driver was loaded. Anything but 0 is a bug.
        faults: u32,
    }
}

layout! {
    /// One filter device.
    Device, 48 {
        /// Number of the device, never reused while the driver is loaded, never 0.
        id: u32,
        /// `DEVICE_TYPE` of the lower device.
        device_type: u32,
        /// Requests ferry has presented, parked or sent at this moment.
        in_flight: u32,
        /// Of these, in the held queue.
        held: u32,
        /// Of these, parked by a delay.
        delayed: u32,
        /// Of these, waiting for the in-flight limit.
        backlog: u32,
        /// Of these, dropped: parked until somebody cancels them.
        dropped: u32,
        /// Of these, below.
        below: u32,
        /// Rules in force.
        rules: u32,
        /// A [`PolicyKind`](super::PolicyKind).
        policy: u32,
    }
}

message! {
    /// Names one filter device.
    Select, 16 {
        /// A [`Device::id`].
        device: u32,
        /// 0.
        reserved: u32,
    }
}

impl Select {
    /// Checks the fields.
    ///
    /// # Errors
    /// The field that cannot be accepted.
    pub const fn check(&self) -> Result<(), super::Invalid> {
        super::require(self.reserved == 0, "reserved")
    }
}
