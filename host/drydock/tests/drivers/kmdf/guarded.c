/* A driver that touches the memory of programs itself, in their context and inside __try: what structured exceptions are
   for in a driver. Information says what happened on the way. */
#include <ntifs.h>
#include <ntddk.h>
#include <wdf.h>

#include "../codes.h"

/* Reads a ULONG at the input address. Information: the ULONG. */
#define CODE_READ TEST_CODE(0, METHOD_NEITHER)
/* Probes the input and copies it with memcpy. Information: the sum of its bytes. */
#define CODE_COPY TEST_CODE(1, METHOD_NEITHER)
/* An exception through two functions with a __finally and a filter that passes. Information: TRACE_*, and what was kept in
   registers, in bits 8 and up. */
#define CODE_NESTED TEST_CODE(2, METHOD_NEITHER)
/* Divides by zero. */
#define CODE_DIVIDE TEST_CODE(3, METHOD_NEITHER)
/* Reads at the input address; the filter has it read elsewhere instead. Information: the ULONG there, 9. */
#define CODE_MEND TEST_CODE(4, METHOD_NEITHER)
/* Locks the pages of the input. */
#define CODE_LOCK TEST_CODE(5, METHOD_NEITHER)
/* These end in a bug check on Windows: nobody handles the one, and the other is a fault at DISPATCH_LEVEL. */
#define CODE_UNHANDLED TEST_CODE(6, METHOD_NEITHER)
#define CODE_AT_DISPATCH TEST_CODE(7, METHOD_NEITHER)

#define TRACE_FINALLY_ABNORMAL 1
#define TRACE_FINALLY_NORMAL 2
#define TRACE_FILTER_PASSED 4
#define TRACE_WRONG_HANDLER 8
#define TRACE_HANDLER 16

typedef struct _CALL {
    const UCHAR *In;
    size_t InLength;
    ULONG_PTR Information;
} CALL;

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_DEVICE_ADD DeviceAdd;
static EVT_WDF_IO_IN_CALLER_CONTEXT InCallerContext;

static __declspec(noinline) NTSTATUS Read(CALL *Call)
{
    __try {
        Call->Information = *(const volatile ULONG *)Call->In;
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
    return STATUS_SUCCESS;
}

static NTSTATUS Copy(CALL *Call)
{
    UCHAR copy[256];
    size_t length = min(Call->InLength, sizeof(copy)), i;
    NTSTATUS status = STATUS_SUCCESS;

    RtlZeroMemory(copy, sizeof(copy));
    __try {
        ProbeForRead((PVOID)Call->In, Call->InLength, 1);
        RtlCopyMemory(copy, Call->In, length);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    for (i = 0; i < length; i++)
        Call->Information += copy[i];
    return status;
}

static __declspec(noinline) VOID Misaligned(CALL *Call, BOOLEAN Raise)
{
    __try {
        if (Raise)
            ProbeForRead((PVOID)(Call->In + 1), 4, 4);
        else
            Call->Information += 0;
    } __finally {
        Call->Information |= AbnormalTermination() ? TRACE_FINALLY_ABNORMAL : TRACE_FINALLY_NORMAL;
    }
}

static __declspec(noinline) LONG Pass(CALL *Call)
{
    Call->Information |= TRACE_FILTER_PASSED;
    return EXCEPTION_CONTINUE_SEARCH;
}

static __declspec(noinline) VOID Between(CALL *Call)
{
    volatile UCHAR large[1500];

    large[0] = 1;
    __try {
        Misaligned(Call, large[0] == 1);
    } __except (Pass(Call)) {
        Call->Information |= TRACE_WRONG_HANDLER;
    }
    Call->Information |= TRACE_WRONG_HANDLER;
}

static NTSTATUS Nested(CALL *Call)
{
    ULONG_PTR a = Call->InLength, b = Call->InLength * 3, c = Call->InLength * 5;
    NTSTATUS status = STATUS_UNSUCCESSFUL;

    Misaligned(Call, FALSE);
    __try {
        Between(Call);
    } __except (GetExceptionCode() == STATUS_DATATYPE_MISALIGNMENT ? EXCEPTION_EXECUTE_HANDLER : EXCEPTION_CONTINUE_SEARCH) {
        status = GetExceptionCode();
        Call->Information |= TRACE_HANDLER;
    }
    Call->Information |= (a + b + c) << 8;
    return status;
}

static NTSTATUS Divide(CALL *Call)
{
    ULONG low = 1, high = 0;

    __try {
        __asm__ volatile("divl %2" : "+a"(low), "+d"(high) : "r"(0));
        Call->Information = low;
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        return GetExceptionCode();
    }
    return STATUS_SUCCESS;
}

static ULONG Elsewhere = 9;

static LONG ReadElsewhere(CALL *Call, PEXCEPTION_POINTERS Pointers)
{
    if (Pointers->ExceptionRecord->ExceptionInformation[1] != (ULONG_PTR)Call->In)
        return EXCEPTION_EXECUTE_HANDLER;
    Pointers->ContextRecord->Rcx = (ULONG_PTR)&Elsewhere;
    return EXCEPTION_CONTINUE_EXECUTION;
}

static NTSTATUS Mend(CALL *Call)
{
    ULONG value = 0;

    __try {
        __asm__ volatile("movl (%%rcx), %0" : "=r"(value) : "c"(Call->In) : "memory");
    } __except (ReadElsewhere(Call, GetExceptionInformation())) {
        return GetExceptionCode();
    }
    Call->Information = value;
    return STATUS_SUCCESS;
}

static NTSTATUS Lock(CALL *Call)
{
    PMDL mdl = IoAllocateMdl((PVOID)Call->In, (ULONG)Call->InLength, FALSE, FALSE, NULL);
    NTSTATUS status = STATUS_SUCCESS;

    if (mdl == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    __try {
        MmProbeAndLockPages(mdl, UserMode, IoReadAccess);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    if (NT_SUCCESS(status))
        MmUnlockPages(mdl);
    IoFreeMdl(mdl);
    return status;
}

static __declspec(noinline) NTSTATUS Unhandled(CALL *Call)
{
    ProbeForRead((PVOID)(Call->In + 1), 4, 4);
    Call->Information = 1;
    return STATUS_SUCCESS;
}

static NTSTATUS AtDispatch(CALL *Call)
{
    NTSTATUS status;
    KIRQL irql;

    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    status = Read(Call);
    KeLowerIrql(irql);
    return status;
}

static VOID InCallerContext(WDFDEVICE Device, WDFREQUEST Request)
{
    WDF_REQUEST_PARAMETERS parameters;
    NTSTATUS status;
    CALL call = {0};

    WDF_REQUEST_PARAMETERS_INIT(&parameters);
    WdfRequestGetParameters(Request, &parameters);
    if (parameters.Type != WdfRequestTypeDeviceControl) {
        WdfRequestComplete(Request, STATUS_INVALID_DEVICE_REQUEST);
        return;
    }
    status = WdfRequestRetrieveUnsafeUserInputBuffer(Request, 0, (PVOID *)&call.In, &call.InLength);
    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(Request, status);
        return;
    }
    switch (parameters.Parameters.DeviceIoControl.IoControlCode) {
    case CODE_READ:
        status = Read(&call);
        break;
    case CODE_COPY:
        status = Copy(&call);
        break;
    case CODE_NESTED:
        status = Nested(&call);
        break;
    case CODE_DIVIDE:
        status = Divide(&call);
        break;
    case CODE_MEND:
        status = Mend(&call);
        break;
    case CODE_LOCK:
        status = Lock(&call);
        break;
    case CODE_UNHANDLED:
        status = Unhandled(&call);
        break;
    case CODE_AT_DISPATCH:
        status = AtDispatch(&call);
        break;
    default:
        status = STATUS_INVALID_DEVICE_REQUEST;
    }
    WdfRequestCompleteWithInformation(Request, status, call.Information);
}

static NTSTATUS DeviceAdd(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit)
{
    static UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\TestGuarded");
    WDFDEVICE device;
    NTSTATUS status;

    WdfDeviceInitSetIoInCallerContextCallback(DeviceInit, InCallerContext);
    status = WdfDeviceCreate(&DeviceInit, WDF_NO_OBJECT_ATTRIBUTES, &device);
    if (NT_SUCCESS(status))
        status = WdfDeviceCreateSymbolicLink(device, &link);
    return status;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;

    WDF_DRIVER_CONFIG_INIT(&config, DeviceAdd);
    return WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}
