/* A device with one mistake that only the order of threads brings to light: who finishes a request takes it back from its
   cancel routine, but does not look whether that came first. Right on every run but those in which the cancellation
   falls between two calls. */
#include <ntddk.h>
#include <wdf.h>

#include "../codes.h"

/* The device is done with the request it works on, now. */
#define CODE_FINISH TEST_CODE(0, METHOD_BUFFERED)

typedef struct _DEVICE_CONTEXT {
    WDFSPINLOCK Lock;
    WDFREQUEST Current; /* under the lock */
} DEVICE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, GetDevice)

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_DEVICE_ADD DeviceAdd;
static EVT_WDF_IO_QUEUE_IO_READ IoRead;
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL IoControl;
static EVT_WDF_REQUEST_CANCEL RequestCancel;

static VOID RequestCancel(WDFREQUEST Request)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(WdfRequestGetIoQueue(Request)));

    WdfSpinLockAcquire(device->Lock);
    device->Current = NULL;
    WdfSpinLockRelease(device->Lock);
    WdfRequestComplete(Request, STATUS_CANCELLED);
}

static VOID IoRead(WDFQUEUE Queue, WDFREQUEST Request, size_t Length)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(Queue));
    NTSTATUS status;

    UNREFERENCED_PARAMETER(Length);
    WdfSpinLockAcquire(device->Lock);
    status = device->Current == NULL ? WdfRequestMarkCancelableEx(Request, RequestCancel) : STATUS_DEVICE_BUSY;
    if (NT_SUCCESS(status))
        device->Current = Request;
    WdfSpinLockRelease(device->Lock);
    if (!NT_SUCCESS(status))
        WdfRequestComplete(Request, status);
}

static VOID IoControl(WDFQUEUE Queue, WDFREQUEST Request, size_t OutputLength, size_t InputLength, ULONG Code)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(Queue));
    WDFREQUEST current;

    UNREFERENCED_PARAMETER(OutputLength);
    UNREFERENCED_PARAMETER(InputLength);
    if (Code != CODE_FINISH) {
        WdfRequestComplete(Request, STATUS_INVALID_DEVICE_REQUEST);
        return;
    }
    WdfSpinLockAcquire(device->Lock);
    current = device->Current;
    device->Current = NULL;
    WdfSpinLockRelease(device->Lock);
    if (current != NULL) {
        WdfRequestUnmarkCancelable(current); /* the mistake */
        WdfRequestComplete(current, STATUS_SUCCESS);
    }
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static NTSTATUS DeviceAdd(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit)
{
    static UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\TestRacy");
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_IO_QUEUE_CONFIG config;
    WDFDEVICE device;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(Driver);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, DEVICE_CONTEXT);
    status = WdfDeviceCreate(&DeviceInit, &attributes, &device);
    if (!NT_SUCCESS(status))
        return status;
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = device;
    status = WdfSpinLockCreate(&attributes, &GetDevice(device)->Lock);
    if (!NT_SUCCESS(status))
        return status;
    status = WdfDeviceCreateSymbolicLink(device, &link);
    if (!NT_SUCCESS(status))
        return status;
    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoRead = IoRead;
    config.EvtIoDeviceControl = IoControl;
    return WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;

    WDF_DRIVER_CONFIG_INIT(&config, DeviceAdd);
    return WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}
