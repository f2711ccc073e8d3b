//! Automatic serialization: what timers, DPCs and work items share (R-DEV-80, R-DEV-81).

use std::sync::Arc;

use super::device::Device;
use super::handle::Ref;
use super::kind::{ExecutionLevel, Scope};
use super::object::ObjRef;
use super::queue::{CallbackLock, Queue};
use crate::nt::status::NtStatus;

/// The lock held around a callback, if any.
pub(super) struct Serialization(Option<(Arc<CallbackLock>, u64)>);

impl Serialization {
    /// The lock for callbacks of an object below `parent` that run at `level`.
    ///
    /// # Errors
    /// STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL if the parent's lock is of the other level.
    pub(super) fn below(
        parent: &ObjRef,
        wanted: bool,
        level: ExecutionLevel,
    ) -> Result<Self, NtStatus> {
        if !wanted {
            return Ok(Self(None));
        }
        let Some((lock, parent_level, synchronized, handle)) = nearest_lock(parent) else {
            return Ok(Self(None));
        };
        if !synchronized {
            return Ok(Self(None));
        }
        if (parent_level == ExecutionLevel::Passive) != (level == ExecutionLevel::Passive) {
            return Err(NtStatus::WDF_INCOMPATIBLE_EXECUTION_LEVEL);
        }
        Ok(Self(Some((lock, handle))))
    }

    /// Runs `f` under the lock.
    pub(super) fn run(&self, f: impl FnOnce()) {
        match &self.0 {
            Some((lock, handle)) => {
                lock.acquire(*handle);
                f();
                lock.release();
            }
            None => f(),
        }
    }
}

/// The callback lock of the nearest queue or device at or above `object`, its level, and whether callbacks run under it.
fn nearest_lock(object: &ObjRef) -> Option<(Arc<CallbackLock>, ExecutionLevel, bool, u64)> {
    let mut at = object.clone();
    loop {
        if let Some(queue) = at.body::<Queue>() {
            return Some((
                queue.callback_lock().clone(),
                queue.execution_level(),
                queue.is_synchronized(),
                at.handle().0,
            ));
        }
        if let Some(device) = at.body::<Device>() {
            return Some((
                device.callback_lock().clone(),
                device.effective_level(),
                device.effective_scope() != Scope::None,
                at.handle().0,
            ));
        }
        at = at.parent()?;
    }
}

/// The parent a timer, DPC or work item was given, which must be a device or below one (R-DEV-80).
pub(super) fn parent_below_device(parent: Option<&ObjRef>) -> Result<ObjRef, NtStatus> {
    let parent = parent.ok_or(NtStatus::WDF_PARENT_NOT_SPECIFIED)?;
    match parent.nearest::<Device>() {
        Some(_) => Ok(parent.clone()),
        None => Err(NtStatus::INVALID_DEVICE_REQUEST),
    }
}

/// The handle of an object's parent; 0 once it has none.
pub(super) fn parent_handle<B: super::object::Body>(object: &Ref<B>) -> u64 {
    object
        .object()
        .parent()
        .map_or(0, |parent| parent.handle().0)
}
