//! Remove locks.

use super::exports;
use crate::nt::abi::{RemoveLock, at};
use crate::nt::status::NtStatus;
use crate::nt::wait;
use crate::verify;
use std::sync::atomic::Ordering;

fn release(lock: *mut RemoveLock) {
    let view = at(lock);
    let left = view.io_count.fetch_sub(1, Ordering::AcqRel) - 1;
    if left < 0 {
        verify::violation(
            "NT-REMOVE-01",
            "IoReleaseRemoveLock without an acquisition before",
        );
    }
    if left == 0 {
        wait::set_event(std::ptr::from_ref(&view.remove_event).cast_mut());
    }
}

exports! {
    PASSIVE fn IoInitializeRemoveLockEx(lock: *mut RemoveLock, _tag: u32, _minutes: u32, _high: u32, _size: u32) {
        let view = at(lock);
        view.removed.set(0);
        view.io_count.store(1, Ordering::Release);
        wait::initialize_event(std::ptr::from_ref(&view.remove_event).cast_mut(), false, false);
    }
    DISPATCH fn IoAcquireRemoveLockEx(lock: *mut RemoveLock, _tag: *mut u8, _file: *const u8, _line: u32, _size: u32) -> NtStatus {
        let view = at(lock);
        view.io_count.fetch_add(1, Ordering::AcqRel);
        if view.removed.get() == 0 {
            return NtStatus::SUCCESS;
        }
        release(lock);
        NtStatus::DELETE_PENDING
    }
    DISPATCH fn IoReleaseRemoveLockEx(lock: *mut RemoveLock, _tag: *mut u8, _size: u32) {
        release(lock);
    }
    PASSIVE fn IoReleaseRemoveLockAndWaitEx(lock: *mut RemoveLock, _tag: *mut u8, _size: u32) {
        let view = at(lock);
        view.removed.set(1);
        release(lock);
        if view.io_count.fetch_sub(1, Ordering::AcqRel) > 1 {
            let _ = wait::wait_for_one(std::ptr::from_ref(&view.remove_event.header).cast_mut(), None);
        }
    }
}
