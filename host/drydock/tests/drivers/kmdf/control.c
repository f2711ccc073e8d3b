/* A driver without hardware: one control device, made in DriverEntry. Its METHOD_NEITHER control is locked down in the
   caller's thread and worked on in a system thread; each handle keeps its own account. */
#include <ntifs.h>
#include <ntddk.h>
#include <wdf.h>

#include "../codes.h"

/* Input: bytes; output: the same bytes, each with all its bits flipped. */
#define CODE_FLIP TEST_CODE(0, METHOD_NEITHER)
/* Output: ACCOUNT of this handle. */
#define CODE_ACCOUNT TEST_CODE(1, METHOD_BUFFERED)

#define FORBIDDEN L"\\forbidden"

typedef struct _ACCOUNT {
    ULONG Controls;
    ULONG InCallersProcess; /* EvtIoInCallerContext ran in the requestor's process */
    ULONG HandlesOpen;
    ULONG HandlesClosed;
} ACCOUNT;

typedef struct _FILE_CONTEXT {
    LONG Controls;
    LONG InCallersProcess;
    BOOLEAN CleanedUp;
} FILE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(FILE_CONTEXT, GetFile)

typedef struct _DEVICE_CONTEXT {
    LONG HandlesOpen;
    LONG HandlesClosed;
} DEVICE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, GetDevice)

typedef struct _REQUEST_CONTEXT {
    WDFMEMORY In;
    WDFMEMORY Out;
} REQUEST_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(REQUEST_CONTEXT, GetRequest)

typedef struct _WORK_CONTEXT {
    WDFREQUEST Request;
} WORK_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(WORK_CONTEXT, GetWork)

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_UNLOAD Unload;
static EVT_WDF_DEVICE_FILE_CREATE FileCreate;
static EVT_WDF_FILE_CLEANUP FileCleanup;
static EVT_WDF_FILE_CLOSE FileClose;
static EVT_WDF_IO_IN_CALLER_CONTEXT InCallerContext;
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL IoControl;
static EVT_WDF_WORKITEM Work;

static VOID FileCreate(WDFDEVICE Device, WDFREQUEST Request, WDFFILEOBJECT FileObject)
{
    static UNICODE_STRING forbidden = RTL_CONSTANT_STRING(FORBIDDEN);

    if (RtlEqualUnicodeString(WdfFileObjectGetFileName(FileObject), &forbidden, TRUE)) {
        WdfRequestComplete(Request, STATUS_OBJECT_NAME_NOT_FOUND);
        return;
    }
    InterlockedIncrement(&GetDevice(Device)->HandlesOpen);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID FileCleanup(WDFFILEOBJECT FileObject)
{
    GetFile(FileObject)->CleanedUp = TRUE;
}

static VOID FileClose(WDFFILEOBJECT FileObject)
{
    DEVICE_CONTEXT *device = GetDevice(WdfFileObjectGetDevice(FileObject));

    InterlockedDecrement(&device->HandlesOpen);
    if (GetFile(FileObject)->CleanedUp)
        InterlockedIncrement(&device->HandlesClosed);
}

/* Locks the caller's buffers, which only its own thread can reach. */
static NTSTATUS LockBuffers(WDFREQUEST Request)
{
    REQUEST_CONTEXT *context = GetRequest(Request);
    size_t in, out;
    PVOID from, to;
    NTSTATUS status;

    status = WdfRequestRetrieveUnsafeUserInputBuffer(Request, 1, &from, &in);
    if (NT_SUCCESS(status))
        status = WdfRequestRetrieveUnsafeUserOutputBuffer(Request, in, &to, &out);
    if (NT_SUCCESS(status))
        status = WdfRequestProbeAndLockUserBufferForRead(Request, from, in, &context->In);
    if (NT_SUCCESS(status))
        status = WdfRequestProbeAndLockUserBufferForWrite(Request, to, in, &context->Out);
    return status;
}

static VOID InCallerContext(WDFDEVICE Device, WDFREQUEST Request)
{
    FILE_CONTEXT *file = GetFile(WdfRequestGetFileObject(Request));
    WDF_REQUEST_PARAMETERS parameters;
    NTSTATUS status = STATUS_SUCCESS;

    if (IoGetRequestorProcessId(WdfRequestWdmGetIrp(Request)) == (ULONG)(ULONG_PTR)PsGetCurrentProcessId())
        InterlockedIncrement(&file->InCallersProcess);
    WDF_REQUEST_PARAMETERS_INIT(&parameters);
    WdfRequestGetParameters(Request, &parameters);
    if (parameters.Type == WdfRequestTypeDeviceControl &&
        parameters.Parameters.DeviceIoControl.IoControlCode == CODE_FLIP)
        status = LockBuffers(Request);
    if (NT_SUCCESS(status))
        status = WdfDeviceEnqueueRequest(Device, Request);
    if (!NT_SUCCESS(status))
        WdfRequestComplete(Request, status);
}

/* In a system thread: only the locked pages are there. */
static VOID Work(WDFWORKITEM WorkItem)
{
    WDFREQUEST request = GetWork(WorkItem)->Request;
    REQUEST_CONTEXT *context = GetRequest(request);
    size_t length, room, i;
    PUCHAR in = WdfMemoryGetBuffer(context->In, &length);
    PUCHAR out = WdfMemoryGetBuffer(context->Out, &room);

    for (i = 0; i < length && i < room; i++)
        out[i] = (UCHAR)~in[i];
    WdfObjectDelete(WorkItem);
    WdfRequestCompleteWithInformation(request, STATUS_SUCCESS, i);
}

static NTSTATUS StartWork(WDFDEVICE Device, WDFREQUEST Request)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_WORKITEM_CONFIG config;
    WDFWORKITEM work;
    NTSTATUS status;

    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, WORK_CONTEXT);
    attributes.ParentObject = Device;
    WDF_WORKITEM_CONFIG_INIT(&config, Work);
    status = WdfWorkItemCreate(&config, &attributes, &work);
    if (!NT_SUCCESS(status))
        return status;
    GetWork(work)->Request = Request;
    WdfWorkItemEnqueue(work);
    return STATUS_SUCCESS;
}

static VOID IoControl(WDFQUEUE Queue, WDFREQUEST Request, size_t OutputLength, size_t InputLength, ULONG Code)
{
    WDFDEVICE device = WdfIoQueueGetDevice(Queue);
    FILE_CONTEXT *file = GetFile(WdfRequestGetFileObject(Request));
    ACCOUNT *account;
    NTSTATUS status;

    InterlockedIncrement(&file->Controls);
    switch (Code) {
    case CODE_FLIP:
        status = StartWork(device, Request);
        if (NT_SUCCESS(status))
            return;
        break;
    case CODE_ACCOUNT:
        status = WdfRequestRetrieveOutputBuffer(Request, sizeof(*account), (PVOID *)&account, NULL);
        if (!NT_SUCCESS(status))
            break;
        account->Controls = file->Controls;
        account->InCallersProcess = file->InCallersProcess;
        account->HandlesOpen = GetDevice(device)->HandlesOpen;
        account->HandlesClosed = GetDevice(device)->HandlesClosed;
        WdfRequestCompleteWithInformation(Request, STATUS_SUCCESS, sizeof(*account));
        return;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
    }
    WdfRequestComplete(Request, status);
}

static NTSTATUS Configure(PWDFDEVICE_INIT Init)
{
    static UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\TestControl");
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_FILEOBJECT_CONFIG files;

    WdfDeviceInitSetDeviceType(Init, FILE_DEVICE_UNKNOWN);
    WdfDeviceInitSetIoInCallerContextCallback(Init, InCallerContext);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, REQUEST_CONTEXT);
    WdfDeviceInitSetRequestAttributes(Init, &attributes);
    WDF_FILEOBJECT_CONFIG_INIT(&files, FileCreate, FileClose, FileCleanup);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, FILE_CONTEXT);
    WdfDeviceInitSetFileObjectConfig(Init, &files, &attributes);
    return WdfDeviceInitAssignName(Init, &name);
}

static NTSTATUS FinishDevice(WDFDEVICE Device)
{
    static UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\TestControl");
    WDF_IO_QUEUE_CONFIG config;
    NTSTATUS status = WdfDeviceCreateSymbolicLink(Device, &link);

    if (!NT_SUCCESS(status))
        return status;
    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoDeviceControl = IoControl;
    status = WdfIoQueueCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
    if (NT_SUCCESS(status))
        WdfControlFinishInitializing(Device);
    return status;
}

/* The framework deletes a control device that is left when a driver without PnP devices is unloaded. */
static VOID Unload(WDFDRIVER Driver)
{
    DbgPrint("control: unloaded\n");
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static UNICODE_STRING everyone = RTL_CONSTANT_STRING(L"D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GRGW;;;WD)");
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_DRIVER_CONFIG config;
    PWDFDEVICE_INIT init;
    WDFDRIVER driver;
    WDFDEVICE device;
    NTSTATUS status;

    WDF_DRIVER_CONFIG_INIT(&config, WDF_NO_EVENT_CALLBACK);
    config.DriverInitFlags |= WdfDriverInitNonPnpDriver;
    config.EvtDriverUnload = Unload;
    status = WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, &driver);
    if (!NT_SUCCESS(status))
        return status;

    init = WdfControlDeviceInitAllocate(driver, &everyone);
    if (init == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = Configure(init);
    if (NT_SUCCESS(status)) {
        WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, DEVICE_CONTEXT);
        status = WdfDeviceCreate(&init, &attributes, &device);
    }
    if (!NT_SUCCESS(status)) {
        WdfDeviceInitFree(init);
        return status;
    }
    status = FinishDevice(device);
    if (!NT_SUCCESS(status))
        WdfObjectDelete(device);
    return status;
}
