//! Ke: levels, threads, DPCs, processors.

use super::exports;
use crate::nt::abi::{Deferred, Kdpc, at, object_type, write_out};
use crate::nt::thread::{self, DISPATCH_LEVEL};
use crate::nt::{dpc, process};
use crate::sched::{self, Mode};
use crate::verify;

fn processors() -> u32 {
    if sched::mode() == Mode::OneProcessor {
        1
    } else {
        2
    }
}

exports! {
    ANY fn KeGetCurrentIrql() -> u8 {
        thread::irql()
    }
    ANY fn KfRaiseIrql(level: u8) -> u8 {
        thread::current().raise(level)
    }
    ANY fn KeRaiseIrqlToDpcLevel() -> u8 {
        thread::current().raise(DISPATCH_LEVEL)
    }
    ANY fn KeRaiseIrqlToSynchLevel() -> u8 {
        thread::current().raise(12)
    }
    ANY fn KeLowerIrql(level: u8) {
        thread::current().lower(level);
    }
    ANY fn KeGetCurrentThread() -> *mut u8 {
        thread::current().ethread()
    }
    ANY fn KeGetCurrentProcessorNumberEx(number: *mut u32) -> u32 {
        write_out(number, 0);
        0
    }
    ANY fn KeGetCurrentProcessorNumber() -> u32 {
        0
    }
    ANY fn KeQueryActiveProcessorCount(affinity: *mut u64) -> u32 {
        write_out(affinity, (1 << processors()) - 1);
        processors()
    }
    ANY fn KeQueryActiveProcessorCountEx(_group: u16) -> u32 {
        processors()
    }
    ANY fn KeQueryMaximumProcessorCount() -> u32 {
        processors()
    }
    ANY fn KeQueryMaximumProcessorCountEx(_group: u16) -> u32 {
        processors()
    }
    ANY fn KeQueryActiveGroupCount() -> u16 {
        1
    }
    ANY fn KeQueryMaximumGroupCount() -> u16 {
        1
    }
    ANY fn KeQueryActiveProcessors() -> u64 {
        (1 << processors()) - 1
    }
    APC fn KeSetSystemAffinityThread(_affinity: u64) {}
    APC fn KeSetSystemAffinityThreadEx(_affinity: u64) -> u64 {
        (1 << processors()) - 1
    }
    APC fn KeRevertToUserAffinityThread() {}
    APC fn KeRevertToUserAffinityThreadEx(_affinity: u64) {}
    APC fn KeSetPriorityThread(target: *mut u8, priority: i32) -> i32 {
        // The scheduler changes a thread's own priority only, which is what drivers do.
        if target == thread::current().ethread() {
            sched::set_priority(priority);
        }
        sched::NORMAL_PRIORITY
    }
    DISPATCH fn KeQueryPriorityThread(_thread: *mut u8) -> i32 {
        sched::NORMAL_PRIORITY
    }
    APC fn KeEnterCriticalRegion() {
        thread::current().enter_critical_region();
    }
    APC fn KeLeaveCriticalRegion() {
        thread::current().leave_critical_region();
    }
    APC fn KeEnterGuardedRegion() {
        thread::current().enter_guarded_region();
    }
    APC fn KeLeaveGuardedRegion() {
        thread::current().leave_guarded_region();
    }
    DISPATCH fn KeAreApcsDisabled() -> u8 {
        thread::current().apcs_disabled().into()
    }
    DISPATCH fn KeAreAllApcsDisabled() -> u8 {
        thread::current().all_apcs_disabled().into()
    }
    ANY fn KeInitializeDpc(dpc: *mut Kdpc, routine: Option<Deferred>, context: *mut u8) {
        dpc::initialize(dpc, routine, context);
    }
    ANY fn KeInitializeThreadedDpc(dpc: *mut Kdpc, routine: Option<Deferred>, context: *mut u8) {
        dpc::initialize(dpc, routine, context);
        at(dpc).kind.set(object_type::DPC_THREADED);
    }
    ANY fn KeInsertQueueDpc(dpc: *mut Kdpc, first: *mut u8, second: *mut u8) -> u8 {
        dpc::insert(dpc, first, second).into()
    }
    ANY fn KeRemoveQueueDpc(dpc: *mut Kdpc) -> u8 {
        dpc::remove(dpc).into()
    }
    APC fn KeFlushQueuedDpcs() {
        dpc::flush();
    }
    ANY fn KeSetImportanceDpc(dpc: *mut Kdpc, importance: u32) {
        at(dpc).importance.set(importance as u8);
    }
    ANY fn KeSetTargetProcessorDpc(dpc: *mut Kdpc, number: i8) {
        at(dpc).number.set(number as u16 + 1024);
    }
    ANY fn KeSetTargetProcessorDpcEx(dpc: *mut Kdpc, _number: *mut u32) -> i32 {
        at(dpc).number.set(1024);
        0
    }
    ANY fn KeBugCheckEx(code: u32, first: u64, second: u64, third: u64, fourth: u64) {
        verify::bug_check(code, [first, second, third, fourth], "the driver called KeBugCheckEx");
    }
    ANY fn KeBugCheck(code: u32) {
        verify::bug_check(code, [0; 4], "the driver called KeBugCheck");
    }
    ANY fn KeRegisterBugCheckCallback(_record: *mut u8, _routine: usize, _buffer: *mut u8, _size: u32, _component: *const u8) -> u8 {
        1
    }
    ANY fn KeDeregisterBugCheckCallback(_record: *mut u8) -> u8 {
        1
    }
    ANY fn KeRegisterBugCheckReasonCallback(_record: *mut u8, _routine: usize, _reason: u32, _component: *const u8) -> u8 {
        1
    }
    ANY fn KeDeregisterBugCheckReasonCallback(_record: *mut u8) -> u8 {
        1
    }
    ANY fn IoGetCurrentProcess() -> *mut u8 {
        process::current_eprocess()
    }
}
