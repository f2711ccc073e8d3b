//! Controls of ferry's control device `\\.\Ferry`, administrators and SYSTEM only.
//!
//! Whatever a controller sets through a handle belongs to that handle: rules, limits, splits, timeouts and observation end when it is
//! closed, and what they kept goes on its way (filter-rules 13). Only a device's [`Policy`] stays until somebody sets another or
//! the device goes. Several controllers may be open at once; each sees the rules of all and removes its own.
//!
//! A structure is checked in three steps, each with a status of its own: size and version ([`crate::Refused`]), then its fields
//! ([`Invalid`]), then whether the device exists (`STATUS_NO_SUCH_DEVICE`). Nothing changes unless all three pass.
//!
//! **Which requests a rule, limit or split sees.** By default those of user-mode programs, through a file object, of a process other
//! than the one that opened the control handle. [`matching`] flags widen that: a program that sets a rule and does the I/O itself
//! must set [`matching::OWN_PROCESS`].

mod device;
mod keep;
mod observe;
mod probe;
mod rule;
mod settings;
mod stats;

pub use self::{
    device::{Device, Info, Select},
    keep::{Delay, Hold, Release, Released},
    observe::{Event, EventKind, Events, InFlight, Observe, Place},
    probe::{Abort, Aborted, Probe, Probed},
    rule::{Action, CERTAIN, Order, Rule, RuleAdded, RuleEntry, RuleRemove, RulesClear, matching},
    settings::{Limit, PolicyKind, SetPolicy, Settings, Split, SplitMode, Timeout, split_flags},
    stats::{BUCKETS, Histogram, HistogramSelect, Measure, Stats, bucket_of, bucket_start},
};
use crate::{Access, ControlCode, Method};

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
/// Input: [`Hold`]. From now on matching requests wait in the device's held queue. Short for a rule, see there.
pub const IOCTL_FERRY_HOLD: ControlCode = code(0x803, Access::Write);
/// Input: [`Release`]. Output, optional: [`Released`].
pub const IOCTL_FERRY_RELEASE: ControlCode = code(0x804, Access::Write);
/// Input: [`Delay`]. From now on matching requests are parked for a while before they go down. Short for a rule, see there.
pub const IOCTL_FERRY_DELAY: ControlCode = code(0x805, Access::Write);
/// Input: [`HistogramSelect`]. Output: [`Histogram`].
pub const IOCTL_FERRY_HISTOGRAM: ControlCode = code(0x806, Access::Read);
/// Input: [`SetPolicy`]. How the device's requests travel from now on.
pub const IOCTL_FERRY_POLICY: ControlCode = code(0x807, Access::Write);
/// Input: [`Limit`]. At once in both directions: a lower limit lets nothing down until enough came back, a higher one lets go what waits.
pub const IOCTL_FERRY_LIMIT: ControlCode = code(0x808, Access::Write);
/// Input: [`Split`]. Transfers that arrive from now on.
pub const IOCTL_FERRY_SPLIT: ControlCode = code(0x809, Access::Write);
/// Input: [`Timeout`]. Requests sent from now on.
pub const IOCTL_FERRY_TIMEOUT: ControlCode = code(0x80A, Access::Write);
/// Input: [`Select`]. Output: [`Settings`].
pub const IOCTL_FERRY_SETTINGS: ControlCode = code(0x80B, Access::Read);
/// Input: [`Rule`] with `id` 0. Output: [`RuleAdded`]. `STATUS_INSUFFICIENT_RESOURCES` if the device has [`MAX_RULES`] already.
pub const IOCTL_FERRY_RULE_ADD: ControlCode = code(0x80C, Access::Write);
/// Input: [`RuleRemove`]. What the rule kept goes on its way. `STATUS_NOT_FOUND`; `STATUS_ACCESS_DENIED` for a rule of another handle.
pub const IOCTL_FERRY_RULE_REMOVE: ControlCode = code(0x80D, Access::Write);
/// Input: [`Select`]. Output: as many [`RuleEntry`] as fit, in the order they are tried.
pub const IOCTL_FERRY_RULES: ControlCode = code(0x80E, Access::Read);
/// Input: [`RulesClear`]. Output, optional: [`Released`], `count` rules.
pub const IOCTL_FERRY_RULES_CLEAR: ControlCode = code(0x80F, Access::Write);
/// Input: [`Abort`]. Output, optional: [`Aborted`].
pub const IOCTL_FERRY_ABORT: ControlCode = code(0x810, Access::Write);
/// Input: [`Observe`]. Latencies, in-flight entries and events are recorded while at least one handle observes the device.
pub const IOCTL_FERRY_OBSERVE: ControlCode = code(0x811, Access::Read);
/// No input. Output: [`Events`], then as many [`Event`] as fit and are there; waits for the first one. `STATUS_BUFFER_TOO_SMALL` without
/// room for one; `STATUS_INVALID_DEVICE_STATE` if the handle observes nothing; `STATUS_CANCELLED` when canceled or when the last
/// filter device goes. Any number may be pended through a handle: each is answered with what the one before has not had.
pub const IOCTL_FERRY_WAIT: ControlCode = code(0x812, Access::Read);
/// `METHOD_NEITHER`. Input: [`Select`]. Output: as many [`InFlight`] as fit: the requests ferry knows of at this moment.
pub const IOCTL_FERRY_IN_FLIGHT: ControlCode =
    ControlCode::new(DEVICE_TYPE, 0x813, Method::Neither, Access::Read);
/// Input: [`Probe`]. Output: [`Probed`]. Returns when the lower device has answered or the timeout has canceled the probe.
pub const IOCTL_FERRY_PROBE: ControlCode = code(0x814, Access::ReadWrite);

/// Longest hold a controller may ask for, in milliseconds.
pub const MAX_HOLD_MS: u32 = 600_000;
/// Age at which a hold ends when the controller names none (0), in milliseconds.
pub const DEFAULT_HOLD_MS: u32 = 30_000;
/// Longest delay, in milliseconds.
pub const MAX_DELAY_MS: u32 = 60_000;
/// Rules a device can have at the same time.
pub const MAX_RULES: u32 = 64;
/// Highest in-flight limit.
pub const MAX_LIMIT: u32 = 1 << 20;
/// Most children a parallel split may have below at once.
pub const MAX_DEPTH: u32 = 4;
/// Longest chunk of a split, in bytes.
pub const MAX_CHUNK: u32 = 1 << 20;
/// Longest send timeout and probe timeout, in milliseconds.
pub const MAX_TIMEOUT_MS: u32 = 600_000;
/// Longest transfer of a probe, in bytes.
pub const MAX_PROBE: u32 = 4096;

/// Operations, as a mask. Bits outside [`ops::EVERY`] are refused.
pub mod ops {
    /// `IRP_MJ_READ`.
    pub const READ: u32 = 1;
    /// `IRP_MJ_WRITE`.
    pub const WRITE: u32 = 2;
    /// `IRP_MJ_DEVICE_CONTROL`.
    pub const CONTROL: u32 = 4;
    /// `IRP_MJ_INTERNAL_DEVICE_CONTROL`: other drivers' business; never kept, only failed or counted, and only if asked for by name.
    pub const INTERNAL: u32 = 8;
    /// Everything a user-mode program can be made to wait for.
    pub const ALL: u32 = READ | WRITE | CONTROL;
    /// Every operation there is.
    pub const EVERY: u32 = ALL | INTERNAL;
}

/// Which field of a structure cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalid {
    /// Name of the field.
    pub field: &'static str,
    /// Whether the value has a meaning that ferry does not offer (`STATUS_NOT_SUPPORTED`); else it has none (`STATUS_INVALID_PARAMETER`).
    pub unsupported: bool,
}

impl Invalid {
    const fn field(field: &'static str) -> Self {
        Self {
            field,
            unsupported: false,
        }
    }

    const fn unsupported(field: &'static str) -> Self {
        Self {
            field,
            unsupported: true,
        }
    }
}

/// `Ok` if it holds.
const fn require(holds: bool, field: &'static str) -> Result<(), Invalid> {
    if holds {
        Ok(())
    } else {
        Err(Invalid::field(field))
    }
}

/// Defines an enumeration carried in a `u32` field.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum $name { $($(#[$vdoc])* $variant = $value,)* }

        impl $name {
            /// Every value.
            pub const EVERY: &[Self] = &[$(Self::$variant,)*];

            /// The value with that number.
            #[must_use]
            pub const fn from_code(code: u32) -> Option<Self> {
                match code {
                    $($value => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Its number in a structure.
            #[must_use]
            pub const fn code(self) -> u32 {
                self as u32
            }
        }
    };
}
pub(crate) use codes;
