//! Controls of ferry's control device `\\.\Ferry`, administrators and SYSTEM only.
//!
//! Holds and delays belong to the handle that set them: closing it ends them and releases what they
//! kept (filter-rules 13). A held request is released by itself after [`Hold::max_age_ms`].

use crate::{Access, ControlCode, Method, layout, message};

/// Win32 name of the control device.
pub const WIN32_NAME: &str = r"\\.\Ferry";
/// NT name of the control device.
pub const NT_NAME: &str = r"\Device\Ferry";
/// Its symbolic link.
pub const LINK_NAME: &str = r"\DosDevices\Ferry";
/// `D:P`: SYSTEM and administrators, nobody else, nothing inherited.
pub const SDDL: &str = "D:P(A;;GA;;;SY)(A;;GA;;;BA)";

/// Vendor-range device type of ferry's controls.
pub const DEVICE_TYPE: u16 = 0x8F45;

const fn code(function: u16, access: Access) -> ControlCode {
    ControlCode::new(DEVICE_TYPE, function, Method::Buffered, access)
}

/// Output: [`Info`].
pub const IOCTL_FERRY_INFO: ControlCode = code(0x800, Access::Read);
/// Output: as many [`Device`] entries as fit; Information says how many bytes.
pub const IOCTL_FERRY_DEVICES: ControlCode = code(0x801, Access::Read);
/// Input: [`Select`]. Output: [`Stats`].
pub const IOCTL_FERRY_STATS: ControlCode = code(0x802, Access::Read);
/// Input: [`Hold`]. From now on matching requests wait in the device's held queue.
pub const IOCTL_FERRY_HOLD: ControlCode = code(0x803, Access::Write);
/// Input: [`Release`]. Output, optional: [`Released`].
pub const IOCTL_FERRY_RELEASE: ControlCode = code(0x804, Access::Write);
/// Input: [`Delay`]. From now on matching requests are parked for a while before they go down.
pub const IOCTL_FERRY_DELAY: ControlCode = code(0x805, Access::Write);

/// Longest hold a controller may ask for, in milliseconds.
pub const MAX_HOLD_MS: u32 = 600_000;
/// Age at which a hold ends when the controller names none (0), in milliseconds.
pub const DEFAULT_HOLD_MS: u32 = 30_000;
/// Longest delay, in milliseconds.
pub const MAX_DELAY_MS: u32 = 60_000;

/// Operations, as a mask. Bits outside [`ops::ALL`] are refused.
pub mod ops {
    /// `IRP_MJ_READ`.
    pub const READ: u32 = 1;
    /// `IRP_MJ_WRITE`.
    pub const WRITE: u32 = 2;
    /// `IRP_MJ_DEVICE_CONTROL`.
    pub const CONTROL: u32 = 4;
    /// Everything a user-mode program can be made to wait for.
    pub const ALL: u32 = READ | WRITE | CONTROL;
}

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

message! {
    /// One filter device.
    Device, 32 {
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
        /// 0.
        reserved: u32,
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

layout! {
    /// Counters of one filter device since it was started. Each is the number of requests that passed that point.
    Stats, 104 {
        /// Reads presented to ferry.
        reads: u64,
        /// Writes presented to ferry.
        writes: u64,
        /// Device controls presented to ferry.
        controls: u64,
        /// Internal device controls presented to ferry.
        internal: u64,
        /// Sent to the lower device with a completion routine.
        forwarded: u64,
        /// Passed down in the caller's thread by the preprocess callback, never presented.
        skipped: u64,
        /// Completed with what the lower driver said.
        completed: u64,
        /// Completed with `STATUS_CANCELLED` by ferry itself.
        canceled: u64,
        /// Put into the held queue.
        held: u64,
        /// Parked for a delay.
        delayed: u64,
        /// Completed by ferry with an error because they could not be sent.
        failed: u64,
        /// In ferry's hands or below at this moment.
        in_flight: u64,
    }
}

message! {
    /// Hold what matches. Replaces the earlier hold of the same device.
    Hold, 24 {
        /// A [`Device::id`].
        device: u32,
        /// Mask of [`ops`]; 0 ends the hold and releases everything.
        ops: u32,
        /// Age in milliseconds at which a held request is released by itself; 0 means [`DEFAULT_HOLD_MS`].
        max_age_ms: u32,
        /// 0.
        reserved: u32,
    }
}

message! {
    /// Release held requests, oldest first.
    Release, 16 {
        /// A [`Device::id`].
        device: u32,
        /// How many; 0 means all that wait now.
        count: u32,
    }
}

message! {
    /// Answer to [`Release`].
    Released, 16 {
        /// Requests taken out of the held queue by this call.
        count: u32,
        /// 0.
        reserved: u32,
    }
}

message! {
    /// Delay what matches. Replaces the earlier delay of the same device.
    Delay, 24 {
        /// A [`Device::id`].
        device: u32,
        /// Mask of [`ops`]; 0 ends the delay. Requests already parked keep their time.
        ops: u32,
        /// Milliseconds, at most [`MAX_DELAY_MS`]. Resolution is that of the system timer, about 15.6 ms.
        delay_ms: u32,
        /// 0.
        reserved: u32,
    }
}
