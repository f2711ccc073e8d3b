/* What Microsoft's compiler and linker put into drivers without being asked, or on a word in the source: stack cookies, control
   flow guard, stack probes, the processor's control region, CR8, INIT and PAGE sections. */
#include <ntifs.h>
#include <ntddk.h>
#include <wdf.h>

#include "../codes.h"

/* Output: FACTS. */
#define CODE_FACTS TEST_CODE(0, METHOD_BUFFERED)
/* Writes so many bytes (input: ULONG) into an array of 16, in a function with a cookie. */
#define CODE_FILL TEST_CODE(1, METHOD_BUFFERED)
/* Calls a function of the INIT section. */
#define CODE_INIT TEST_CODE(2, METHOD_BUFFERED)
/* Acquires a spin lock in code of the PAGE section. */
#define CODE_LOCK_PAGED TEST_CODE(3, METHOD_BUFFERED)
/* Calls a function of the PAGE section at DISPATCH_LEVEL. */
#define CODE_CALL_PAGED TEST_CODE(4, METHOD_BUFFERED)
/* Arms a timer whose routine is in the PAGE section. */
#define CODE_PAGED_TIMER TEST_CODE(5, METHOD_BUFFERED)

typedef struct _FACTS {
    ULONG CookieIsSet;
    ULONG ThreadIsCurrent;
    ULONG RegionPointsToItself;
    ULONG Processor;
    ULONG LevelRead;
    ULONG LevelRaised;
    ULONG LevelLowered;
    ULONG GuardedCall;
    ULONG LargeFrame;
} FACTS;

typedef struct _DEVICE_CONTEXT {
    WDFSPINLOCK Lock;
    WDFTIMER Timer;
} DEVICE_CONTEXT;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(DEVICE_CONTEXT, GetDevice)

#define DEFAULT_COOKIE 0x00002B992DDFA232ULL
#define INIT_CODE __declspec(code_seg("INIT")) __declspec(noinline)
#define PAGED_CODE_SECTION __declspec(code_seg("PAGE")) __declspec(noinline)

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_DEVICE_ADD DeviceAdd;
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL IoControl;
static PAGED_CODE_SECTION VOID PagedTimer(WDFTIMER Timer);

/* What the libraries of Microsoft's kit contribute. */
ULONG_PTR __security_cookie = DEFAULT_COOKIE;
VOID (*__guard_check_icall_fptr)(VOID);
VOID (*__guard_dispatch_icall_fptr)(VOID);

/* The beginning of IMAGE_LOAD_CONFIG_DIRECTORY64. */
const struct {
    ULONG Size;
    UCHAR NotUsed[84];
    PVOID SecurityCookie;
    PVOID SEHandlerTable[2];
    PVOID GuardCFCheckFunctionPointer;
    PVOID GuardCFDispatchFunctionPointer;
    PVOID GuardCFFunctionTable;
    ULONG_PTR GuardCFFunctionCount;
    ULONG GuardFlags;
} _load_config_used = {
    .Size = sizeof(_load_config_used),
    .SecurityCookie = &__security_cookie,
    .GuardCFCheckFunctionPointer = &__guard_check_icall_fptr,
    .GuardCFDispatchFunctionPointer = &__guard_dispatch_icall_fptr,
};

VOID __security_check_cookie(ULONG_PTR Cookie)
{
    if (Cookie != __security_cookie)
        __asm__ volatile("int $0x29" : : "c"(2)); /* FAST_FAIL_STACK_COOKIE_CHECK_FAILURE */
}

static INIT_CODE ULONG Once(ULONG Number)
{
    return Number * 3;
}

static ULONG Double(ULONG Number)
{
    return 2 * Number;
}

static ULONG (*volatile Function)(ULONG) = Double;

static __declspec(noinline) ULONG LargeFrame(ULONG Number)
{
    volatile UCHAR frame[3 * 4096];

    frame[0] = 1;
    frame[sizeof(frame) - 1] = (UCHAR)Number;
    return frame[0] + frame[sizeof(frame) - 1];
}

static VOID Fill(ULONG Count)
{
    volatile UCHAR array[16];
    volatile UCHAR *place = array;

    while (Count-- != 0)
        *place++ = 0x11;
}

static ULONG64 ReadLevel(VOID)
{
    ULONG64 level;

    __asm__ volatile("movq %%cr8, %0" : "=r"(level));
    return level;
}

static VOID WriteLevel(ULONG64 Level)
{
    __asm__ volatile("movq %0, %%cr8" : : "r"(Level) : "memory");
}

static VOID GetFacts(FACTS *Facts)
{
    ULONG64 thread, region;
    ULONG processor;

    __asm__ volatile("movq %%gs:0x188, %0" : "=r"(thread));
    __asm__ volatile("movq %%gs:0x18, %0" : "=r"(region));
    __asm__ volatile("movl %%gs:0x184, %0" : "=r"(processor));
    Facts->CookieIsSet = __security_cookie != DEFAULT_COOKIE && __security_cookie != 0;
    Facts->ThreadIsCurrent = thread == (ULONG64)KeGetCurrentThread();
    Facts->RegionPointsToItself = *(ULONG64 *)(region + 0x18) == region;
    Facts->Processor = processor;
    Facts->LevelRead = (ULONG)ReadLevel();
    WriteLevel(DISPATCH_LEVEL);
    Facts->LevelRaised = KeGetCurrentIrql();
    WriteLevel(PASSIVE_LEVEL);
    Facts->LevelLowered = KeGetCurrentIrql();
    Facts->GuardedCall = Function(21);
    Facts->LargeFrame = LargeFrame(41);
}

static PAGED_CODE_SECTION VOID LockPaged(DEVICE_CONTEXT *Device)
{
    WdfSpinLockAcquire(Device->Lock);
    WdfSpinLockRelease(Device->Lock);
}

static PAGED_CODE_SECTION ULONG PagedWork(VOID)
{
    static volatile ULONG now;

    now = (ULONG)KeQueryPerformanceCounter(NULL).QuadPart;
    return now | 1;
}

static PAGED_CODE_SECTION VOID PagedTimer(WDFTIMER Timer)
{
}

static NTSTATUS Answer(DEVICE_CONTEXT *Device, WDFREQUEST Request, ULONG Code, PULONG_PTR Bytes)
{
    NTSTATUS status;
    PULONG number;
    FACTS *facts;
    KIRQL irql;

    switch (Code) {
    case CODE_FACTS:
        status = WdfRequestRetrieveOutputBuffer(Request, sizeof(FACTS), (PVOID *)&facts, NULL);
        if (!NT_SUCCESS(status))
            return status;
        GetFacts(facts);
        *Bytes = sizeof(FACTS);
        return STATUS_SUCCESS;
    case CODE_FILL:
        status = WdfRequestRetrieveInputBuffer(Request, sizeof(ULONG), (PVOID *)&number, NULL);
        if (NT_SUCCESS(status))
            Fill(*number);
        return status;
    case CODE_INIT:
        return Once(7) == 21 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
    case CODE_LOCK_PAGED:
        LockPaged(Device);
        return STATUS_SUCCESS;
    case CODE_CALL_PAGED:
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
        status = PagedWork() != 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL;
        KeLowerIrql(irql);
        return status;
    case CODE_PAGED_TIMER:
        WdfTimerStart(Device->Timer, WDF_REL_TIMEOUT_IN_MS(1));
        return STATUS_SUCCESS;
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

static VOID IoControl(WDFQUEUE Queue, WDFREQUEST Request, size_t OutputLength, size_t InputLength, ULONG Code)
{
    ULONG_PTR bytes = 0;
    NTSTATUS status = Answer(GetDevice(WdfIoQueueGetDevice(Queue)), Request, Code, &bytes);

    WdfRequestCompleteWithInformation(Request, status, bytes);
}

static NTSTATUS DeviceAdd(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit)
{
    static UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\TestCompiler");
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_IO_QUEUE_CONFIG queue;
    WDF_TIMER_CONFIG timer;
    WDFDEVICE device;
    NTSTATUS status;

    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, DEVICE_CONTEXT);
    status = WdfDeviceCreate(&DeviceInit, &attributes, &device);
    if (NT_SUCCESS(status))
        status = WdfDeviceCreateSymbolicLink(device, &link);
    if (!NT_SUCCESS(status))
        return status;
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = device;
    status = WdfSpinLockCreate(&attributes, &GetDevice(device)->Lock);
    if (!NT_SUCCESS(status))
        return status;
    WDF_TIMER_CONFIG_INIT(&timer, PagedTimer);
    status = WdfTimerCreate(&timer, &attributes, &GetDevice(device)->Timer);
    if (!NT_SUCCESS(status))
        return status;
    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&queue, WdfIoQueueDispatchParallel);
    queue.EvtIoDeviceControl = IoControl;
    return WdfIoQueueCreate(device, &queue, WDF_NO_OBJECT_ATTRIBUTES, WDF_NO_HANDLE);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;

    if (Once(1) != 3)
        return STATUS_UNSUCCESSFUL;
    WDF_DRIVER_CONFIG_INIT(&config, DeviceAdd);
    return WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}
