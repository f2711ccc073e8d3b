//! Io: notifications of plug and play.

use super::exports;
use crate::loader::call;
use crate::nt::abi::{Address, FileObject, write_out};
use crate::nt::pnp::notify::{self, Change, Registration};
use crate::nt::pool::{self, Tag};
use crate::nt::status::NtStatus;
use crate::sched::Lock;
use crate::verify::{self, Leak};
use std::collections::BTreeMap;
use std::sync::Once;

const TAG: Tag = Tag::new(b"PnpN");
/// EventCategoryTargetDeviceChange.
const TARGET_DEVICE_CHANGE: u32 = 3;

/// TARGET_DEVICE_REMOVAL_NOTIFICATION.
#[repr(C)]
struct RemovalNotification {
    version: u16,
    size: u16,
    event: [u8; 16],
    file: u64,
}

/// What drivers have registered, by the entry they were given.
static ENTRIES: Lock<BTreeMap<usize, Registration>> = Lock::new(BTreeMap::new());

/// A registration that is left when its driver is gone calls into freed memory.
fn leaks() -> Vec<Leak> {
    let left = ENTRIES.lock().len();
    let leak = || Leak {
        tag: "a plug-and-play notification".to_owned(),
        bytes: 0,
        created: Vec::new(),
    };
    std::iter::repeat_with(leak).take(left).collect()
}

#[expect(
    unsafe_code,
    reason = "a notification routine is known by address only"
)]
fn tell(routine: usize, context: u64, file: Address<FileObject>, change: Change) -> NtStatus {
    let notification = RemovalNotification {
        version: 1,
        size: size_of::<RemovalNotification>() as u16,
        event: change.guid().0,
        file: file.get() as u64,
    };
    let structure = std::ptr::from_ref(&notification) as u64;
    // SAFETY: the driver vouches that the address is a DRIVER_NOTIFICATION_CALLBACK_ROUTINE, which takes these arguments.
    NtStatus(unsafe { call::call2(routine, structure, context) } as u32 as i32)
}

fn unregister(entry: *mut u8) -> NtStatus {
    let registration = ENTRIES.lock().remove(&(entry as usize));
    if registration.is_none() {
        verify::violation(
            "NT-PNP-04",
            "IoUnregisterPlugPlayNotification of something that is not registered",
        );
    }
    pool::free(entry, Some(TAG));
    NtStatus::SUCCESS
}

exports! {
    PASSIVE fn IoRegisterPlugPlayNotification(category: u32, _flags: u32, data: *mut u8, _driver: *mut u8, routine: usize, context: *mut u8, out: *mut *mut u8) -> NtStatus {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| verify::register_leaks("notifications", leaks));
        if category != TARGET_DEVICE_CHANGE {
            verify::unimplemented("IoRegisterPlugPlayNotification for another event than the change of a target device");
        }
        if verify::failable("IoRegisterPlugPlayNotification") {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        let (file, context) = (Address(data.cast::<FileObject>()), context as u64);
        let registration = notify::register(file.get(), move |change| tell(routine, context, file, change));
        let entry = pool::allocate_internal(16, TAG);
        ENTRIES.lock().insert(entry as usize, registration);
        write_out(out, entry);
        NtStatus::SUCCESS
    }
    PASSIVE fn IoUnregisterPlugPlayNotification(entry: *mut u8) -> NtStatus {
        unregister(entry)
    }
    PASSIVE fn IoUnregisterPlugPlayNotificationEx(entry: *mut u8) -> NtStatus {
        unregister(entry)
    }
}
