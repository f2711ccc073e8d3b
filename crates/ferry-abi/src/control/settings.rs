//! How a device's requests travel.

use super::{Invalid, MAX_DEPTH, MAX_LIMIT, MAX_TIMEOUT_MS, matching, require};
use crate::{layout, message};

super::codes! {
    /// How the requests of a device travel.
    PolicyKind {
        /// Through the framework's queues and back through ferry's completion routine. The default.
        Carried = 0,
        /// Through the framework's queues, then sent and forgotten. Rules, limits and splits rest; nothing is counted after the send.
        SendAndForget = 1,
        /// Passed down in the caller's thread before the framework sees them, as if ferry were not there.
        Bypass = 2,
    }
}

message! {
    /// Sets the policy of a device for what arrives from now on. What waits in ferry at that moment is not affected, and what its handle sends
    /// meanwhile still waits behind it.
    SetPolicy, 16 {
        /// A [`Device::id`](super::Device::id).
        device: u32,
        /// A [`PolicyKind`].
        policy: u32,
    }
}

impl SetPolicy {
    /// Checks the fields.
    ///
    /// # Errors
    /// The field that cannot be accepted.
    pub fn check(&self) -> Result<(), Invalid> {
        require(PolicyKind::from_code(self.policy).is_some(), "policy")
    }
}

message! {
    /// Sets how many requests may be below at once. Belongs to the handle.
    Limit, 24 {
        /// A [`Device::id`](super::Device::id).
        device: u32,
        /// How many, at most [`MAX_LIMIT`]; 0 lifts the limit.
        limit: u32,
        /// [`matching`] flags: requests that are not seen count as below, but never wait.
        matching: u32,
        /// 0.
        reserved: u32,
    }
}

impl Limit {
    /// Checks the fields.
    ///
    /// # Errors
    /// The field that cannot be accepted.
    pub fn check(&self) -> Result<(), Invalid> {
        require(self.limit <= MAX_LIMIT, "limit")?;
        require(self.matching & !matching::ALL == 0, "matching")?;
        require(self.reserved == 0, "reserved")
    }
}

super::codes! {
    /// How the chunks of a transfer follow each other.
    SplitMode {
        /// Each when the one before is back.
        Sequential = 0,
        /// Up to `depth` at once. Later ones may have reached the device when an earlier one fails.
        Parallel = 1,
    }
}

/// Flags of a split.
pub mod split_flags {
    /// The device is not addressed by offsets, and its reads and writes may be cut all the same: bytes follow each other. Sequential only.
    pub const STREAM: u32 = 1;
    /// Every flag there is.
    pub const ALL: u32 = STREAM;
}

message! {
    /// Sets how long transfers are cut into chunks. Belongs to the handle.
    Split, 36 {
        /// A [`Device::id`](super::Device::id).
        device: u32,
        /// Longest transfer the device is given, in bytes: a multiple of its sector size and of its `AlignmentRequirement` + 1; 0: no split.
        max_transfer: u32,
        /// A [`SplitMode`].
        mode: u32,
        /// Children below at once: 1 to [`MAX_DEPTH`] if parallel, else 1; 0 means 1, or [`MAX_DEPTH`] if parallel.
        depth: u32,
        /// [`split_flags`].
        flags: u32,
        /// [`matching`] flags.
        matching: u32,
        /// Sector size the chunks must keep to, in bytes; 0: 1.
        sector: u32,
    }
}

impl Split {
    /// Checks the fields, except against what the device needs.
    ///
    /// # Errors
    /// The field that cannot be accepted.
    pub fn check(&self) -> Result<(), Invalid> {
        let mode = SplitMode::from_code(self.mode).ok_or(Invalid::field("mode"))?;
        let parallel = mode == SplitMode::Parallel;
        require(self.depth <= if parallel { MAX_DEPTH } else { 1 }, "depth")?;
        require(self.flags & !split_flags::ALL == 0, "flags")?;
        if parallel && self.flags & split_flags::STREAM != 0 {
            return Err(Invalid::unsupported("flags"));
        }
        require(self.matching & !matching::ALL == 0, "matching")?;
        require(
            self.max_transfer.checked_rem(self.sector.max(1)) == Some(0),
            "max_transfer",
        )
    }
}

message! {
    /// Sets after how long a request below is canceled. Belongs to the handle.
    ///
    /// It bounds the start of the cancellation, not its end: a driver that ignores it keeps the request (R-TGT-60).
    Timeout, 24 {
        /// A [`Device::id`](super::Device::id).
        device: u32,
        /// Milliseconds, at most [`MAX_TIMEOUT_MS`]; 0: never.
        milliseconds: u32,
        /// [`matching`] flags.
        matching: u32,
        /// 0.
        reserved: u32,
    }
}

impl Timeout {
    /// Checks the fields.
    ///
    /// # Errors
    /// The field that cannot be accepted.
    pub fn check(&self) -> Result<(), Invalid> {
        require(self.milliseconds <= MAX_TIMEOUT_MS, "milliseconds")?;
        require(self.matching & !matching::ALL == 0, "matching")?;
        require(self.reserved == 0, "reserved")
    }
}

layout! {
    /// What is set on a device.
    Settings, 64 {
        /// A [`PolicyKind`].
        policy: u32,
        /// In-flight limit; 0: none.
        limit: u32,
        /// Its [`matching`] flags.
        limit_matching: u32,
        /// Longest transfer; 0: no split.
        max_transfer: u32,
        /// A [`SplitMode`].
        split_mode: u32,
        /// Children below at once.
        split_depth: u32,
        /// [`split_flags`].
        split_flags: u32,
        /// Its [`matching`] flags.
        split_matching: u32,
        /// Send timeout in milliseconds; 0: none.
        timeout_ms: u32,
        /// Its [`matching`] flags.
        timeout_matching: u32,
        /// `AlignmentRequirement` of the lower device: addresses and lengths keep to this + 1.
        alignment: u32,
        /// How many handles observe the device.
        observers: u32,
        /// Rules in force.
        rules: u32,
        /// How the device's reads and writes carry data: 4 buffered, 16 direct, 0 neither (its `Flags`).
        io_type: u32,
    }
}
