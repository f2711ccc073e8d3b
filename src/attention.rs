//! The one word every request looks at: whether anything at all is to be done about requests of this device.

use core::sync::atomic::{AtomicU32, Ordering};

/// Rules are in force.
pub(crate) const RULES: u32 = 1;
/// Something waits in ferry: order must be kept.
pub(crate) const WAITING: u32 = 2;
/// An in-flight limit is set.
pub(crate) const LIMIT: u32 = 4;
/// A split is set.
pub(crate) const SPLIT: u32 = 8;
/// A send timeout is set.
pub(crate) const TIMEOUT: u32 = 16;
/// The policy is send-and-forget.
pub(crate) const FORGET: u32 = 32;
/// The policy is bypass.
pub(crate) const BYPASS: u32 = 64;
/// Somebody observes.
pub(crate) const OBSERVED: u32 = 128;
/// The device is going.
pub(crate) const LEAVING: u32 = 256;

/// The pump found no room below for something that is in no handle's order.
pub(crate) const OWED: u32 = 512;

/// What is to be looked at. While it is 0, a request costs its counters and nothing else.
#[derive(Default)]
pub(crate) struct Attention(AtomicU32);

impl Attention {
    /// Whether nothing is.
    pub(crate) fn is_quiet(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }

    /// Whether any of `what` is.
    pub(crate) fn has(&self, what: u32) -> bool {
        self.0.load(Ordering::Acquire) & what != 0
    }

    /// Whether somebody waits for room below.
    pub(crate) fn wants_room(&self) -> bool {
        const LIMITED: u32 = LIMIT | WAITING;
        let set = self.0.load(Ordering::Acquire);
        set & OWED != 0 || set & LIMITED == LIMITED
    }

    /// From now on it is, or is not.
    pub(crate) fn set(&self, what: u32, on: bool) {
        if on {
            self.0.fetch_or(what, Ordering::SeqCst);
        } else {
            self.0.fetch_and(!what, Ordering::SeqCst);
        }
    }
}
