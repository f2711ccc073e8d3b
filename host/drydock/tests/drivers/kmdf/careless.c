/* A driver for `drydock check`: clean, unless its service's parameter Mistake says which mistake it makes. Every mistake is one
   that only some of the phases can bring to light. */
#include <ntifs.h>
#include <ntddk.h>
#include <wdf.h>

#include "../codes.h"

/* Output: the input, or as much of it as there is room for. */
#define CODE_ECHO TEST_CODE(0, METHOD_BUFFERED)
/* Waits in the manual queue. */
#define CODE_KEEP TEST_CODE(1, METHOD_BUFFERED)
/* Fills the output. */
#define CODE_FILL TEST_CODE(2, METHOD_OUT_DIRECT)
/* Adds up the input. */
#define CODE_ADD TEST_CODE(3, METHOD_NEITHER)
/* Waits with the driver, cancelable. */
#define CODE_HOLD TEST_CODE(4, METHOD_BUFFERED)

enum {
    Clean,
    LeaksOnOpen,         /* pool, one block per handle */
    ReportsTooMuch,      /* Information of a read is one more than there is room for */
    WritesTooMuch,       /* one byte behind a direct output buffer */
    BelievesAddresses,   /* touches user memory without a probe */
    CompletesCancelable, /* a held request, without unmarking it */
    ForgetsToStop,       /* keeps held requests through a power-down */
    IgnoresFailure,      /* of an allocation when the device is added */
    NeedsHardware,       /* a resource nobody has */
    CallsWhatIsNotThere, /* a function of the framework for interrupts */
};

#define TAG 'lrsC'

typedef struct _DEVICE_CONTEXT {
    WDFQUEUE Kept;
    WDFSPINLOCK Lock;
    WDFREQUEST Held; /* under the lock */
    ULONG *Account;
} DEVICE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, GetDevice)

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_DEVICE_ADD DeviceAdd;
static EVT_WDF_DEVICE_PREPARE_HARDWARE PrepareHardware;
static EVT_WDF_DEVICE_FILE_CREATE FileCreate;
static EVT_WDF_IO_IN_CALLER_CONTEXT InCallerContext;
static EVT_WDF_IO_QUEUE_IO_READ IoRead;
static EVT_WDF_IO_QUEUE_IO_WRITE IoWrite;
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL IoControl;
static EVT_WDF_IO_QUEUE_IO_STOP IoStop;
static EVT_WDF_REQUEST_CANCEL HeldCanceled;

static ULONG Mistake;

static VOID FileCreate(WDFDEVICE Device, WDFREQUEST Request, WDFFILEOBJECT FileObject)
{
    if (Mistake == LeaksOnOpen) {
        PVOID volatile lost = ExAllocatePoolWithTag(NonPagedPoolNx, 24, TAG);

        (VOID)lost;
    }
    InterlockedIncrement((LONG *)GetDevice(Device)->Account);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID IoRead(WDFQUEUE Queue, WDFREQUEST Request, size_t Length)
{
    PVOID buffer;
    NTSTATUS status = WdfRequestRetrieveOutputBuffer(Request, 1, &buffer, NULL);

    if (NT_SUCCESS(status))
        RtlZeroMemory(buffer, Length);
    WdfRequestCompleteWithInformation(Request, status, NT_SUCCESS(status) ? Length + (Mistake == ReportsTooMuch) : 0);
}

static VOID IoWrite(WDFQUEUE Queue, WDFREQUEST Request, size_t Length)
{
    WdfRequestCompleteWithInformation(Request, STATUS_SUCCESS, Length);
}

/* Takes the held request, or that one, if its cancel routine does not have it. */
static WDFREQUEST TakeHeld(DEVICE_CONTEXT *Device, WDFREQUEST Wanted)
{
    WDFREQUEST held;

    /* Under the lock, which the cancel routine needs: until it is released, the handle is good. */
    WdfSpinLockAcquire(Device->Lock);
    held = Device->Held;
    if (Wanted != NULL && held != Wanted)
        held = NULL;
    if (held != NULL) {
        Device->Held = NULL;
        if (Mistake != CompletesCancelable && WdfRequestUnmarkCancelable(held) == STATUS_CANCELLED)
            held = NULL;
    }
    WdfSpinLockRelease(Device->Lock);
    return held;
}

static VOID HeldCanceled(WDFREQUEST Request)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(WdfRequestGetIoQueue(Request)));

    WdfSpinLockAcquire(device->Lock);
    if (device->Held == Request)
        device->Held = NULL;
    WdfSpinLockRelease(device->Lock);
    WdfRequestComplete(Request, STATUS_CANCELLED);
}

static VOID Release(DEVICE_CONTEXT *Device, WDFREQUEST Wanted, NTSTATUS Status)
{
    WDFREQUEST held = TakeHeld(Device, Wanted);

    if (held != NULL)
        WdfRequestComplete(held, Status);
}

static VOID Hold(DEVICE_CONTEXT *Device, WDFREQUEST Request)
{
    NTSTATUS status;

    Release(Device, NULL, STATUS_SUCCESS);
    WdfSpinLockAcquire(Device->Lock);
    if (Device->Held != NULL)
        status = STATUS_DEVICE_BUSY;
    else
        status = WdfRequestMarkCancelableEx(Request, HeldCanceled);
    if (NT_SUCCESS(status))
        Device->Held = Request;
    WdfSpinLockRelease(Device->Lock);
    if (!NT_SUCCESS(status))
        WdfRequestComplete(Request, status);
}

static VOID IoStop(WDFQUEUE Queue, WDFREQUEST Request, ULONG ActionFlags)
{
    if (Mistake != ForgetsToStop)
        Release(GetDevice(WdfIoQueueGetDevice(Queue)), Request, STATUS_DEVICE_NOT_READY);
}

static VOID IoControl(WDFQUEUE Queue, WDFREQUEST Request, size_t OutputLength, size_t InputLength, ULONG Code)
{
    DEVICE_CONTEXT *device = GetDevice(WdfIoQueueGetDevice(Queue));
    size_t length = 0;
    NTSTATUS status;
    UCHAR *out;

    switch (Code) {
    case CODE_ECHO:
        /* METHOD_BUFFERED: input and output are one buffer. */
        length = min(InputLength, OutputLength);
        status = STATUS_SUCCESS;
        break;
    case CODE_KEEP:
        status = WdfRequestForwardToIoQueue(Request, device->Kept);
        if (NT_SUCCESS(status))
            return;
        break;
    case CODE_FILL:
        status = WdfRequestRetrieveOutputBuffer(Request, 1, (PVOID *)&out, &length);
        if (NT_SUCCESS(status))
            RtlFillMemory(out, length + (Mistake == WritesTooMuch), 0x5A);
        break;
    case CODE_HOLD:
        Hold(device, Request);
        return;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
    }
    WdfRequestCompleteWithInformation(Request, status, length);
}

/* The memory of the program is there in its own context only. */
static VOID InCallerContext(WDFDEVICE Device, WDFREQUEST Request)
{
    WDF_REQUEST_PARAMETERS parameters;
    NTSTATUS status = STATUS_SUCCESS;
    volatile UCHAR *in = NULL;
    ULONG sum = 0;
    size_t length, i;

    WDF_REQUEST_PARAMETERS_INIT(&parameters);
    WdfRequestGetParameters(Request, &parameters);
    if (parameters.Type != WdfRequestTypeDeviceControl || parameters.Parameters.DeviceIoControl.IoControlCode != CODE_ADD) {
        status = WdfDeviceEnqueueRequest(Device, Request);
        if (!NT_SUCCESS(status))
            WdfRequestComplete(Request, status);
        return;
    }
    status = WdfRequestRetrieveUnsafeUserInputBuffer(Request, 1, (PVOID *)&in, &length);
    if (NT_SUCCESS(status) && Mistake == BelievesAddresses) {
        for (i = 0; i < length; i++)
            sum += in[i];
    } else if (NT_SUCCESS(status)) {
        __try {
            ProbeForRead((PVOID)in, length, 1);
            for (i = 0; i < length; i++)
                sum += in[i];
        } __except (EXCEPTION_EXECUTE_HANDLER) {
            status = GetExceptionCode();
        }
    }
    *(volatile ULONG *)&sum = sum;
    WdfRequestComplete(Request, status);
}

static NTSTATUS PrepareHardware(WDFDEVICE Device, WDFCMRESLIST Raw, WDFCMRESLIST Translated)
{
    if (Mistake == NeedsHardware && WdfCmResourceListGetCount(Translated) == 0)
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    return STATUS_SUCCESS;
}

static NTSTATUS MakeAccount(WDFDEVICE Device)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFMEMORY memory;
    PVOID account = NULL;
    NTSTATUS status;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = Device;
    status = WdfMemoryCreate(&attributes, NonPagedPoolNx, TAG, sizeof(ULONG), &memory, &account);
    if (!NT_SUCCESS(status) && Mistake != IgnoresFailure)
        return status;
    *(volatile ULONG *)account = 0;
    GetDevice(Device)->Account = account;
    attributes.ParentObject = Device;
    return WdfSpinLockCreate(&attributes, &GetDevice(Device)->Lock);
}

static NTSTATUS MakeQueues(WDFDEVICE Device)
{
    WDF_IO_QUEUE_CONFIG config;
    NTSTATUS status;

    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoRead = IoRead;
    config.EvtIoWrite = IoWrite;
    config.EvtIoDeviceControl = IoControl;
    config.EvtIoStop = IoStop;
    status = WdfIoQueueCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
    if (!NT_SUCCESS(status))
        return status;
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchManual);
    return WdfIoQueueCreate(Device, &config, WDF_NO_OBJECT_ATTRIBUTES, &GetDevice(Device)->Kept);
}

static NTSTATUS DeviceAdd(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit)
{
    WDF_PNPPOWER_EVENT_CALLBACKS power;
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_FILEOBJECT_CONFIG files;
    WDFDEVICE device;
    NTSTATUS status;

    if (Mistake == CallsWhatIsNotThere)
        ((VOID (*)(PWDF_DRIVER_GLOBALS))WdfFunctions[WdfInterruptCreateTableIndex])(WdfDriverGlobals);
    WDF_PNPPOWER_EVENT_CALLBACKS_INIT(&power);
    power.EvtDevicePrepareHardware = PrepareHardware;
    WdfDeviceInitSetPnpPowerEventCallbacks(DeviceInit, &power);
    WDF_FILEOBJECT_CONFIG_INIT(&files, FileCreate, WDF_NO_EVENT_CALLBACK, WDF_NO_EVENT_CALLBACK);
    WdfDeviceInitSetFileObjectConfig(DeviceInit, &files, WDF_NO_OBJECT_ATTRIBUTES);
    WdfDeviceInitSetIoInCallerContextCallback(DeviceInit, InCallerContext);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, DEVICE_CONTEXT);
    status = WdfDeviceCreate(&DeviceInit, &attributes, &device);
    if (NT_SUCCESS(status))
        status = MakeAccount(device);
    if (NT_SUCCESS(status))
        status = MakeQueues(device);
    return status;
}

static NTSTATUS ReadMistake(WDFDRIVER Driver)
{
    static const UNICODE_STRING name = RTL_CONSTANT_STRING(L"Mistake");
    WDFKEY key;
    NTSTATUS status = WdfDriverOpenParametersRegistryKey(Driver, KEY_READ, WDF_NO_OBJECT_ATTRIBUTES, &key);

    if (!NT_SUCCESS(status))
        return status;
    if (!NT_SUCCESS(WdfRegistryQueryULong(key, &name, &Mistake)))
        Mistake = Clean;
    WdfRegistryClose(key);
    return STATUS_SUCCESS;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;
    WDFDRIVER driver;
    NTSTATUS status;

    WDF_DRIVER_CONFIG_INIT(&config, DeviceAdd);
    status = WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, &driver);
    return NT_SUCCESS(status) ? ReadMistake(driver) : status;
}
