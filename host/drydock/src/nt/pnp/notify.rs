//! Notifications of a device's removal, for whoever has a file open on it (EventCategoryTargetDeviceChange).
//!
//! Before a stack is asked whether it can be removed, everyone who has registered a file on it is: one refusal ends the
//! attempt, and those who had agreed hear of that. After the device is gone, or its hardware is, they hear of it too.

use super::super::abi::{Address, DeviceObject, FileObject, at};
use super::super::device;
use super::super::status::NtStatus;
use super::Guid;
use crate::sched::Lock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What happens to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It may be removed: close the file, or refuse.
    QueryRemove,
    /// It stays after all: somebody has refused.
    RemoveCanceled,
    /// It is gone.
    RemoveComplete,
}

impl Change {
    /// GUID_TARGET_DEVICE_QUERY_REMOVE, ..._REMOVE_CANCELLED, ..._REMOVE_COMPLETE.
    pub fn guid(self) -> Guid {
        let first = match self {
            Self::QueryRemove => 0x06,
            Self::RemoveCanceled => 0x07,
            Self::RemoveComplete => 0x08,
        };
        Guid([
            first, 0x40, 0x3a, 0xcb, 0xf0, 0x46, 0xd0, 0x11, 0xb0, 0x8f, 0x00, 0x60, 0x97, 0x13,
            0x05, 0x3f,
        ])
    }
}

type Told = Arc<dyn Fn(Change) -> NtStatus + Send + Sync>;

#[derive(Clone)]
struct Entry {
    /// The physical device of the stack the file is open on: the file is closed before the device can go, so an entry does
    /// not keep it.
    physical: Address<DeviceObject>,
    told: Told,
}

#[derive(Default)]
struct Entries {
    by_id: BTreeMap<u64, Entry>,
    last: u64,
}

static ENTRIES: Lock<Option<Entries>> = Lock::new(None);

/// A registration; dropping it ends it (IoUnregisterPlugPlayNotification).
#[derive(Debug)]
pub struct Registration(u64);

/// IoRegisterPlugPlayNotification: `told` is called at PASSIVE_LEVEL, in the thread that removes the device; what it says
/// counts for [`Change::QueryRemove`] only.
pub fn register(
    file: *mut FileObject,
    told: impl Fn(Change) -> NtStatus + Send + Sync + 'static,
) -> Registration {
    let entry = Entry {
        physical: Address(device::bottom(at(file).device_object.get())),
        told: Arc::new(told),
    };
    let mut entries = ENTRIES.lock();
    let entries = entries.get_or_insert_default();
    entries.last += 1;
    entries.by_id.insert(entries.last, entry);
    Registration(entries.last)
}

impl Drop for Registration {
    fn drop(&mut self) {
        let entry = {
            let mut entries = ENTRIES.lock();
            entries.get_or_insert_default().by_id.remove(&self.0)
        };
        // What it calls may end with it, and need the lock.
        drop(entry);
    }
}

fn of(physical: *mut DeviceObject) -> Vec<(u64, Told)> {
    let mut entries = ENTRIES.lock();
    let entries = entries.get_or_insert_default().by_id.iter();
    let mine = entries.filter(|(_, entry)| entry.physical.get() == physical);
    mine.map(|(id, entry)| (*id, Arc::clone(&entry.told)))
        .collect()
}

fn is_registered(id: u64) -> bool {
    let mut entries = ENTRIES.lock();
    entries.get_or_insert_default().by_id.contains_key(&id)
}

/// Asks everyone with a file on the stack. A refusal is told to those who had agreed.
pub(super) fn query_remove(physical: *mut DeviceObject) -> Result<(), NtStatus> {
    let all = of(physical);
    for (place, (_, told)) in all.iter().enumerate() {
        let status = told(Change::QueryRemove);
        if !status.is_success() {
            for (id, agreed) in &all[..=place] {
                if is_registered(*id) {
                    let _ = agreed(Change::RemoveCanceled);
                }
            }
            return Err(status);
        }
    }
    Ok(())
}

/// Tells everyone with a file on the stack what has become of it.
pub(super) fn tell(physical: *mut DeviceObject, change: Change) {
    for (id, told) in of(physical) {
        if is_registered(id) {
            let _ = told(change);
        }
    }
}
