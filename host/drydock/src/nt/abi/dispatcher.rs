//! Dispatcher objects (what threads wait for), DPCs, timers, work items.

use super::{Deferred, Field, ListEntry, Worker, layout};

/// Types of dispatcher objects, as their header names them.
pub mod object_type {
    #![expect(missing_docs, reason = "the values of KOBJECTS")]
    pub const EVENT_NOTIFICATION: u8 = 0;
    pub const EVENT_SYNCHRONIZATION: u8 = 1;
    pub const MUTANT: u8 = 2;
    pub const PROCESS: u8 = 3;
    pub const SEMAPHORE: u8 = 5;
    pub const THREAD: u8 = 6;
    pub const TIMER_NOTIFICATION: u8 = 8;
    pub const TIMER_SYNCHRONIZATION: u8 = 9;
    pub const DPC: u8 = 19;
    pub const DPC_THREADED: u8 = 26;
}

/// DISPATCHER_HEADER.
#[repr(C)]
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "the fields carry the names every driver engineer knows them by"
)]
pub struct DispatcherHeader {
    pub kind: Field<u8>,
    pub absolute: Field<u8>,
    pub size: Field<u8>,
    pub inserted: Field<u8>,
    /// Positive is signaled (a mutant: 1 is free). Written under the dispatcher lock of `nt::wait`.
    pub signal_state: Field<i32>,
    pub wait_list_head: ListEntry,
}
layout!(DispatcherHeader, "DISPATCHER_HEADER", 0x18, { kind: 0, size: 2, signal_state: 4, wait_list_head: 8 });

impl DispatcherHeader {
    /// Makes this the header of an object of `kind` with `longs` 32-bit words.
    pub fn initialize(&self, kind: u8, longs: u8, state: i32) {
        self.kind.set(kind);
        self.absolute.set(0);
        self.size.set(longs);
        self.inserted.set(0);
        self.signal_state.set(state);
        self.wait_list_head.make_empty();
    }
}

/// KEVENT.
#[repr(C)]
#[derive(Debug)]
pub struct Kevent {
    /// The whole of it.
    pub header: DispatcherHeader,
}
layout!(Kevent, "KEVENT", 0x18, { header: 0 });

/// KSEMAPHORE.
#[repr(C)]
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "the fields carry the names every driver engineer knows them by"
)]
pub struct Ksemaphore {
    pub header: DispatcherHeader,
    pub limit: Field<i32>,
    pub padding: Field<u32>,
}
layout!(Ksemaphore, "KSEMAPHORE", 0x20, { header: 0, limit: 0x18 });

/// KMUTANT (KMUTEX).
#[repr(C)]
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "the fields carry the names every driver engineer knows them by"
)]
pub struct Kmutant {
    pub header: DispatcherHeader,
    pub mutant_list_entry: ListEntry,
    pub owner_thread: Field<*mut u8>,
    pub abandoned: Field<u8>,
    pub apc_disable: Field<u8>,
    pub padding: [Field<u8>; 6],
}
layout!(Kmutant, "KMUTANT", 0x38, { header: 0, mutant_list_entry: 0x18, owner_thread: 0x28, abandoned: 0x30, apc_disable: 0x31 });

/// FAST_MUTEX (also KGUARDED_MUTEX).
#[repr(C)]
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "the fields carry the names every driver engineer knows them by"
)]
pub struct FastMutex {
    /// 1 is free.
    pub count: Field<i32>,
    pub reserved: Field<u32>,
    pub owner: Field<*mut u8>,
    pub contention: Field<u32>,
    pub event: Kevent,
    pub old_irql: Field<u32>,
    pub padding: Field<u32>,
}
layout!(FastMutex, "FAST_MUTEX", 0x38, { count: 0, owner: 8, contention: 0x10, event: 0x18, old_irql: 0x30 });

/// KDPC.
#[repr(C)]
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "the fields carry the names every driver engineer knows them by"
)]
pub struct Kdpc {
    pub kind: Field<u8>,
    pub importance: Field<u8>,
    pub number: Field<u16>,
    pub reserved: Field<u32>,
    pub dpc_list_entry: Field<*mut u8>,
    pub processor_history: Field<u64>,
    pub deferred_routine: Field<Option<Deferred>>,
    pub deferred_context: Field<*mut u8>,
    pub system_argument1: Field<*mut u8>,
    pub system_argument2: Field<*mut u8>,
    /// Not null while the DPC is queued: one more than the number of the thread whose processor it waits on.
    pub dpc_data: Field<*mut u8>,
}
layout!(Kdpc, "KDPC", 0x40, {
    kind: 0, importance: 1, number: 2, dpc_list_entry: 8, processor_history: 0x10, deferred_routine: 0x18,
    deferred_context: 0x20, system_argument1: 0x28, system_argument2: 0x30, dpc_data: 0x38,
});

/// KTIMER.
#[repr(C)]
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "the fields carry the names every driver engineer knows them by"
)]
pub struct Ktimer {
    pub header: DispatcherHeader,
    pub due_time: Field<u64>,
    pub timer_list_entry: ListEntry,
    pub dpc: Field<*mut Kdpc>,
    pub processor: Field<u32>,
    pub period: Field<u32>,
}
layout!(Ktimer, "KTIMER", 0x40, { header: 0, due_time: 0x18, timer_list_entry: 0x20, dpc: 0x30, processor: 0x38, period: 0x3c });

/// WORK_QUEUE_ITEM.
#[repr(C)]
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "the fields carry the names every driver engineer knows them by"
)]
pub struct WorkQueueItem {
    pub list: ListEntry,
    pub worker_routine: Field<Option<Worker>>,
    pub parameter: Field<*mut u8>,
}
layout!(WorkQueueItem, "WORK_QUEUE_ITEM", 0x20, { list: 0, worker_routine: 0x10, parameter: 0x18 });

/// IO_REMOVE_LOCK's common block.
#[repr(C)]
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "the fields carry the names every driver engineer knows them by"
)]
pub struct RemoveLock {
    pub removed: Field<u8>,
    pub reserved: [Field<u8>; 3],
    pub io_count: std::sync::atomic::AtomicI32,
    pub remove_event: super::Kevent,
}
layout!(RemoveLock, "IO_REMOVE_LOCK", 0x20, { removed: 0, io_count: 4, remove_event: 8 });
