/* A filter above any device: reads, writes and controls go down and come back through a completion routine, internal
   controls are sent and forgotten. It answers one control itself and keeps counts. */
#include <ntddk.h>
#include <wdf.h>

#include "../codes.h"

/* Output: COUNTS. Answered by the filter. */
#define CODE_COUNTS TEST_CODE(0x101, METHOD_BUFFERED)

typedef struct _COUNTS {
    LONG Sent;
    LONG Returned;
    LONG Forgotten;
    LONG Refused;  /* could not be sent */
    LONG Canceled; /* by EvtIoStop */
    LONG Bytes;
} COUNTS;

typedef struct _DEVICE_CONTEXT {
    COUNTS Counts;
} DEVICE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, GetDevice)

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_DEVICE_ADD DeviceAdd;
static EVT_WDF_IO_QUEUE_IO_DEFAULT IoAny;
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL IoControl;
static EVT_WDF_IO_QUEUE_IO_INTERNAL_DEVICE_CONTROL IoInternal;
static EVT_WDF_IO_QUEUE_IO_STOP IoStop;
static EVT_WDF_REQUEST_COMPLETION_ROUTINE Returned;

static VOID Returned(WDFREQUEST Request, WDFIOTARGET Target, PWDF_REQUEST_COMPLETION_PARAMS Params, WDFCONTEXT Context)
{
    DEVICE_CONTEXT *device = Context;

    InterlockedIncrement(&device->Counts.Returned);
    InterlockedExchangeAdd(&device->Counts.Bytes, (LONG)Params->IoStatus.Information);
    WdfRequestComplete(Request, Params->IoStatus.Status);
}

static VOID SendDown(WDFDEVICE Device, WDFREQUEST Request)
{
    DEVICE_CONTEXT *context = GetDevice(Device);

    InterlockedIncrement(&context->Counts.Sent);
    WdfRequestFormatRequestUsingCurrentType(Request);
    WdfRequestSetCompletionRoutine(Request, Returned, context);
    if (!WdfRequestSend(Request, WdfDeviceGetIoTarget(Device), WDF_NO_SEND_OPTIONS)) {
        InterlockedDecrement(&context->Counts.Sent);
        InterlockedIncrement(&context->Counts.Refused);
        WdfRequestComplete(Request, WdfRequestGetStatus(Request));
    }
}

static VOID Forget(WDFDEVICE Device, WDFREQUEST Request)
{
    DEVICE_CONTEXT *context = GetDevice(Device);
    WDF_REQUEST_SEND_OPTIONS options;

    InterlockedIncrement(&context->Counts.Forgotten);
    WDF_REQUEST_SEND_OPTIONS_INIT(&options, WDF_REQUEST_SEND_OPTION_SEND_AND_FORGET);
    if (!WdfRequestSend(Request, WdfDeviceGetIoTarget(Device), &options)) {
        InterlockedDecrement(&context->Counts.Forgotten);
        InterlockedIncrement(&context->Counts.Refused);
        WdfRequestComplete(Request, WdfRequestGetStatus(Request));
    }
}

static VOID IoAny(WDFQUEUE Queue, WDFREQUEST Request)
{
    SendDown(WdfIoQueueGetDevice(Queue), Request);
}

static VOID IoControl(WDFQUEUE Queue, WDFREQUEST Request, size_t OutputLength, size_t InputLength, ULONG Code)
{
    WDFDEVICE device = WdfIoQueueGetDevice(Queue);
    COUNTS *counts;
    NTSTATUS status;

    if (Code != CODE_COUNTS) {
        SendDown(device, Request);
        return;
    }
    status = WdfRequestRetrieveOutputBuffer(Request, sizeof(*counts), (PVOID *)&counts, NULL);
    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(Request, status);
        return;
    }
    *counts = GetDevice(device)->Counts;
    WdfRequestCompleteWithInformation(Request, STATUS_SUCCESS, sizeof(*counts));
}

static VOID IoInternal(WDFQUEUE Queue, WDFREQUEST Request, size_t OutputLength, size_t InputLength, ULONG Code)
{
    Forget(WdfIoQueueGetDevice(Queue), Request);
}

/* Only at removal: the queue is not power-managed. What waits below must come back first. */
static VOID IoStop(WDFQUEUE Queue, WDFREQUEST Request, ULONG ActionFlags)
{
    InterlockedIncrement(&GetDevice(WdfIoQueueGetDevice(Queue))->Counts.Canceled);
    WdfRequestCancelSentRequest(Request);
}

static NTSTATUS DeviceAdd(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_IO_QUEUE_CONFIG config;
    WDFDEVICE device;
    NTSTATUS status;

    WdfFdoInitSetFilter(DeviceInit);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, DEVICE_CONTEXT);
    status = WdfDeviceCreate(&DeviceInit, &attributes, &device);
    if (!NT_SUCCESS(status))
        return status;

    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.PowerManaged = WdfFalse;
    config.AllowZeroLengthRequests = TRUE;
    config.EvtIoDefault = IoAny;
    config.EvtIoDeviceControl = IoControl;
    config.EvtIoInternalDeviceControl = IoInternal;
    config.EvtIoStop = IoStop;
    return WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;

    WDF_DRIVER_CONFIG_INIT(&config, DeviceAdd);
    return WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}
