/* A device that takes one read at a time, and counts the writes that are inside it, without a lock for either: both mistakes lie
   between plain accesses to memory, with no call of the framework in between. On one processor it is right.

   A read finds the device free, takes it and gives it back; two can find it free. A write counts itself in and out; of two
   that count at once, one may not be counted, and the count is wrong when the handle is closed. */
#include <ntddk.h>
#include <wdf.h>

#include "../codes.h"

typedef struct _DEVICE_CONTEXT {
    WDFREQUEST Current;
    LONG Users;
} DEVICE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, GetDevice)

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_DEVICE_ADD DeviceAdd;
static EVT_WDF_IO_QUEUE_IO_READ IoRead;
static EVT_WDF_IO_QUEUE_IO_WRITE IoWrite;
static EVT_WDF_FILE_CLOSE FileClose;

/* Takes the device for a request, if it is free. */
static __declspec(noinline) BOOLEAN Take(DEVICE_CONTEXT *Device, WDFREQUEST Request)
{
    if (Device->Current != NULL)
        return FALSE;
    Device->Current = Request; /* the mistake: another processor may have found it free as well */
    return TRUE;
}

/* Gives the device back, and the request that has it. */
static __declspec(noinline) WDFREQUEST Release(DEVICE_CONTEXT *Device)
{
    WDFREQUEST request = Device->Current;

    Device->Current = NULL;
    return request;
}

static __declspec(noinline) VOID Enter(DEVICE_CONTEXT *Device)
{
    Device->Users++; /* the mistake: one instruction, and yet a read and a write */
}

static __declspec(noinline) VOID Leave(DEVICE_CONTEXT *Device)
{
    Device->Users--;
}

static VOID IoRead(WDFQUEUE Queue, WDFREQUEST Request, size_t Length)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(Queue));

    UNREFERENCED_PARAMETER(Length);
    if (Take(device, Request))
        WdfRequestComplete(Release(device), STATUS_SUCCESS);
    else
        WdfRequestComplete(Request, STATUS_DEVICE_BUSY);
}

static VOID IoWrite(WDFQUEUE Queue, WDFREQUEST Request, size_t Length)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(Queue));

    Enter(device);
    Leave(device);
    WdfRequestCompleteWithInformation(Request, STATUS_SUCCESS, Length);
}

static VOID FileClose(WDFFILEOBJECT FileObject)
{
    DEVICE_CONTEXT *device = GetDevice(WdfFileObjectGetDevice(FileObject));

    if (device->Users != 0)
        KeBugCheckEx(0xE2, (ULONG_PTR)device->Users, 0, 0, 0);
}

static NTSTATUS DeviceAdd(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit)
{
    static UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\TestUnlocked");
    WDF_FILEOBJECT_CONFIG file;
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_IO_QUEUE_CONFIG config;
    WDFDEVICE device;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(Driver);
    WDF_FILEOBJECT_CONFIG_INIT(&file, WDF_NO_EVENT_CALLBACK, FileClose, WDF_NO_EVENT_CALLBACK);
    WdfDeviceInitSetFileObjectConfig(DeviceInit, &file, WDF_NO_OBJECT_ATTRIBUTES);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, DEVICE_CONTEXT);
    status = WdfDeviceCreate(&DeviceInit, &attributes, &device);
    if (!NT_SUCCESS(status))
        return status;
    status = WdfDeviceCreateSymbolicLink(device, &link);
    if (!NT_SUCCESS(status))
        return status;
    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoRead = IoRead;
    config.EvtIoWrite = IoWrite;
    return WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;

    WDF_DRIVER_CONFIG_INIT(&config, DeviceAdd);
    return WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}
