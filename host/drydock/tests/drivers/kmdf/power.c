/* A device that goes to sleep with requests in its hands: a power-managed queue, EvtIoStop and EvtIoResume, self-managed
   I/O. It keeps every read and write until told, and writes down each callback. */
#include <ntddk.h>
#include <wdf.h>

#include "../codes.h"

/* Output: the journal, one letter per callback (see below), oldest first; the journal is empty then. */
#define CODE_JOURNAL TEST_CODE(0, METHOD_BUFFERED)
/* Completes everything the device has. */
#define CODE_FINISH TEST_CODE(1, METHOD_BUFFERED)
/* Output: ULONG, how many requests the device has. */
#define CODE_COUNT TEST_CODE(2, METHOD_BUFFERED)
/* EvtIoStop does nothing from now on: a mistake. */
#define CODE_FORGET TEST_CODE(3, METHOD_BUFFERED)

/* P PrepareHardware, E D0Entry, I SelfManagedIoInit, R SelfManagedIoRestart, S SelfManagedIoSuspend, X D0Exit,
   H ReleaseHardware, F SelfManagedIoFlush, C SelfManagedIoCleanup, G SurpriseRemoval;
   r request arrives, k request kept over the sleep, q requeued, p purged, u resumed, c canceled. */
#define JOURNAL_SIZE 128

typedef struct _DEVICE_CONTEXT {
    WDFSPINLOCK Lock;
    WDFCOLLECTION Kept; /* under the lock; a request leaves it before it is completed or requeued */
    BOOLEAN Forgets;
    ULONG Length;
    CHAR Journal[JOURNAL_SIZE];
} DEVICE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, GetDevice)

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_DEVICE_ADD DeviceAdd;
static EVT_WDF_DEVICE_PREPARE_HARDWARE PrepareHardware;
static EVT_WDF_DEVICE_RELEASE_HARDWARE ReleaseHardware;
static EVT_WDF_DEVICE_D0_ENTRY D0Entry;
static EVT_WDF_DEVICE_D0_EXIT D0Exit;
static EVT_WDF_DEVICE_SELF_MANAGED_IO_INIT SelfManagedIoInit;
static EVT_WDF_DEVICE_SELF_MANAGED_IO_SUSPEND SelfManagedIoSuspend;
static EVT_WDF_DEVICE_SELF_MANAGED_IO_RESTART SelfManagedIoRestart;
static EVT_WDF_DEVICE_SELF_MANAGED_IO_FLUSH SelfManagedIoFlush;
static EVT_WDF_DEVICE_SELF_MANAGED_IO_CLEANUP SelfManagedIoCleanup;
static EVT_WDF_DEVICE_SURPRISE_REMOVAL SurpriseRemoval;
static EVT_WDF_IO_QUEUE_IO_DEFAULT IoKeep;
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL IoControl;
static EVT_WDF_IO_QUEUE_IO_STOP IoStop;
static EVT_WDF_IO_QUEUE_IO_RESUME IoResume;
static EVT_WDF_REQUEST_CANCEL RequestCancel;

/* The journal's end is also printed when the device goes, when nobody can ask for it any more. */
static VOID Note(WDFDEVICE Device, CHAR Event)
{
    DEVICE_CONTEXT *context = GetDevice(Device);

    WdfSpinLockAcquire(context->Lock);
    if (context->Length < JOURNAL_SIZE)
        context->Journal[context->Length++] = Event;
    WdfSpinLockRelease(context->Lock);
}

static NTSTATUS PrepareHardware(WDFDEVICE Device, WDFCMRESLIST Raw, WDFCMRESLIST Translated)
{
    Note(Device, 'P');
    return STATUS_SUCCESS;
}

static NTSTATUS ReleaseHardware(WDFDEVICE Device, WDFCMRESLIST Translated)
{
    Note(Device, 'H');
    return STATUS_SUCCESS;
}

static NTSTATUS D0Entry(WDFDEVICE Device, WDF_POWER_DEVICE_STATE PreviousState)
{
    Note(Device, 'E');
    return STATUS_SUCCESS;
}

static NTSTATUS D0Exit(WDFDEVICE Device, WDF_POWER_DEVICE_STATE TargetState)
{
    Note(Device, 'X');
    return STATUS_SUCCESS;
}

static NTSTATUS SelfManagedIoInit(WDFDEVICE Device)
{
    Note(Device, 'I');
    return STATUS_SUCCESS;
}

static NTSTATUS SelfManagedIoSuspend(WDFDEVICE Device)
{
    Note(Device, 'S');
    return STATUS_SUCCESS;
}

static NTSTATUS SelfManagedIoRestart(WDFDEVICE Device)
{
    Note(Device, 'R');
    return STATUS_SUCCESS;
}

static VOID SelfManagedIoFlush(WDFDEVICE Device)
{
    Note(Device, 'F');
}

static VOID SelfManagedIoCleanup(WDFDEVICE Device)
{
    DEVICE_CONTEXT *context = GetDevice(Device);

    Note(Device, 'C');
    DbgPrint("power: %.*s\n", (int)context->Length, context->Journal);
}

static VOID SurpriseRemoval(WDFDEVICE Device)
{
    Note(Device, 'G');
}

/* Takes a request the device has, or any if none is named, together with its cancelability. NULL: it is being canceled,
   or there is none. */
static WDFREQUEST Take(DEVICE_CONTEXT *Context, WDFREQUEST Wanted)
{
    WDFREQUEST taken = NULL;
    ULONG i, count;

    WdfSpinLockAcquire(Context->Lock);
    count = WdfCollectionGetCount(Context->Kept);
    for (i = 0; i < count && taken == NULL; i++) {
        WDFREQUEST request = WdfCollectionGetItem(Context->Kept, i);

        if (Wanted != NULL && request != Wanted)
            continue;
        if (WdfRequestUnmarkCancelable(request) == STATUS_CANCELLED)
            continue;
        WdfCollectionRemoveItem(Context->Kept, i);
        taken = request;
    }
    WdfSpinLockRelease(Context->Lock);
    return taken;
}

static VOID RequestCancel(WDFREQUEST Request)
{
    WDFDEVICE device = WdfIoQueueGetDevice(WdfRequestGetIoQueue(Request));
    DEVICE_CONTEXT *context = GetDevice(device);

    WdfSpinLockAcquire(context->Lock);
    WdfCollectionRemove(context->Kept, Request);
    WdfSpinLockRelease(context->Lock);
    Note(device, 'c');
    WdfRequestComplete(Request, STATUS_CANCELLED);
}

static VOID IoKeep(WDFQUEUE Queue, WDFREQUEST Request)
{
    WDFDEVICE device = WdfIoQueueGetDevice(Queue);
    DEVICE_CONTEXT *context = GetDevice(device);
    NTSTATUS status;

    Note(device, 'r');
    WdfSpinLockAcquire(context->Lock);
    status = WdfCollectionAdd(context->Kept, Request);
    if (NT_SUCCESS(status)) {
        status = WdfRequestMarkCancelableEx(Request, RequestCancel);
        if (!NT_SUCCESS(status))
            WdfCollectionRemove(context->Kept, Request);
    }
    WdfSpinLockRelease(context->Lock);
    if (!NT_SUCCESS(status))
        WdfRequestComplete(Request, status);
}

/* Over a sleep reads stay with the device, writes go back to the queue. */
static VOID IoStop(WDFQUEUE Queue, WDFREQUEST Request, ULONG ActionFlags)
{
    WDFDEVICE device = WdfIoQueueGetDevice(Queue);
    WDF_REQUEST_PARAMETERS parameters;

    if (GetDevice(device)->Forgets)
        return;
    WDF_REQUEST_PARAMETERS_INIT(&parameters);
    WdfRequestGetParameters(Request, &parameters);
    if (!(ActionFlags & WdfRequestStopActionPurge) && parameters.Type == WdfRequestTypeRead) {
        Note(device, 'k');
        WdfRequestStopAcknowledge(Request, FALSE);
        return;
    }
    if (Take(GetDevice(device), Request) == NULL)
        return; /* its cancel routine completes it */
    if (ActionFlags & WdfRequestStopActionPurge) {
        Note(device, 'p');
        WdfRequestComplete(Request, STATUS_DEVICE_NOT_CONNECTED);
    } else {
        Note(device, 'q');
        WdfRequestStopAcknowledge(Request, TRUE);
    }
}

static VOID IoResume(WDFQUEUE Queue, WDFREQUEST Request)
{
    Note(WdfIoQueueGetDevice(Queue), 'u');
}

static NTSTATUS ReadJournal(DEVICE_CONTEXT *Context, WDFREQUEST Request, PULONG_PTR Bytes)
{
    PVOID buffer;
    NTSTATUS status = WdfRequestRetrieveOutputBuffer(Request, JOURNAL_SIZE, &buffer, NULL);

    if (!NT_SUCCESS(status))
        return status;
    WdfSpinLockAcquire(Context->Lock);
    RtlCopyMemory(buffer, Context->Journal, Context->Length);
    *Bytes = Context->Length;
    Context->Length = 0;
    WdfSpinLockRelease(Context->Lock);
    return STATUS_SUCCESS;
}

static NTSTATUS CountKept(DEVICE_CONTEXT *Context, WDFREQUEST Request, PULONG_PTR Bytes)
{
    PULONG count;
    NTSTATUS status = WdfRequestRetrieveOutputBuffer(Request, sizeof(ULONG), (PVOID *)&count, NULL);

    if (!NT_SUCCESS(status))
        return status;
    *count = WdfCollectionGetCount(Context->Kept);
    *Bytes = sizeof(ULONG);
    return STATUS_SUCCESS;
}

static VOID IoControl(WDFQUEUE Queue, WDFREQUEST Request, size_t OutputLength, size_t InputLength, ULONG Code)
{
    DEVICE_CONTEXT *context = GetDevice(WdfIoQueueGetDevice(Queue));
    ULONG_PTR bytes = 0;
    WDFREQUEST kept;
    NTSTATUS status;

    switch (Code) {
    case CODE_JOURNAL:
        status = ReadJournal(context, Request, &bytes);
        break;
    case CODE_FINISH:
        while ((kept = Take(context, NULL)) != NULL)
            WdfRequestComplete(kept, STATUS_SUCCESS);
        status = STATUS_SUCCESS;
        break;
    case CODE_COUNT:
        status = CountKept(context, Request, &bytes);
        break;
    case CODE_FORGET:
        context->Forgets = TRUE;
        status = STATUS_SUCCESS;
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
    }
    WdfRequestCompleteWithInformation(Request, status, bytes);
}

static NTSTATUS CreateQueues(WDFDEVICE Device)
{
    WDF_IO_QUEUE_CONFIG config;
    WDFQUEUE controls;
    NTSTATUS status;

    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoDefault = IoKeep;
    config.EvtIoStop = IoStop;
    config.EvtIoResume = IoResume;
    status = WdfIoQueueCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
    if (!NT_SUCCESS(status))
        return status;

    /* The journal can be read while the device sleeps. */
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchParallel);
    config.PowerManaged = WdfFalse;
    config.EvtIoDeviceControl = IoControl;
    status = WdfIoQueueCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, &controls);
    if (!NT_SUCCESS(status))
        return status;
    return WdfDeviceConfigureRequestDispatching(Device, controls, WdfRequestTypeDeviceControl);
}

static VOID SetCallbacks(PWDFDEVICE_INIT DeviceInit)
{
    WDF_PNPPOWER_EVENT_CALLBACKS callbacks;

    WDF_PNPPOWER_EVENT_CALLBACKS_INIT(&callbacks);
    callbacks.EvtDevicePrepareHardware = PrepareHardware;
    callbacks.EvtDeviceReleaseHardware = ReleaseHardware;
    callbacks.EvtDeviceD0Entry = D0Entry;
    callbacks.EvtDeviceD0Exit = D0Exit;
    callbacks.EvtDeviceSelfManagedIoInit = SelfManagedIoInit;
    callbacks.EvtDeviceSelfManagedIoSuspend = SelfManagedIoSuspend;
    callbacks.EvtDeviceSelfManagedIoRestart = SelfManagedIoRestart;
    callbacks.EvtDeviceSelfManagedIoFlush = SelfManagedIoFlush;
    callbacks.EvtDeviceSelfManagedIoCleanup = SelfManagedIoCleanup;
    callbacks.EvtDeviceSurpriseRemoval = SurpriseRemoval;
    WdfDeviceInitSetPnpPowerEventCallbacks(DeviceInit, &callbacks);
}

static NTSTATUS DeviceAdd(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit)
{
    static UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\TestPower");
    WDF_OBJECT_ATTRIBUTES attributes;
    DEVICE_CONTEXT *context;
    WDFDEVICE device;
    NTSTATUS status;

    SetCallbacks(DeviceInit);
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
    status = WdfCollectionCreate(&attributes, &context->Kept);
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
