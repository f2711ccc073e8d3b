//! Ke: dispatcher objects, timers, time.

use super::exports;
use crate::nt::abi::{
    DispatcherHeader, Kdpc, Kevent, Kmutant, Ksemaphore, Ktimer, at, read_in, write_out,
};
use crate::nt::status::NtStatus;
use crate::nt::{timer, wait};
use crate::sched;

fn timeout_at(timeout: *const i64) -> Option<i64> {
    (!timeout.is_null()).then(|| read_in(timeout))
}

/// MAXIMUM_WAIT_OBJECTS.
const MAXIMUM_OBJECTS: u32 = 64;

exports! {
    ANY fn KeInitializeEvent(event: *mut Kevent, kind: u32, state: u8) {
        wait::initialize_event(event, kind == 0, state != 0);
    }
    DISPATCH fn KeSetEvent(event: *mut Kevent, _increment: i32, _wait: u8) -> i32 {
        wait::set_event(event)
    }
    DISPATCH fn KeResetEvent(event: *mut Kevent) -> i32 {
        wait::reset_event(event)
    }
    DISPATCH fn KePulseEvent(event: *mut Kevent, _increment: i32, _wait: u8) -> i32 {
        wait::pulse_event(event)
    }
    DISPATCH fn KeReadStateEvent(event: *mut Kevent) -> i32 {
        at(event).header.signal_state.get()
    }
    ANY fn KeInitializeSemaphore(semaphore: *mut Ksemaphore, count: i32, limit: i32) {
        wait::initialize_semaphore(semaphore, count, limit);
    }
    DISPATCH fn KeReleaseSemaphore(semaphore: *mut Ksemaphore, _increment: i32, adjustment: i32, _wait: u8) -> i32 {
        wait::release_semaphore(semaphore, adjustment)
    }
    DISPATCH fn KeReadStateSemaphore(semaphore: *mut Ksemaphore) -> i32 {
        at(semaphore).header.signal_state.get()
    }
    ANY fn KeInitializeMutex(mutex: *mut Kmutant, _level: u32) {
        wait::initialize_mutex(mutex);
    }
    DISPATCH fn KeReleaseMutex(mutex: *mut Kmutant, _wait: u8) -> i32 {
        wait::release_mutex(mutex)
    }
    DISPATCH fn KeReadStateMutex(mutex: *mut Kmutant) -> i32 {
        at(mutex).header.signal_state.get()
    }
    DISPATCH fn KeWaitForSingleObject(object: *mut DispatcherHeader, _reason: u32, _mode: i8, _alertable: u8, timeout: *const i64) -> NtStatus {
        wait::wait_for_one(object, timeout_at(timeout))
    }
    DISPATCH fn KeWaitForMultipleObjects(count: u32, objects: *const *mut DispatcherHeader, kind: u32, _reason: u32, _mode: i8, _alertable: u8, timeout: *const i64, _blocks: *mut u8) -> NtStatus {
        if count > MAXIMUM_OBJECTS {
            crate::verify::bug_check(0xc, [0; 4], "MAXIMUM_WAIT_OBJECTS_EXCEEDED");
        }
        let objects: Vec<_> = (0..count as usize).map(|index| read_in(objects.wrapping_add(index))).collect();
        wait::wait_for(&objects, kind == 0, timeout_at(timeout).map(wait::relative))
    }
    APC fn KeDelayExecutionThread(_mode: i8, _alertable: u8, interval: *const i64) -> NtStatus {
        wait::delay(read_in(interval));
        NtStatus::SUCCESS
    }
    ANY fn KeInitializeTimer(timer: *mut Ktimer) {
        timer::initialize(timer, true);
    }
    ANY fn KeInitializeTimerEx(timer: *mut Ktimer, kind: u32) {
        timer::initialize(timer, kind == 0);
    }
    DISPATCH fn KeSetTimer(timer: *mut Ktimer, due: i64, dpc: *mut Kdpc) -> u8 {
        timer::set(timer, due, 0, dpc).into()
    }
    DISPATCH fn KeSetTimerEx(timer: *mut Ktimer, due: i64, period: u32, dpc: *mut Kdpc) -> u8 {
        timer::set(timer, due, period, dpc).into()
    }
    DISPATCH fn KeSetCoalescableTimer(timer: *mut Ktimer, due: i64, period: u32, _tolerance: u32, dpc: *mut Kdpc) -> u8 {
        timer::set(timer, due, period, dpc).into()
    }
    DISPATCH fn KeCancelTimer(timer: *mut Ktimer) -> u8 {
        timer::cancel(timer).into()
    }
    DISPATCH fn KeReadStateTimer(timer: *mut Ktimer) -> u8 {
        timer::is_signaled(timer).into()
    }
    ANY fn KeQueryInterruptTime() -> u64 {
        sched::now() as u64
    }
    ANY fn KeQueryInterruptTimePrecise(counter: *mut u64) -> u64 {
        let now = sched::now() as u64;
        write_out(counter, now);
        now
    }
    ANY fn KeQueryUnbiasedInterruptTime() -> u64 {
        sched::now() as u64
    }
    ANY fn KeQuerySystemTime(time: *mut i64) {
        write_out(time, wait::system_time());
    }
    ANY fn KeQueryTickCount(ticks: *mut i64) {
        write_out(ticks, sched::now() / TICK);
    }
    ANY fn KeQueryTimeIncrement() -> u32 {
        TICK as u32
    }
    ANY fn KeQueryPerformanceCounter(frequency: *mut i64) -> i64 {
        write_out(frequency, 10_000_000);
        sched::now()
    }
    ANY fn KeStallExecutionProcessor(microseconds: u32) {
        let end = sched::now() + i64::from(microseconds) * 10;
        while sched::now() < end {
            std::hint::spin_loop();
        }
    }
    PASSIVE fn ExSetTimerResolution(_desired: u32, _set: u8) -> u32 {
        TICK as u32
    }
    ANY fn ExSystemTimeToLocalTime(system: *const i64, local: *mut i64) {
        write_out(local, read_in(system));
    }
    ANY fn ExLocalTimeToSystemTime(local: *const i64, system: *mut i64) {
        write_out(system, read_in(local));
    }
}

/// 15.625 ms, the clock of a Windows machine left alone.
const TICK: i64 = 156_250;
