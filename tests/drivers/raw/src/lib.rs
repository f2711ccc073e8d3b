//! raw: a filter that carries everything down with a completion routine and counts it on both ways. The same as `through`, on the bare
//! calls of `wdk-sys`: what the wrappers of `wdf` are measured against.
#![no_std]

// The panic handler: a bug check that names the place.
extern crate wdk_panic;

use core::{
    ffi::CStr,
    ptr,
    sync::atomic::{AtomicPtr, AtomicU32, Ordering},
};

use wdk_sys::{
    _WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent,
    _WDF_IO_QUEUE_DISPATCH_TYPE::WdfIoQueueDispatchParallel,
    _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent, _WDF_TRI_STATE::WdfFalse,
    NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT, PWDF_REQUEST_COMPLETION_PARAMS, PWDFDEVICE_INIT,
    WDF_DRIVER_CONFIG, WDF_IO_QUEUE_CONFIG, WDF_OBJECT_ATTRIBUTES, WDF_OBJECT_CONTEXT_TYPE_INFO,
    WDFCONTEXT, WDFDEVICE, WDFDRIVER, WDFIOTARGET, WDFIOTARGET__, WDFQUEUE, WDFREQUEST,
    call_unsafe_wdf_function_binding,
};

const STATUS_SUCCESS: NTSTATUS = 0;

/// A filter device: all zero at first.
struct Filter {
    lower: AtomicPtr<WDFIOTARGET__>,
    sent: AtomicU32,
    returned: AtomicU32,
}

static FILTER: Record = Record::new::<Filter>(c"Raw filter");

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
/// `device` is a live device of this driver.
unsafe fn filter<'a>(device: WDFDEVICE) -> Option<&'a Filter> {
    // SAFETY: the device is live (contract); the record is a static.
    let space = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfObjectGetTypedContextWorker,
            device.cast(),
            &raw const FILTER.0
        )
    };
    // SAFETY: null, or zeroed space of a Filter's size, aligned to 8, there while the device is.
    unsafe { space.cast::<Filter>().as_ref() }
}

/// Sends `request`, with its completion to come back to [`returned`].
///
/// # Safety
/// `queue` has just delivered `request`.
unsafe fn carry(queue: WDFQUEUE, request: WDFREQUEST) {
    // SAFETY: the queue is live.
    let device = unsafe { call_unsafe_wdf_function_binding!(WdfIoQueueGetDevice, queue) };
    // SAFETY: the device is live while its queues deliver.
    let Some(filter) = (unsafe { filter(device) }) else {
        return;
    };
    filter.sent.fetch_add(1, Ordering::Relaxed);
    // SAFETY: owned.
    unsafe {
        call_unsafe_wdf_function_binding!(WdfRequestFormatRequestUsingCurrentType, request);
    };
    // SAFETY: owned; the context outlives its device's requests.
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfRequestSetCompletionRoutine,
            request,
            Some(returned),
            ptr::from_ref(filter).cast_mut().cast()
        );
    };
    // SAFETY: owned, formatted, not cancelable; the target is the device's own.
    let sent = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfRequestSend,
            request,
            filter.lower.load(Ordering::Relaxed),
            ptr::null_mut()
        )
    };
    if sent == 0 {
        // SAFETY: a failed send leaves the request to its sender.
        let status = unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetStatus, request) };
        // SAFETY: owned.
        unsafe { call_unsafe_wdf_function_binding!(WdfRequestComplete, request, status) };
    }
}

unsafe extern "C" fn evt_io_read(queue: WDFQUEUE, request: WDFREQUEST, _length: usize) {
    // SAFETY: just delivered.
    unsafe { carry(queue, request) };
}

unsafe extern "C" fn evt_io_write(queue: WDFQUEUE, request: WDFREQUEST, _length: usize) {
    // SAFETY: just delivered.
    unsafe { carry(queue, request) };
}

unsafe extern "C" fn evt_io_control(
    queue: WDFQUEUE,
    request: WDFREQUEST,
    _output: usize,
    _input: usize,
    _code: u32,
) {
    // SAFETY: just delivered.
    unsafe { carry(queue, request) };
}

/// The device is being removed: what is below comes back.
unsafe extern "C" fn evt_io_stop(_queue: WDFQUEUE, request: WDFREQUEST, _flags: u32) {
    // SAFETY: the framework keeps the object during the callback; a request that is not below is left alone.
    let _ = unsafe { call_unsafe_wdf_function_binding!(WdfRequestCancelSentRequest, request) };
}

unsafe extern "C" fn returned(
    request: WDFREQUEST,
    _target: WDFIOTARGET,
    parameters: PWDF_REQUEST_COMPLETION_PARAMS,
    context: WDFCONTEXT,
) {
    // SAFETY: `carry` has passed the device's context, which outlives its requests.
    if let Some(filter) = unsafe { context.cast::<Filter>().as_ref() } {
        filter.returned.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: the framework passes a structure that is valid during the call.
    let io_status = unsafe { (*parameters).IoStatus };
    // SAFETY: the status is the arm in use.
    let status = unsafe { io_status.__bindgen_anon_1.Status };
    // SAFETY: owned again.
    unsafe { call_unsafe_wdf_function_binding!(WdfRequestComplete, request, status) };
}

unsafe extern "C" fn evt_device_add(_driver: WDFDRIVER, init: PWDFDEVICE_INIT) -> NTSTATUS {
    let mut init = init;
    let mut attributes = attributes(&FILTER);
    let mut device: WDFDEVICE = ptr::null_mut();
    // SAFETY: the framework's own, for this call.
    unsafe { call_unsafe_wdf_function_binding!(WdfFdoInitSetFilter, init) };
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
    // SAFETY: just created.
    let lower = unsafe { call_unsafe_wdf_function_binding!(WdfDeviceGetIoTarget, device) };
    // SAFETY: just created.
    if let Some(filter) = unsafe { filter(device) } {
        filter.lower.store(lower, Ordering::Relaxed);
    }
    let mut config = WDF_IO_QUEUE_CONFIG {
        Size: size_u32::<WDF_IO_QUEUE_CONFIG>(),
        DispatchType: WdfIoQueueDispatchParallel,
        PowerManaged: WdfFalse,
        DefaultQueue: 1,
        AllowZeroLengthRequests: 1,
        EvtIoRead: Some(evt_io_read),
        EvtIoWrite: Some(evt_io_write),
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
