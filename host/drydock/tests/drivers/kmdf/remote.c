/* A device that gets its data from another one, opened by name. A read is split into chunks: one created request, reused
   for each; the other controls show the rest of the remote target's life. The target object is made with the device and
   ends with it: a read may be using it while a control closes it, and a closed target refuses, where a deleted one would
   no longer be there.

   A read is shared by its chain of chunks and, once it is marked, its cancel routine. Each has one count of it; the one
   that gives up the last count completes it. A successful unmark takes the cancel routine's count as well. */
#include <ntddk.h>
#include <wdf.h>

#include "../codes.h"

/* Input: the name, UTF-16. */
#define CODE_OPEN TEST_CODE(0, METHOD_BUFFERED)
#define CODE_CLOSE TEST_CODE(1, METHOD_BUFFERED)
/* Input: ULONG, milliseconds to wait at most; output: what a synchronous read at offset 0 gives. */
#define CODE_READ_SYNCHRONOUSLY TEST_CODE(2, METHOD_BUFFERED)
/* Output: ULONG, WDF_IO_TARGET_STATE. */
#define CODE_STATE TEST_CODE(3, METHOD_BUFFERED)
/* Stops the target (what is sent stays) and starts it. */
#define CODE_STOP TEST_CODE(4, METHOD_BUFFERED)
#define CODE_START TEST_CODE(5, METHOD_BUFFERED)
/* Ends what is sent, and waits for it. */
#define CODE_PURGE TEST_CODE(6, METHOD_BUFFERED)

#define CHUNK 16

typedef struct _DEVICE_CONTEXT {
    WDFIOTARGET Target;
    BOOLEAN Open; /* written by the queue of controls, which takes them one by one */
} DEVICE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, GetDevice)

typedef struct _READ_CONTEXT {
    WDFSPINLOCK Lock;
    WDFREQUEST Sub; /* under the lock */
    LONG Counts;
    WDFMEMORY Buffer;
    size_t Length;
    size_t Done;
    LONGLONG Offset;
    NTSTATUS Status;
} READ_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(READ_CONTEXT, GetRead)

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_DEVICE_ADD DeviceAdd;
static EVT_WDF_IO_QUEUE_IO_READ IoRead;
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL IoControl;
static EVT_WDF_IO_QUEUE_IO_STOP IoStop;
static EVT_WDF_REQUEST_CANCEL ReadCanceled;
static EVT_WDF_REQUEST_COMPLETION_ROUTINE ChunkRead;

static VOID GiveUp(WDFREQUEST Request)
{
    READ_CONTEXT *read = GetRead(Request);

    if (InterlockedDecrement(&read->Counts) == 0)
        WdfRequestCompleteWithInformation(Request, read->Status, read->Done);
}

/* The chain of chunks is over. */
static VOID EndChain(WDFREQUEST Request, NTSTATUS Status)
{
    READ_CONTEXT *read = GetRead(Request);
    WDFREQUEST sub;

    WdfSpinLockAcquire(read->Lock);
    sub = read->Sub;
    read->Sub = NULL;
    WdfSpinLockRelease(read->Lock);
    /* It holds the read's buffer: it goes before the read is completed. */
    if (sub != NULL)
        WdfObjectDelete(sub);

    read->Status = Status;
    if (NT_SUCCESS(WdfRequestUnmarkCancelable(Request)))
        InterlockedDecrement(&read->Counts);
    GiveUp(Request);
}

/* Cancels the chunk on its way. */
static VOID CancelChunk(READ_CONTEXT *Read)
{
    WDFREQUEST sub;

    WdfSpinLockAcquire(Read->Lock);
    sub = Read->Sub;
    if (sub != NULL)
        WdfObjectReference(sub);
    WdfSpinLockRelease(Read->Lock);
    if (sub == NULL)
        return;
    WdfRequestCancelSentRequest(sub);
    WdfObjectDereference(sub);
}

static VOID ReadCanceled(WDFREQUEST Request)
{
    CancelChunk(GetRead(Request));
    GiveUp(Request);
}

static NTSTATUS SendChunk(WDFIOTARGET Target, WDFREQUEST Request)
{
    READ_CONTEXT *read = GetRead(Request);
    WDFMEMORY_OFFSET part;
    LONGLONG offset = read->Offset + read->Done;
    NTSTATUS status;

    part.BufferOffset = read->Done;
    part.BufferLength = min(CHUNK, read->Length - read->Done);
    status = WdfIoTargetFormatRequestForRead(Target, read->Sub, read->Buffer, &part, &offset);
    if (!NT_SUCCESS(status))
        return status;
    WdfRequestSetCompletionRoutine(read->Sub, ChunkRead, Request);
    if (!WdfRequestSend(read->Sub, Target, WDF_NO_SEND_OPTIONS))
        return WdfRequestGetStatus(read->Sub);
    return STATUS_SUCCESS;
}

static VOID ChunkRead(WDFREQUEST Sub, WDFIOTARGET Target, PWDF_REQUEST_COMPLETION_PARAMS Params, WDFCONTEXT Context)
{
    WDFREQUEST request = Context;
    READ_CONTEXT *read = GetRead(request);
    NTSTATUS status = Params->IoStatus.Status;
    WDF_REQUEST_REUSE_PARAMS reuse;
    BOOLEAN whole;

    if (NT_SUCCESS(status)) {
        whole = Params->IoStatus.Information == min(CHUNK, read->Length - read->Done);
        read->Done += Params->IoStatus.Information;
        if (!whole || read->Done == read->Length) {
            EndChain(request, STATUS_SUCCESS);
            return;
        }
        WDF_REQUEST_REUSE_PARAMS_INIT(&reuse, WDF_REQUEST_REUSE_NO_FLAGS, STATUS_NOT_SUPPORTED);
        status = WdfRequestReuse(Sub, &reuse);
        if (NT_SUCCESS(status))
            status = SendChunk(Target, request);
        if (NT_SUCCESS(status))
            return;
    }
    /* What came before the end of the data counts. */
    EndChain(request, status == STATUS_END_OF_FILE && read->Done != 0 ? STATUS_SUCCESS : status);
}

static NTSTATUS PrepareRead(WDFREQUEST Request, WDFIOTARGET Target, size_t Length)
{
    READ_CONTEXT *read = GetRead(Request);
    WDF_REQUEST_PARAMETERS parameters;
    WDF_OBJECT_ATTRIBUTES attributes;
    NTSTATUS status;

    WDF_REQUEST_PARAMETERS_INIT(&parameters);
    WdfRequestGetParameters(Request, &parameters);
    read->Offset = parameters.Parameters.Read.DeviceOffset;
    read->Length = Length;
    status = WdfRequestRetrieveOutputMemory(Request, &read->Buffer);
    if (!NT_SUCCESS(status))
        return status;
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = Request;
    status = WdfSpinLockCreate(&attributes, &read->Lock);
    if (!NT_SUCCESS(status))
        return status;
    return WdfRequestCreate(&attributes, Target, &read->Sub);
}

static VOID IoRead(WDFQUEUE Queue, WDFREQUEST Request, size_t Length)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(Queue));
    READ_CONTEXT *read = GetRead(Request);
    NTSTATUS status = PrepareRead(Request, device->Target, Length); /* fails while the target is not open */

    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(Request, status);
        return;
    }
    read->Counts = 2;
    status = WdfRequestMarkCancelableEx(Request, ReadCanceled);
    if (!NT_SUCCESS(status)) {
        WdfObjectDelete(read->Sub);
        WdfRequestComplete(Request, status);
        return;
    }
    /* From here on the cancel routine may run; the chain still has its count. */
    status = SendChunk(device->Target, Request);
    if (!NT_SUCCESS(status))
        EndChain(Request, status);
}

static NTSTATUS OpenTarget(WDFDEVICE Device, WDFREQUEST Request)
{
    DEVICE_CONTEXT *context = GetDevice(Device);
    WDF_IO_TARGET_OPEN_PARAMS open;
    UNICODE_STRING name;
    NTSTATUS status;
    size_t length;

    if (context->Open)
        return STATUS_INVALID_DEVICE_STATE;
    status = WdfRequestRetrieveInputBuffer(Request, sizeof(WCHAR), (PVOID *)&name.Buffer, &length);
    if (!NT_SUCCESS(status))
        return status;
    name.Length = name.MaximumLength = (USHORT)length;
    WDF_IO_TARGET_OPEN_PARAMS_INIT_OPEN_BY_NAME(&open, &name, GENERIC_READ | GENERIC_WRITE);
    status = WdfIoTargetOpen(context->Target, &open);
    context->Open = NT_SUCCESS(status);
    return status;
}

static NTSTATUS CloseTarget(DEVICE_CONTEXT *Context)
{
    if (!Context->Open)
        return STATUS_INVALID_DEVICE_STATE;
    Context->Open = FALSE;
    /* Returns when every chunk on its way is back; a chain that goes on then is refused. */
    WdfIoTargetClose(Context->Target);
    return STATUS_SUCCESS;
}

static NTSTATUS ReadSynchronously(DEVICE_CONTEXT *Context, WDFREQUEST Request, PULONG_PTR Bytes)
{
    WDF_MEMORY_DESCRIPTOR descriptor;
    WDF_REQUEST_SEND_OPTIONS options;
    size_t length;
    PVOID buffer;
    PULONG input;
    ULONG milliseconds;
    LONGLONG offset = 0;
    NTSTATUS status;

    if (!Context->Open)
        return STATUS_INVALID_DEVICE_STATE;
    status = WdfRequestRetrieveInputBuffer(Request, sizeof(ULONG), (PVOID *)&input, NULL);
    if (!NT_SUCCESS(status))
        return status;
    milliseconds = *input; /* input and output are one buffer */
    status = WdfRequestRetrieveOutputBuffer(Request, 1, &buffer, &length);
    if (!NT_SUCCESS(status))
        return status;
    WDF_MEMORY_DESCRIPTOR_INIT_BUFFER(&descriptor, buffer, (ULONG)length);
    WDF_REQUEST_SEND_OPTIONS_INIT(&options, 0);
    WDF_REQUEST_SEND_OPTIONS_SET_TIMEOUT(&options, WDF_REL_TIMEOUT_IN_MS(milliseconds));
    return WdfIoTargetSendReadSynchronously(Context->Target, NULL, &descriptor, &offset, &options, Bytes);
}

static NTSTATUS QueryState(DEVICE_CONTEXT *Context, WDFREQUEST Request, PULONG_PTR Bytes)
{
    PULONG state;
    NTSTATUS status = WdfRequestRetrieveOutputBuffer(Request, sizeof(ULONG), (PVOID *)&state, NULL);

    if (!NT_SUCCESS(status))
        return status;
    *state = Context->Open ? (ULONG)WdfIoTargetGetState(Context->Target) : (ULONG)WdfIoTargetClosed;
    *Bytes = sizeof(ULONG);
    return STATUS_SUCCESS;
}

static VOID IoControl(WDFQUEUE Queue, WDFREQUEST Request, size_t OutputLength, size_t InputLength, ULONG Code)
{
    WDFDEVICE device = WdfIoQueueGetDevice(Queue);
    DEVICE_CONTEXT *context = GetDevice(device);
    ULONG_PTR bytes = 0;
    NTSTATUS status;

    switch (Code) {
    case CODE_OPEN:
        status = OpenTarget(device, Request);
        break;
    case CODE_CLOSE:
        status = CloseTarget(context);
        break;
    case CODE_READ_SYNCHRONOUSLY:
        status = ReadSynchronously(context, Request, &bytes);
        break;
    case CODE_STATE:
        status = QueryState(context, Request, &bytes);
        break;
    case CODE_STOP:
    case CODE_START:
    case CODE_PURGE:
        status = context->Open ? STATUS_SUCCESS : STATUS_INVALID_DEVICE_STATE;
        if (!NT_SUCCESS(status))
            break;
        if (Code == CODE_STOP)
            WdfIoTargetStop(context->Target, WdfIoTargetLeaveSentIoPending);
        else if (Code == CODE_START)
            status = WdfIoTargetStart(context->Target);
        else
            WdfIoTargetPurge(context->Target, WdfIoTargetPurgeIoAndWait);
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
    }
    WdfRequestCompleteWithInformation(Request, status, bytes);
}

/* Called for reads that wait for the other device; they end when their chunk does. */
static VOID IoStop(WDFQUEUE Queue, WDFREQUEST Request, ULONG ActionFlags)
{
    if (ActionFlags & WdfRequestStopActionPurge)
        CancelChunk(GetRead(Request));
    else
        WdfRequestStopAcknowledge(Request, FALSE);
}

static NTSTATUS CreateQueues(WDFDEVICE Device)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_IO_QUEUE_CONFIG config;
    WDFQUEUE controls;
    NTSTATUS status;

    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoRead = IoRead;
    config.EvtIoStop = IoStop;
    status = WdfIoQueueCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
    if (!NT_SUCCESS(status))
        return status;

    /* Opening and synchronous reads need PASSIVE_LEVEL. */
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchSequential);
    config.EvtIoDeviceControl = IoControl;
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ExecutionLevel = WdfExecutionLevelPassive;
    status = WdfIoQueueCreate(Device, &config, &attributes, &controls);
    if (!NT_SUCCESS(status))
        return status;
    return WdfDeviceConfigureRequestDispatching(Device, controls, WdfRequestTypeDeviceControl);
}

static NTSTATUS DeviceAdd(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit)
{
    static UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\TestRemote");
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFDEVICE device;
    NTSTATUS status;

    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, READ_CONTEXT);
    WdfDeviceInitSetRequestAttributes(DeviceInit, &attributes);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, DEVICE_CONTEXT);
    status = WdfDeviceCreate(&DeviceInit, &attributes, &device);
    if (!NT_SUCCESS(status))
        return status;
    status = WdfDeviceCreateSymbolicLink(device, &link);
    if (!NT_SUCCESS(status))
        return status;
    status = WdfIoTargetCreate(device, WDF_NO_OBJECT_ATTRIBUTES, &GetDevice(device)->Target);
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
