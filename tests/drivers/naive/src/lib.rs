//! naive: reads wait, parked, until a control finishes them or their originator cancels them. Right, but for one mistake: it is `wdf`'s
//! protocol, from `wdf`'s own source, on atomics whose exchange looks first and writes then. Between two calls of the framework, so that
//! only exploring inside image code can see it. `parking` is the same without the mistake.
#![no_std]

// The panic handler: a bug check that names the place.
extern crate wdk_panic;

mod atomic;
#[path = "../../../../crates/wdf/src/request/state.rs"]
#[expect(dead_code, reason = "nothing is sent here")]
mod state;

use core::{
    ffi::CStr,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use state::{Claimed, State};
use wdk_sys::{
    _WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent,
    _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchParallel,
    _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent, _WDF_TRI_STATE::WdfFalse,
    NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT, PWDFDEVICE_INIT, WDF_DRIVER_CONFIG,
    WDF_IO_QUEUE_CONFIG, WDF_OBJECT_ATTRIBUTES, WDF_OBJECT_CONTEXT_TYPE_INFO, WDFDEVICE, WDFDRIVER,
    WDFOBJECT, WDFQUEUE, WDFREQUEST, WDFREQUEST__, call_unsafe_wdf_function_binding,
};

const STATUS_SUCCESS: NTSTATUS = 0;
const STATUS_DEVICE_BUSY: NTSTATUS = 0x8000_0011_u32.cast_signed();
const STATUS_CANCELLED: NTSTATUS = 0xC000_0120_u32.cast_signed();

/// A device: one read waits. All zero at first.
struct Lot {
    /// Referenced while it is here.
    waiting: AtomicPtr<WDFREQUEST__>,
}

static LOT: Record = Record::new::<Lot>(c"Naive lot");

/// What is kept on a request. All zero at first.
struct Ticket {
    state: State,
}

static TICKET: Record = Record::new::<Ticket>(c"Naive ticket");

/// A type record, as `WDF_DECLARE_CONTEXT_TYPE` makes one.
#[repr(transparent)]
struct Record(WDF_OBJECT_CONTEXT_TYPE_INFO);

// SAFETY: never written; its pointer is to a constant.
unsafe impl Sync for Record {}

impl Record {
    const fn new<T>(name: &'static CStr) -> Self {
        Self(WDF_OBJECT_CONTEXT_TYPE_INFO {
            Size: size_u32::<WDF_OBJECT_CONTEXT_TYPE_INFO>(),
            ContextName: name.as_ptr().cast_mut(),
            ContextSize: size_of::<T>(),
            UniqueType: ptr::null(),
            EvtDriverGetUniqueContextType: None,
        })
    }
}

/// `sizeof` as the framework's structures want it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "structures of the framework are small"
)]
const fn size_u32<T>() -> u32 {
    size_of::<T>() as u32
}

/// `WDF_OBJECT_ATTRIBUTES_INIT`, with a context type.
fn attributes(info: &'static Record) -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        Size: size_u32::<WDF_OBJECT_ATTRIBUTES>(),
        ExecutionLevel: WdfExecutionLevelInheritFromParent,
        SynchronizationScope: WdfSynchronizationScopeInheritFromParent,
        ContextTypeInfo: &raw const info.0,
        ..WDF_OBJECT_ATTRIBUTES::default()
    }
}

/// # Safety
/// `object` exists, and `record` is that of a `T`, for which all zero is valid.
unsafe fn context<'a, T>(object: WDFOBJECT, record: &'static Record) -> Option<&'a T> {
    // SAFETY: the object exists (contract); the record is a static.
    let space = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfObjectGetTypedContextWorker,
            object,
            &raw const record.0
        )
    };
    // SAFETY: null, or zeroed space of a T's size, aligned to 8, there while the object is.
    unsafe { space.cast::<T>().as_ref() }
}

/// # Safety
/// `queue` is live.
unsafe fn lot<'a>(queue: WDFQUEUE) -> Option<&'a Lot> {
    // SAFETY: live (contract).
    let device = unsafe { call_unsafe_wdf_function_binding!(WdfIoQueueGetDevice, queue) };
    // SAFETY: a queue's device is live.
    unsafe { context(device.cast(), &LOT) }
}

/// # Safety
/// `request` is owned and not cancelable.
unsafe fn complete(request: WDFREQUEST, status: NTSTATUS) {
    // SAFETY: owned (contract).
    unsafe { call_unsafe_wdf_function_binding!(WdfRequestComplete, request, status) };
}

/// # Safety
/// `request` exists.
unsafe fn reference(request: WDFREQUEST) {
    // SAFETY: it exists (contract).
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfObjectReferenceActual,
            request.cast(),
            ptr::null_mut(),
            0,
            ptr::null_mut()
        );
    };
}

/// Gives a reference back.
///
/// # Safety
/// `request` is null, or a reference on it is the caller's.
unsafe fn dereference(request: WDFREQUEST) {
    if request.is_null() {
        return;
    }
    // SAFETY: the caller's reference (contract).
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfObjectDereferenceActual,
            request.cast(),
            ptr::null_mut(),
            0,
            ptr::null_mut()
        );
    };
}

impl Lot {
    /// Whatever waits, with its reference.
    fn take(&self) -> WDFREQUEST {
        self.waiting.swap(ptr::null_mut(), Ordering::AcqRel)
    }
}

/// A read waits.
unsafe extern "C" fn evt_io_read(queue: WDFQUEUE, request: WDFREQUEST, _length: usize) {
    // SAFETY: it delivers.
    let lot = unsafe { lot(queue) };
    // SAFETY: owned.
    let ticket = unsafe { context::<Ticket>(request.cast(), &TICKET) };
    let (Some(lot), Some(ticket)) = (lot, ticket) else {
        return;
    };
    if !lot.waiting.load(Ordering::Acquire).is_null() {
        // SAFETY: owned.
        unsafe { complete(request, STATUS_DEVICE_BUSY) };
        return;
    }
    // SAFETY: owned: it exists.
    unsafe { reference(request) };
    let parking = ticket.state.filling();
    // SAFETY: owned, not cancelable.
    let marked = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfRequestMarkCancelableEx,
            request,
            Some(evt_request_cancel)
        )
    };
    if marked != STATUS_SUCCESS || !ticket.state.marked(parking) {
        // SAFETY: taken above.
        unsafe { dereference(request) };
        // SAFETY: not marked, or its callback has left it here.
        unsafe { complete(request, STATUS_CANCELLED) };
        return;
    }
    // SAFETY: what was there, if anything, was there with its reference.
    unsafe { dereference(lot.waiting.swap(request, Ordering::AcqRel)) };
    if !ticket.state.is_parked(parking) {
        // Its callback may have looked for it too early.
        // SAFETY: as above.
        unsafe { dereference(lot.take()) };
    }
}

unsafe extern "C" fn evt_request_cancel(request: WDFREQUEST) {
    // SAFETY: the framework keeps it during the callback.
    let Some(ticket) = (unsafe { context::<Ticket>(request.cast(), &TICKET) }) else {
        return;
    };
    if !ticket.state.callback() {
        return;
    }
    // SAFETY: it has a queue: only such requests can be marked.
    let queue = unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetIoQueue, request) };
    // SAFETY: the queue of an owned request is live.
    if let Some(lot) = unsafe { lot(queue) } {
        // SAFETY: with its reference.
        unsafe { dereference(lot.take()) };
    }
    // SAFETY: `callback` has given it to this call.
    unsafe { complete(request, STATUS_CANCELLED) };
}

/// A control ends whatever waits.
unsafe extern "C" fn evt_io_control(
    queue: WDFQUEUE,
    request: WDFREQUEST,
    _output: usize,
    _input: usize,
    _code: u32,
) {
    // SAFETY: it delivers.
    if let Some(lot) = unsafe { lot(queue) } {
        let waiting = lot.take();
        if !waiting.is_null() {
            // SAFETY: referenced.
            unsafe { finish(waiting) };
            // SAFETY: the reference of the place it was taken from.
            unsafe { dereference(waiting) };
        }
    }
    // SAFETY: owned.
    unsafe { complete(request, STATUS_SUCCESS) };
}

/// # Safety
/// `request` exists.
unsafe fn finish(request: WDFREQUEST) {
    // SAFETY: it exists (contract).
    let Some(ticket) = (unsafe { context::<Ticket>(request.cast(), &TICKET) }) else {
        return;
    };
    let claimed = ticket.state.claim_any(|| {
        // SAFETY: it is marked, and from CLAIMED nobody else completes it; so it would be.
        let status =
            unsafe { call_unsafe_wdf_function_binding!(WdfRequestUnmarkCancelable, request) };
        status == STATUS_SUCCESS
    });
    let status = match claimed {
        Claimed::Owned => STATUS_SUCCESS,
        Claimed::Canceled => STATUS_CANCELLED,
        Claimed::No => return,
    };
    // SAFETY: claimed.
    unsafe { complete(request, status) };
}

/// The device is being removed: what waits ends.
unsafe extern "C" fn evt_io_stop(_queue: WDFQUEUE, request: WDFREQUEST, _flags: u32) {
    // SAFETY: the framework keeps it during the callback.
    unsafe { finish(request) };
}

unsafe extern "C" fn evt_device_add(_driver: WDFDRIVER, init: PWDFDEVICE_INIT) -> NTSTATUS {
    let mut init = init;
    let mut of_requests = attributes(&TICKET);
    // SAFETY: the framework's own, for this call; the attributes are copied.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceInitSetRequestAttributes,
            init,
            &raw mut of_requests
        );
    };
    let mut attributes = attributes(&LOT);
    let mut device: WDFDEVICE = ptr::null_mut();
    // SAFETY: as above; the rest are locals.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDeviceCreate,
            &raw mut init,
            &raw mut attributes,
            &raw mut device
        )
    };
    if status != STATUS_SUCCESS {
        return status;
    }
    let mut config = WDF_IO_QUEUE_CONFIG {
        Size: size_u32::<WDF_IO_QUEUE_CONFIG>(),
        DispatchType: WdfIoQueueDispatchParallel,
        PowerManaged: WdfFalse,
        DefaultQueue: 1,
        EvtIoRead: Some(evt_io_read),
        EvtIoDeviceControl: Some(evt_io_control),
        EvtIoStop: Some(evt_io_stop),
        ..WDF_IO_QUEUE_CONFIG::default()
    };
    config.Settings.Parallel.NumberOfPresentedRequests = u32::MAX;
    // SAFETY: just created; the configuration is a local.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfIoQueueCreate,
            device,
            &raw mut config,
            ptr::null_mut(),
            ptr::null_mut()
        )
    }
}

// SAFETY: the one symbol of this name in the image; the framework's entry stub calls it.
#[unsafe(export_name = "DriverEntry")]
unsafe extern "system" fn driver_entry(
    driver: PDRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    let mut config = WDF_DRIVER_CONFIG {
        Size: size_u32::<WDF_DRIVER_CONFIG>(),
        EvtDriverDeviceAdd: Some(evt_device_add),
        ..WDF_DRIVER_CONFIG::default()
    };
    // SAFETY: the arguments are those of DriverEntry; the configuration is a local.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDriverCreate,
            driver,
            registry_path,
            ptr::null_mut(),
            &raw mut config,
            ptr::null_mut()
        )
    }
}
