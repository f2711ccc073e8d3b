//! Holding and delaying in one word each, and letting go.

use super::{Invalid, MAX_DELAY_MS, MAX_HOLD_MS, ops, require};
use crate::message;

message! {
    /// Hold what matches. Stands for the rule `ops, OWN_PROCESS -> hold`, instead of the one set by the last [`Hold`] of the same device.
    ///
    /// Unlike a [`Rule`](super::Rule), it sees the requests of the controller's own process.
    Hold, 24 {
        /// A [`Device::id`](super::Device::id).
        device: u32,
        /// Mask of [`ops`]; 0 ends the hold and releases what it kept.
        ops: u32,
        /// Age in milliseconds at which a held request is released by itself; 0 means [`DEFAULT_HOLD_MS`](super::DEFAULT_HOLD_MS).
        max_age_ms: u32,
        /// 0.
        reserved: u32,
    }
}

impl Hold {
    /// Checks the fields.
    ///
    /// # Errors
    /// The field that cannot be accepted.
    pub fn check(&self) -> Result<(), Invalid> {
        require(self.ops & !ops::ALL == 0, "ops")?;
        require(self.max_age_ms <= MAX_HOLD_MS, "max_age_ms")?;
        require(self.reserved == 0, "reserved")
    }
}

message! {
    /// Release held requests, oldest first.
    Release, 24 {
        /// A [`Device::id`](super::Device::id).
        device: u32,
        /// How many; 0 means all that wait now.
        count: u32,
        /// Only what this rule holds; 0: whatever rule.
        rule: u32,
        /// 0.
        reserved: u32,
    }
}

impl Release {
    /// Checks the fields.
    ///
    /// # Errors
    /// The field that cannot be accepted.
    pub fn check(&self) -> Result<(), Invalid> {
        require(self.reserved == 0, "reserved")
    }
}

message! {
    /// Answer to [`Release`] and [`RulesClear`](super::RulesClear).
    Released, 16 {
        /// Requests that may go because of this call, or rules that ended.
        count: u32,
        /// 0.
        reserved: u32,
    }
}

message! {
    /// Delay what matches. Stands for the rule `ops, OWN_PROCESS -> delay, order keep`, instead of the one set by the last [`Delay`] of the
    /// same device.
    Delay, 24 {
        /// A [`Device::id`](super::Device::id).
        device: u32,
        /// Mask of [`ops`]; 0 ends the delay, and what it had parked goes on.
        ops: u32,
        /// Milliseconds, at most [`MAX_DELAY_MS`]. Resolution is that of the system timer, about 15.6 ms.
        delay_ms: u32,
        /// 0.
        reserved: u32,
    }
}

impl Delay {
    /// Checks the fields.
    ///
    /// # Errors
    /// The field that cannot be accepted.
    pub fn check(&self) -> Result<(), Invalid> {
        require(self.ops & !ops::ALL == 0, "ops")?;
        require(self.delay_ms <= MAX_DELAY_MS, "delay_ms")?;
        require(self.reserved == 0, "reserved")
    }
}
