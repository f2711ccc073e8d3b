/* The shortest way through the framework, for measuring: controls that are answered in the dispatch routine, and
   controls that wait in a manual queue until they are canceled. It has no name, so there may be any number of devices. */
#include <ntddk.h>
#include <wdf.h>

#include "../codes.h"

/* Output: the input. */
#define CODE_ECHO TEST_CODE(0, METHOD_BUFFERED)
/* Waits in the manual queue. */
#define CODE_KEEP TEST_CODE(1, METHOD_BUFFERED)
/* Output: how many wait, a ULONG. */
#define CODE_WAITING TEST_CODE(2, METHOD_BUFFERED)

typedef struct _DEVICE_CONTEXT {
    WDFQUEUE Kept;
} DEVICE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, GetDevice)

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_DEVICE_ADD DeviceAdd;
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL IoControl;

static VOID IoControl(WDFQUEUE Queue, WDFREQUEST Request, size_t OutputLength, size_t InputLength, ULONG Code)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(Queue));
    size_t length = 0, room = 0;
    PVOID in, out;
    NTSTATUS status;

    switch (Code) {
    case CODE_ECHO:
        status = WdfRequestRetrieveInputBuffer(Request, 1, &in, &length);
        if (NT_SUCCESS(status))
            status = WdfRequestRetrieveOutputBuffer(Request, length, &out, &room);
        if (!NT_SUCCESS(status))
            length = 0;
        else if (out != in) /* METHOD_BUFFERED: one buffer for both ways */
            RtlCopyMemory(out, in, length);
        break;
    case CODE_KEEP:
        status = WdfRequestForwardToIoQueue(Request, device->Kept);
        if (NT_SUCCESS(status))
            return;
        break;
    case CODE_WAITING:
        status = WdfRequestRetrieveOutputBuffer(Request, sizeof(ULONG), &out, &room);
        if (NT_SUCCESS(status)) {
            WdfIoQueueGetState(device->Kept, (PULONG)out, NULL);
            length = sizeof(ULONG);
        }
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
    }
    WdfRequestCompleteWithInformation(Request, status, length);
}

static NTSTATUS DeviceAdd(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_IO_QUEUE_CONFIG config;
    WDFDEVICE device;
    NTSTATUS status;

    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, DEVICE_CONTEXT);
    status = WdfDeviceCreate(&DeviceInit, &attributes, &device);
    if (!NT_SUCCESS(status))
        return status;
    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoDeviceControl = IoControl;
    config.PowerManaged = WdfFalse;
    status = WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
    if (!NT_SUCCESS(status))
        return status;
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchManual);
    config.PowerManaged = WdfFalse;
    return WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, &GetDevice(device)->Kept);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;

    WDF_DRIVER_CONFIG_INIT(&config, DeviceAdd);
    return WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}
