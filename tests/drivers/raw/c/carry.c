/* A filter that carries every read, write and control down with a completion routine and counts it on both ways: as short as a
   careful author writes it. The target is looked up once, and the completion routine is given the device's context. */
#include <ntddk.h>
#include <wdf.h>

typedef struct _DEVICE_CONTEXT {
    WDFIOTARGET Lower;
    LONG Sent;
    LONG Returned;
} DEVICE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, GetDevice)

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_DEVICE_ADD DeviceAdd;
static EVT_WDF_IO_QUEUE_IO_DEFAULT IoAny;
static EVT_WDF_IO_QUEUE_IO_STOP IoStop;
static EVT_WDF_REQUEST_COMPLETION_ROUTINE Returned;

static VOID Returned(WDFREQUEST Request, WDFIOTARGET Target, PWDF_REQUEST_COMPLETION_PARAMS Params, WDFCONTEXT Context)
{
    DEVICE_CONTEXT *device = Context;

    InterlockedIncrement(&device->Returned);
    WdfRequestComplete(Request, Params->IoStatus.Status);
}

static VOID IoAny(WDFQUEUE Queue, WDFREQUEST Request)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(Queue));

    InterlockedIncrement(&device->Sent);
    WdfRequestFormatRequestUsingCurrentType(Request);
    WdfRequestSetCompletionRoutine(Request, Returned, device);
    if (!WdfRequestSend(Request, device->Lower, WDF_NO_SEND_OPTIONS)) {
        InterlockedDecrement(&device->Sent);
        WdfRequestComplete(Request, WdfRequestGetStatus(Request));
    }
}

/* The device is being removed: what waits below must come back first. */
static VOID IoStop(WDFQUEUE Queue, WDFREQUEST Request, ULONG ActionFlags)
{
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
    GetDevice(device)->Lower = WdfDeviceGetIoTarget(device);

    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.PowerManaged = WdfFalse;
    config.AllowZeroLengthRequests = TRUE;
    config.EvtIoDefault = IoAny;
    config.EvtIoStop = IoStop;
    return WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;

    WDF_DRIVER_CONFIG_INIT(&config, DeviceAdd);
    return WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}
