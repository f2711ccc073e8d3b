//! What is set on a device beside its rules. Changed under the registry's lock, read anywhere.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ferry_abi::control::{Limit, PolicyKind, Split, Timeout};

use crate::{attention, device::Crossing, rules::Owner};

/// The settings. All zero: carried, without limit, split or timeout.
#[derive(Default)]
pub(crate) struct Settings {
    /// A [`PolicyKind`]. Stays when its control handle goes.
    pub(crate) policy: AtomicU32,
    /// Requests that may be below at once; 0: any number.
    pub(crate) limit: AtomicU32,
    pub(crate) limit_matching: AtomicU32,
    pub(crate) limit_process: AtomicU32,
    limit_owner: AtomicU64,
    /// Longest transfer; 0: any.
    pub(crate) max_transfer: AtomicU32,
    pub(crate) split_mode: AtomicU32,
    pub(crate) split_depth: AtomicU32,
    pub(crate) split_flags: AtomicU32,
    pub(crate) split_matching: AtomicU32,
    pub(crate) split_process: AtomicU32,
    split_owner: AtomicU64,
    /// Milliseconds until what is below is canceled; 0: never.
    pub(crate) timeout_ms: AtomicU32,
    pub(crate) timeout_matching: AtomicU32,
    pub(crate) timeout_process: AtomicU32,
    timeout_owner: AtomicU64,
}

impl Crossing {
    /// From now on requests travel so.
    pub(crate) fn set_policy(&self, policy: PolicyKind) {
        self.settings.policy.store(policy.code(), Ordering::Relaxed);
        let forget = policy == PolicyKind::SendAndForget;
        self.attention.set(attention::FORGET, forget);
        self.attention
            .set(attention::BYPASS, policy == PolicyKind::Bypass);
    }

    /// From now on so many may be below at once: what waits for more than that goes now.
    pub(crate) fn set_limit(&self, limit: &Limit, owner: Owner) {
        let to = &self.settings;
        to.limit_matching.store(limit.matching, Ordering::Relaxed);
        to.limit_process.store(owner.process, Ordering::Relaxed);
        to.limit_owner.store(owner.handle, Ordering::Relaxed);
        to.limit.store(limit.limit, Ordering::SeqCst);
        self.attention.set(attention::LIMIT, limit.limit != 0);
        self.pump.wake();
    }

    /// From now on transfers are cut so.
    pub(crate) fn set_split(&self, split: &Split, depth: u32, owner: Owner) {
        let to = &self.settings;
        to.split_mode.store(split.mode, Ordering::Relaxed);
        to.split_depth.store(depth, Ordering::Relaxed);
        to.split_flags.store(split.flags, Ordering::Relaxed);
        to.split_matching.store(split.matching, Ordering::Relaxed);
        to.split_process.store(owner.process, Ordering::Relaxed);
        to.split_owner.store(owner.handle, Ordering::Relaxed);
        to.max_transfer.store(split.max_transfer, Ordering::SeqCst);
        self.attention
            .set(attention::SPLIT, split.max_transfer != 0);
    }

    /// From now on what is sent is canceled after so long.
    pub(crate) fn set_timeout(&self, timeout: &Timeout, owner: Owner) {
        let to = &self.settings;
        to.timeout_matching
            .store(timeout.matching, Ordering::Relaxed);
        to.timeout_process.store(owner.process, Ordering::Relaxed);
        to.timeout_owner.store(owner.handle, Ordering::Relaxed);
        to.timeout_ms.store(timeout.milliseconds, Ordering::SeqCst);
        self.attention
            .set(attention::TIMEOUT, timeout.milliseconds != 0);
    }

    /// A control handle was closed: what it had set ends.
    pub(crate) fn forget_settings_of(&self, handle: u64) {
        let nobody = Owner {
            handle: 0,
            process: 0,
        };
        let is_of = |owner: &AtomicU64| owner.load(Ordering::Relaxed) == handle;
        if is_of(&self.settings.limit_owner) {
            self.set_limit(&Limit::new(0, 0, 0, 0), nobody);
        }
        if is_of(&self.settings.split_owner) {
            self.set_split(&Split::new(0, 0, 0, 0, 0, 0, 0), 0, nobody);
        }
        if is_of(&self.settings.timeout_owner) {
            self.set_timeout(&Timeout::new(0, 0, 0, 0), nobody);
        }
    }
}
