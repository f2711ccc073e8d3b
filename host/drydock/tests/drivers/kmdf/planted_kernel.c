/* Mistakes any driver can make: memory, levels, instructions. */
#include "planted.h"

static VOID LeakedPool(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    PVOID volatile lost = ExAllocatePoolWithTag(NonPagedPoolNx, 100, PLANTED_TAG);

    (VOID)lost;
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID PoolFreedTwice(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    PVOID pool = ExAllocatePoolWithTag(NonPagedPoolNx, 100, PLANTED_TAG);

    ExFreePoolWithTag(pool, PLANTED_TAG);
    ExFreePoolWithTag(pool, PLANTED_TAG);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID PoolOfOtherTag(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    ExFreePoolWithTag(ExAllocatePoolWithTag(NonPagedPoolNx, 100, PLANTED_TAG), 'rhtO');
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID PoolAfterFree(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    volatile UCHAR *pool = ExAllocatePoolWithTag(NonPagedPoolNx, 100, PLANTED_TAG);

    ExFreePoolWithTag((PVOID)pool, PLANTED_TAG);
    pool[0] = 1;
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID PoolOverrun(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    volatile UCHAR *pool = ExAllocatePoolWithTag(NonPagedPoolNx, 4096, PLANTED_TAG);

    pool[4096] = 1;
    ExFreePoolWithTag((PVOID)pool, PLANTED_TAG);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

/* Of the output buffer, whether system buffer or mapped pages. */
static VOID BufferOverrun(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    volatile UCHAR *buffer;
    size_t length;

    WdfRequestRetrieveOutputBuffer(Request, 1, (PVOID *)&buffer, &length);
    buffer[length] = 1;
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID NullPointer(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    *(volatile ULONG *)8 = 1;
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID CallOfNull(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    VOID (*volatile nowhere)(VOID) = NULL;

    nowhere();
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID WaitAtDispatch(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    KIRQL irql;

    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    KeWaitForSingleObject(&Device->Go, Executive, KernelMode, FALSE, NULL);
    KeLowerIrql(irql);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID PagedPoolAtDispatch(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    PVOID pool;
    KIRQL irql;

    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    pool = ExAllocatePoolWithTag(PagedPool, 100, PLANTED_TAG);
    KeLowerIrql(irql);
    ExFreePoolWithTag(pool, PLANTED_TAG);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID IrqlKept(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    KIRQL irql;

    WdfRequestComplete(Request, STATUS_SUCCESS);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
}

static VOID CriticalRegionKept(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestComplete(Request, STATUS_SUCCESS);
    KeEnterCriticalRegion();
}

static __attribute__((noinline)) ULONG Deeper(volatile UCHAR *Above, ULONG Depth)
{
    volatile UCHAR frame[1024];

    frame[0] = Above[0];
    return Depth == 0 ? frame[0] : Deeper(frame, Depth - 1) + frame[0];
}

static VOID StackOverflow(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    volatile UCHAR bottom[1] = {0};

    /* 32 KiB; a kernel stack has 24. */
    WdfRequestComplete(Request, Deeper(bottom, 32) == 0 ? STATUS_SUCCESS : STATUS_UNSUCCESSFUL);
}

static VOID BugCheck(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    KeBugCheckEx(0xE2, 1, 2, 3, 4);
}

static VOID Breakpoint(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    __asm__ volatile("int3");
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID IllegalInstruction(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    __asm__ volatile("ud2");
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID PrivilegedInstruction(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    __asm__ volatile("hlt");
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID FastFail(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    __asm__ volatile("int $0x29" : : "c"(2));
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

const PLANTED_MISTAKE KernelMistakes[] = {
    {"leaked pool", LeakedPool},
    {"pool freed twice", PoolFreedTwice},
    {"pool of another tag", PoolOfOtherTag},
    {"pool after free", PoolAfterFree},
    {"pool overrun", PoolOverrun},
    {"buffer overrun", BufferOverrun},
    {"null pointer", NullPointer},
    {"call of a null pointer", CallOfNull},
    {"wait at DISPATCH_LEVEL", WaitAtDispatch},
    {"paged pool at DISPATCH_LEVEL", PagedPoolAtDispatch},
    {"IRQL kept raised", IrqlKept},
    {"critical region kept", CriticalRegionKept},
    {"stack overflow", StackOverflow},
    {"bug check", BugCheck},
    {"breakpoint", Breakpoint},
    {"illegal instruction", IllegalInstruction},
    {"privileged instruction", PrivilegedInstruction},
    {"fast fail", FastFail},
    {NULL, NULL},
};
