//! Ke: spin locks.

use super::exports;
use crate::nt::abi::{at, read_in, write_out};
use crate::nt::spinlock::{self, KspinLock};
use crate::nt::thread;

/// KLOCK_QUEUE_HANDLE: next, lock, the level before.
fn queue_handle(handle: *mut u64, lock: *mut KspinLock, old: u8) {
    write_out(handle, 0);
    write_out(handle.wrapping_add(1), lock as u64);
    write_out(handle.wrapping_add(2).cast::<u8>(), old);
}

fn queue_lock(handle: *mut u64) -> *mut KspinLock {
    read_in(handle.wrapping_add(1)) as *mut KspinLock
}

exports! {
    ANY fn KeInitializeSpinLock(lock: *mut u64) {
        write_out(lock, 0);
    }
    ANY fn KeAcquireSpinLockRaiseToDpc(lock: *mut KspinLock) -> u8 {
        spinlock::raise_and_acquire(at(lock))
    }
    ANY fn KeReleaseSpinLock(lock: *mut KspinLock, old: u8) {
        spinlock::release_and_lower(at(lock), old);
    }
    ANY fn KeAcquireSpinLockAtDpcLevel(lock: *mut KspinLock) {
        spinlock::acquire(at(lock));
    }
    ANY fn KeReleaseSpinLockFromDpcLevel(lock: *mut KspinLock) {
        spinlock::release(at(lock));
    }
    ANY fn KeTryToAcquireSpinLockAtDpcLevel(lock: *mut KspinLock) -> u8 {
        spinlock::try_acquire(at(lock)).into()
    }
    ANY fn KeTestSpinLock(lock: *mut u64) -> u8 {
        u8::from(read_in(lock) == 0)
    }
    ANY fn KeAcquireSpinLockForDpc(lock: *mut KspinLock) -> u8 {
        spinlock::raise_and_acquire(at(lock))
    }
    ANY fn KeReleaseSpinLockForDpc(lock: *mut KspinLock, old: u8) {
        spinlock::release_and_lower(at(lock), old);
    }
    ANY fn KeAcquireInStackQueuedSpinLock(lock: *mut KspinLock, handle: *mut u64) {
        let old = spinlock::raise_and_acquire(at(lock));
        queue_handle(handle, lock, old);
    }
    ANY fn KeReleaseInStackQueuedSpinLock(handle: *mut u64) {
        let old = read_in(handle.wrapping_add(2).cast::<u8>());
        spinlock::release_and_lower(at(queue_lock(handle)), old);
    }
    ANY fn KeAcquireInStackQueuedSpinLockAtDpcLevel(lock: *mut KspinLock, handle: *mut u64) {
        spinlock::acquire(at(lock));
        queue_handle(handle, lock, thread::irql());
    }
    ANY fn KeReleaseInStackQueuedSpinLockFromDpcLevel(handle: *mut u64) {
        spinlock::release(at(queue_lock(handle)));
    }
}
