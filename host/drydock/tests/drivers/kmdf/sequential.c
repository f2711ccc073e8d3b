/* A device that works on one request at a time, and on each for a while: a sequential queue, requests that can be
   canceled while the device works on them, and a timer whose DPC ends them.

   Who completes the request the device works on: whoever takes it out of the device context under the lock. The timer
   takes it only together with a successful unmark. */
#include <ntddk.h>
#include <wdf.h>

#include "../codes.h"

/* Input: ULONG, milliseconds the device needs for a request; 0: none; FOREVER: until told. */
#define CODE_LATENCY TEST_CODE(0, METHOD_BUFFERED)
/* The device is done with the request it works on, now. */
#define CODE_FINISH TEST_CODE(1, METHOD_BUFFERED)
/* Output: STATISTICS. */
#define CODE_STATISTICS TEST_CODE(2, METHOD_BUFFERED)

#define FOREVER 0xFFFFFFFF
#define MEMORY_SIZE 256

typedef struct _STATISTICS {
    ULONG Started;
    ULONG Finished;
    ULONG Canceled;
    ULONG CanceledBefore; /* canceled before they could be marked */
    ULONG MostAtOnce;
    ULONG FinishedAtDispatch;
    ULONG Working; /* 1 while the device has a request that can be finished or canceled */
} STATISTICS;

typedef struct _DEVICE_CONTEXT {
    WDFSPINLOCK Lock;
    WDFTIMER Timer;
    /* Under the lock. */
    WDFREQUEST Current;
    ULONG AtOnce;
    STATISTICS Statistics;
    ULONG Latency;
    UCHAR Memory[MEMORY_SIZE];
} DEVICE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, GetDevice)

/* What is done with the request when the device is ready. */
typedef struct _REQUEST_CONTEXT {
    PVOID Buffer;
    ULONG Offset;
    ULONG Length;
    BOOLEAN Store;
} REQUEST_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(REQUEST_CONTEXT, GetRequest)

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_DEVICE_ADD DeviceAdd;
static EVT_WDF_IO_QUEUE_IO_READ IoRead;
static EVT_WDF_IO_QUEUE_IO_WRITE IoWrite;
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL IoControl;
static EVT_WDF_IO_QUEUE_IO_STOP IoStop;
static EVT_WDF_REQUEST_CANCEL RequestCancel;
static EVT_WDF_TIMER TimerExpired;

static VOID Begin(DEVICE_CONTEXT *Device)
{
    WdfSpinLockAcquire(Device->Lock);
    Device->Statistics.Started++;
    Device->AtOnce++;
    Device->Statistics.MostAtOnce = max(Device->Statistics.MostAtOnce, Device->AtOnce);
    WdfSpinLockRelease(Device->Lock);
}

/* The request is the caller's. */
static VOID Finish(DEVICE_CONTEXT *Device, WDFREQUEST Request)
{
    REQUEST_CONTEXT *context = GetRequest(Request);

    if (context->Store)
        RtlCopyMemory(Device->Memory + context->Offset, context->Buffer, context->Length);
    else
        RtlCopyMemory(context->Buffer, Device->Memory + context->Offset, context->Length);
    WdfSpinLockAcquire(Device->Lock);
    Device->Statistics.Finished++;
    Device->AtOnce--;
    WdfSpinLockRelease(Device->Lock);
    WdfRequestCompleteWithInformation(Request, STATUS_SUCCESS, context->Length);
}

/* Takes the request the device works on away from its cancel routine; NULL if that has it already. */
static WDFREQUEST TakeCurrent(DEVICE_CONTEXT *Device)
{
    WDFREQUEST request;

    WdfSpinLockAcquire(Device->Lock);
    request = Device->Current;
    /* While it is Current, its cancel routine has not completed it: unmarking is allowed. */
    if (request != NULL && WdfRequestUnmarkCancelable(request) == STATUS_CANCELLED)
        request = NULL;
    Device->Current = NULL;
    WdfSpinLockRelease(Device->Lock);
    return request;
}

static VOID TimerExpired(WDFTIMER Timer)
{
    DEVICE_CONTEXT *device = GetDevice(WdfTimerGetParentObject(Timer));
    WDFREQUEST request = TakeCurrent(device);

    if (request == NULL)
        return;
    if (KeGetCurrentIrql() == DISPATCH_LEVEL)
        device->Statistics.FinishedAtDispatch++;
    Finish(device, request);
}

static VOID RequestCancel(WDFREQUEST Request)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(WdfRequestGetIoQueue(Request)));

    WdfSpinLockAcquire(device->Lock);
    if (device->Current == Request)
        device->Current = NULL;
    device->Statistics.Canceled++;
    device->AtOnce--;
    WdfSpinLockRelease(device->Lock);
    WdfRequestComplete(Request, STATUS_CANCELLED);
}

static VOID Start(WDFQUEUE Queue, WDFREQUEST Request)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(Queue));
    ULONG latency = device->Latency;
    NTSTATUS status;

    Begin(device);
    if (latency == 0) {
        Finish(device, Request);
        return;
    }
    WdfSpinLockAcquire(device->Lock);
    status = WdfRequestMarkCancelableEx(Request, RequestCancel);
    if (NT_SUCCESS(status)) {
        device->Current = Request;
    } else {
        device->AtOnce--;
        device->Statistics.CanceledBefore++;
    }
    WdfSpinLockRelease(device->Lock);
    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(Request, status);
        return;
    }
    if (latency != FOREVER)
        WdfTimerStart(device->Timer, WDF_REL_TIMEOUT_IN_MS(latency));
}

/* Remembers the transfer, clipped to the device's memory; completes what lies outside. */
static BOOLEAN Prepare(WDFREQUEST Request, PVOID Buffer, size_t Length, BOOLEAN Store)
{
    REQUEST_CONTEXT *context = GetRequest(Request);
    WDF_REQUEST_PARAMETERS parameters;
    LONGLONG offset;

    WDF_REQUEST_PARAMETERS_INIT(&parameters);
    WdfRequestGetParameters(Request, &parameters);
    offset = Store ? parameters.Parameters.Write.DeviceOffset : parameters.Parameters.Read.DeviceOffset;
    if (offset < 0 || offset >= MEMORY_SIZE) {
        WdfRequestComplete(Request, STATUS_INVALID_PARAMETER);
        return FALSE;
    }
    context->Buffer = Buffer;
    context->Offset = (ULONG)offset;
    context->Length = (ULONG)min(Length, (size_t)(MEMORY_SIZE - offset));
    context->Store = Store;
    return TRUE;
}

static VOID IoRead(WDFQUEUE Queue, WDFREQUEST Request, size_t Length)
{
    PVOID buffer;
    NTSTATUS status = WdfRequestRetrieveOutputBuffer(Request, 1, &buffer, &Length);

    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(Request, status);
        return;
    }
    if (Prepare(Request, buffer, Length, FALSE))
        Start(Queue, Request);
}

static VOID IoWrite(WDFQUEUE Queue, WDFREQUEST Request, size_t Length)
{
    PVOID buffer;
    NTSTATUS status = WdfRequestRetrieveInputBuffer(Request, 1, &buffer, &Length);

    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(Request, status);
        return;
    }
    if (Prepare(Request, buffer, Length, TRUE))
        Start(Queue, Request);
}

static VOID IoControl(WDFQUEUE Queue, WDFREQUEST Request, size_t OutputLength, size_t InputLength, ULONG Code)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(Queue));
    ULONG_PTR information = 0;
    NTSTATUS status;
    PVOID buffer;

    switch (Code) {
    case CODE_LATENCY:
        status = WdfRequestRetrieveInputBuffer(Request, sizeof(ULONG), &buffer, NULL);
        if (NT_SUCCESS(status))
            device->Latency = *(PULONG)buffer;
        break;
    case CODE_FINISH:
        WdfTimerStart(device->Timer, 0);
        status = STATUS_SUCCESS;
        break;
    case CODE_STATISTICS:
        status = WdfRequestRetrieveOutputBuffer(Request, sizeof(STATISTICS), &buffer, NULL);
        if (NT_SUCCESS(status)) {
            WdfSpinLockAcquire(device->Lock);
            *(STATISTICS *)buffer = device->Statistics;
            ((STATISTICS *)buffer)->Working = device->Current != NULL;
            WdfSpinLockRelease(device->Lock);
            information = sizeof(STATISTICS);
        }
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
    }
    WdfRequestCompleteWithInformation(Request, status, information);
}

/* The device cannot work without power, and does not wait for the request to end by itself. */
static VOID IoStop(WDFQUEUE Queue, WDFREQUEST Request, ULONG ActionFlags)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(Queue));

    /* Only the current request can be owned here: the queue is sequential. */
    if (TakeCurrent(device) == NULL)
        return; /* its cancel routine or the timer has it */
    WdfSpinLockAcquire(device->Lock);
    device->AtOnce--;
    WdfSpinLockRelease(device->Lock);
    if (ActionFlags & WdfRequestStopActionPurge)
        WdfRequestComplete(Request, STATUS_DEVICE_NOT_CONNECTED);
    else
        WdfRequestStopAcknowledge(Request, TRUE);
}

static NTSTATUS CreateQueues(WDFDEVICE Device)
{
    WDF_IO_QUEUE_CONFIG config;
    WDFQUEUE controls;
    NTSTATUS status;

    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchSequential);
    config.EvtIoRead = IoRead;
    config.EvtIoWrite = IoWrite;
    config.EvtIoStop = IoStop;
    status = WdfIoQueueCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
    if (!NT_SUCCESS(status))
        return status;

    /* Controls get through while the device is busy. */
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchParallel);
    config.PowerManaged = WdfFalse;
    config.EvtIoDeviceControl = IoControl;
    status = WdfIoQueueCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, &controls);
    if (!NT_SUCCESS(status))
        return status;
    return WdfDeviceConfigureRequestDispatching(Device, controls, WdfRequestTypeDeviceControl);
}

static NTSTATUS DeviceAdd(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit)
{
    static UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\TestSequential");
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_TIMER_CONFIG timer;
    DEVICE_CONTEXT *context;
    WDFDEVICE device;
    NTSTATUS status;

    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, REQUEST_CONTEXT);
    WdfDeviceInitSetRequestAttributes(DeviceInit, &attributes);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, DEVICE_CONTEXT);
    status = WdfDeviceCreate(&DeviceInit, &attributes, &device);
    if (!NT_SUCCESS(status))
        return status;
    context = GetDevice(device);

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = device;
    status = WdfSpinLockCreate(&attributes, &context->Lock);
    if (!NT_SUCCESS(status))
        return status;
    WDF_TIMER_CONFIG_INIT(&timer, TimerExpired);
    status = WdfTimerCreate(&timer, &attributes, &context->Timer);
    if (!NT_SUCCESS(status))
        return status;
    status = WdfDeviceCreateSymbolicLink(device, &link);
    if (!NT_SUCCESS(status))
        return status;
    return CreateQueues(device);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;

    WDF_DRIVER_CONFIG_INIT(&config, DeviceAdd);
    return WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}
