/* A meeting place: a read waits for a write on the same channel and the other way round. The channel is the byte
   offset of the request. Both wait in manual queues; partners are found by their parameters. */
#include <ntddk.h>
#include <wdf.h>

#include "../codes.h"

/* Output: STATISTICS. */
#define CODE_STATISTICS TEST_CODE(0, METHOD_BUFFERED)
/* Stops and starts the queue of waiting readers. */
#define CODE_SUSPEND TEST_CODE(1, METHOD_BUFFERED)
#define CODE_RESUME TEST_CODE(2, METHOD_BUFFERED)

typedef struct _STATISTICS {
    ULONG WaitingReaders;
    ULONG WaitingWriters;
    ULONG Met;
    ULONG ReadyCalls;
    ULONG CanceledOnQueue;
} STATISTICS;

typedef struct _DEVICE_CONTEXT {
    WDFQUEUE Readers;
    WDFQUEUE Writers;
    WDFSPINLOCK Lock;
    LONG Met;
    LONG ReadyCalls;
    LONG CanceledOnQueue;
} DEVICE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, GetDevice)

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_DEVICE_ADD DeviceAdd;
static EVT_WDF_IO_QUEUE_IO_READ IoRead;
static EVT_WDF_IO_QUEUE_IO_WRITE IoWrite;
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL IoControl;
static EVT_WDF_IO_QUEUE_IO_CANCELED_ON_QUEUE CanceledOnQueue;
static EVT_WDF_IO_QUEUE_STATE QueueReady;

static LONGLONG Channel(const WDF_REQUEST_PARAMETERS *Parameters)
{
    return Parameters->Type == WdfRequestTypeRead ? Parameters->Parameters.Read.DeviceOffset
                                                  : Parameters->Parameters.Write.DeviceOffset;
}

/* The next waiting request after `After` (whose reference is given back), on one channel if it is given. The result is
   referenced, not owned. */
static NTSTATUS FindNext(WDFQUEUE Queue, WDFREQUEST After, const LONGLONG *Wanted, WDFREQUEST *Found, LONGLONG *On)
{
    WDFREQUEST tag = After;
    NTSTATUS status;

    for (;;) {
        WDF_REQUEST_PARAMETERS parameters;
        WDFREQUEST next = NULL;

        WDF_REQUEST_PARAMETERS_INIT(&parameters);
        status = WdfIoQueueFindRequest(Queue, tag, NULL, &parameters, &next);
        if (tag != NULL)
            WdfObjectDereference(tag);
        tag = NULL;
        if (status == STATUS_NOT_FOUND)
            continue; /* the tag has left the queue: again from its head */
        if (!NT_SUCCESS(status))
            return status;
        if (Wanted == NULL || Channel(&parameters) == *Wanted) {
            *Found = next;
            *On = Channel(&parameters);
            return STATUS_SUCCESS;
        }
        tag = next;
    }
}

/* Takes a reader and a writer of one channel out of their queues. */
static BOOLEAN TakePair(DEVICE_CONTEXT *Device, WDFREQUEST *Reader, WDFREQUEST *Writer)
{
    WDFREQUEST writer = NULL;
    LONGLONG channel;

    while (NT_SUCCESS(FindNext(Device->Writers, writer, NULL, &writer, &channel))) {
        WDFREQUEST reader;
        LONGLONG same;
        NTSTATUS status;

        if (!NT_SUCCESS(FindNext(Device->Readers, NULL, &channel, &reader, &same)))
            continue;
        status = WdfIoQueueRetrieveFoundRequest(Device->Readers, reader, Reader);
        WdfObjectDereference(reader);
        if (!NT_SUCCESS(status))
            continue; /* canceled in between, or the queue is stopped */
        status = WdfIoQueueRetrieveFoundRequest(Device->Writers, writer, Writer);
        WdfObjectDereference(writer);
        if (NT_SUCCESS(status))
            return TRUE;
        /* The writer was canceled: the reader goes back to the head and waits on. */
        writer = NULL;
        if (!NT_SUCCESS(WdfRequestRequeue(*Reader)))
            WdfRequestComplete(*Reader, STATUS_CANCELLED);
    }
    return FALSE;
}

/* The writer's bytes go to the reader, as many as fit. Completes both. */
static VOID Meet(DEVICE_CONTEXT *Device, WDFREQUEST Reader, WDFREQUEST Writer)
{
    size_t room = 0, length = 0;
    PVOID to, from;
    NTSTATUS status = WdfRequestRetrieveOutputBuffer(Reader, 1, &to, &room);

    if (NT_SUCCESS(status))
        status = WdfRequestRetrieveInputBuffer(Writer, 1, &from, &length);
    length = min(room, length);
    if (NT_SUCCESS(status))
        RtlCopyMemory(to, from, length);
    InterlockedIncrement(&Device->Met);
    WdfRequestCompleteWithInformation(Reader, status, length);
    WdfRequestCompleteWithInformation(Writer, status, length);
}

static VOID Match(DEVICE_CONTEXT *Device)
{
    WDFREQUEST reader, writer;
    BOOLEAN found;

    do {
        WdfSpinLockAcquire(Device->Lock);
        found = TakePair(Device, &reader, &writer);
        WdfSpinLockRelease(Device->Lock);
        if (found)
            Meet(Device, reader, writer);
    } while (found);
}

static VOID Wait(DEVICE_CONTEXT *Device, WDFREQUEST Request, WDFQUEUE Queue)
{
    NTSTATUS status = WdfRequestForwardToIoQueue(Request, Queue);

    if (NT_SUCCESS(status))
        Match(Device);
    else
        WdfRequestComplete(Request, status);
}

static VOID IoRead(WDFQUEUE Queue, WDFREQUEST Request, size_t Length)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(Queue));

    Wait(device, Request, device->Readers);
}

static VOID IoWrite(WDFQUEUE Queue, WDFREQUEST Request, size_t Length)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(Queue));

    Wait(device, Request, device->Writers);
}

/* Readers came where none were, or their queue was started. */
static VOID QueueReady(WDFQUEUE Queue, WDFCONTEXT Context)
{
    DEVICE_CONTEXT *device = Context;

    InterlockedIncrement(&device->ReadyCalls);
}

static VOID CanceledOnQueue(WDFQUEUE Queue, WDFREQUEST Request)
{
    InterlockedIncrement(&GetDevice(WdfIoQueueGetDevice(Queue))->CanceledOnQueue);
    WdfRequestComplete(Request, STATUS_CANCELLED);
}

static VOID IoControl(WDFQUEUE Queue, WDFREQUEST Request, size_t OutputLength, size_t InputLength, ULONG Code)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(Queue));
    STATISTICS *statistics;
    NTSTATUS status;

    switch (Code) {
    case CODE_STATISTICS:
        status = WdfRequestRetrieveOutputBuffer(Request, sizeof(*statistics), (PVOID *)&statistics, NULL);
        if (!NT_SUCCESS(status))
            break;
        WdfIoQueueGetState(device->Readers, &statistics->WaitingReaders, NULL);
        WdfIoQueueGetState(device->Writers, &statistics->WaitingWriters, NULL);
        statistics->Met = device->Met;
        statistics->ReadyCalls = device->ReadyCalls;
        statistics->CanceledOnQueue = device->CanceledOnQueue;
        WdfRequestCompleteWithInformation(Request, STATUS_SUCCESS, sizeof(*statistics));
        return;
    case CODE_SUSPEND:
        WdfIoQueueStop(device->Readers, NULL, NULL);
        status = STATUS_SUCCESS;
        break;
    case CODE_RESUME:
        WdfIoQueueStart(device->Readers);
        Match(device);
        status = STATUS_SUCCESS;
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
    }
    WdfRequestComplete(Request, status);
}

static NTSTATUS CreateQueues(WDFDEVICE Device, DEVICE_CONTEXT *Context)
{
    WDF_IO_QUEUE_CONFIG config;
    NTSTATUS status;

    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoRead = IoRead;
    config.EvtIoWrite = IoWrite;
    config.EvtIoDeviceControl = IoControl;
    config.PowerManaged = WdfFalse;
    status = WdfIoQueueCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
    if (!NT_SUCCESS(status))
        return status;

    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchManual);
    config.EvtIoCanceledOnQueue = CanceledOnQueue;
    config.PowerManaged = WdfFalse;
    status = WdfIoQueueCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, &Context->Readers);
    if (!NT_SUCCESS(status))
        return status;
    status = WdfIoQueueCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, &Context->Writers);
    if (!NT_SUCCESS(status))
        return status;
    return WdfIoQueueReadyNotify(Context->Readers, QueueReady, Context);
}

static NTSTATUS DeviceAdd(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit)
{
    static UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\TestManual");
    WDF_OBJECT_ATTRIBUTES attributes;
    DEVICE_CONTEXT *context;
    WDFDEVICE device;
    NTSTATUS status;

    WdfDeviceInitSetIoType(DeviceInit, WdfDeviceIoDirect);
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
    status = WdfDeviceCreateSymbolicLink(device, &link);
    if (!NT_SUCCESS(status))
        return status;
    return CreateQueues(device, context);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;

    WDF_DRIVER_CONFIG_INIT(&config, DeviceAdd);
    return WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}
