//! The device behind a remote target is being removed (R-TGT-09, R-TGT-28).
//!
//! A target that is open with a file is registered for the removal of the device the file is on. What the driver gave no callback
//! for, the framework does itself.

use super::super::callback;
use super::super::ddi;
use super::super::handle::{self, Ref};
use super::{Target, TargetState, open};
use crate::nt::abi::FileObject;
use crate::nt::pnp::notify::{self, Change, Registration};
use crate::nt::status::NtStatus;

/// The driver's callbacks, each 0 if there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RemoveCallbacks {
    pub query_remove: u64,
    pub remove_canceled: u64,
    pub remove_complete: u64,
}

impl RemoveCallbacks {
    pub(super) fn any(self) -> bool {
        self.query_remove != 0 || self.remove_canceled != 0 || self.remove_complete != 0
    }

    fn of(self, change: Change) -> u64 {
        match change {
            Change::QueryRemove => self.query_remove,
            Change::RemoveCanceled => self.remove_canceled,
            Change::RemoveComplete => self.remove_complete,
        }
    }
}

/// The target has been opened with this file.
pub(super) fn watch(target: &Ref<Target>, file: *mut FileObject) -> Registration {
    let handle = target.handle();
    notify::register(file, move |change| {
        ddi::guard(
            "the framework's target device notification",
            || match handle::lookup(handle).ok().and_then(Ref::<Target>::of) {
                Some(target) => changed(&target, change),
                None => NtStatus::SUCCESS,
            },
        )
    })
}

/// R-TGT-09: the driver's callback does what is to be done, or else the framework.
fn changed(target: &Ref<Target>, change: Change) -> NtStatus {
    let function = target.state.lock().callbacks.of(change);
    if function != 0 {
        let raw = callback::call(function, &[target.handle()]);
        // Only the query is answered.
        return match change {
            Change::QueryRemove => NtStatus(raw as u32 as i32),
            Change::RemoveCanceled | Change::RemoveComplete => NtStatus::SUCCESS,
        };
    }
    match change {
        Change::QueryRemove => open::close(target, TargetState::ClosedForQueryRemove),
        Change::RemoveCanceled => {
            // A target that cannot be opened again stays closed.
            let _ = open::reopen(target);
        }
        // R-TGT-28
        Change::RemoveComplete => open::close(target, TargetState::Closed),
    }
    NtStatus::SUCCESS
}
