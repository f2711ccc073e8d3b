/* A device that pends reads and writes without a cancel routine: a cancel has no effect until the device is done with
   them, after a time or when told. */
#include "function.h"

/* Input: ULONG, milliseconds until what waits is done; 0: only when told. */
#define CODE_TIME TEST_CODE(0, METHOD_BUFFERED)
/* Finishes all that waits. */
#define CODE_FINISH TEST_CODE(1, METHOD_BUFFERED)
/* Output: ULONG, how many IRPs wait. */
#define CODE_COUNT TEST_CODE(2, METHOD_BUFFERED)

typedef struct _STUBBORN {
    PDEVICE_OBJECT Device;
    KSPIN_LOCK Lock;
    LIST_ENTRY Irps;
    ULONG Count;
    ULONG Milliseconds;
    KTIMER Timer;
    KDPC Dpc;
} STUBBORN;

static KDEFERRED_ROUTINE TimeOver;

/* At DISPATCH_LEVEL or below. What was canceled meanwhile says so. */
static VOID Finish(STUBBORN *Stubborn)
{
    LIST_ENTRY done;
    KIRQL irql;

    InitializeListHead(&done);
    KeAcquireSpinLock(&Stubborn->Lock, &irql);
    while (!IsListEmpty(&Stubborn->Irps))
        InsertTailList(&done, RemoveHeadList(&Stubborn->Irps));
    Stubborn->Count = 0;
    KeReleaseSpinLock(&Stubborn->Lock, irql);

    while (!IsListEmpty(&done)) {
        PIRP irp = CONTAINING_RECORD(RemoveHeadList(&done), IRP, Tail.Overlay.ListEntry);

        WdmComplete(Stubborn->Device, irp, irp->Cancel ? STATUS_CANCELLED : STATUS_SUCCESS, 0);
    }
}

static VOID TimeOver(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    Finish(Context);
    WdmRelease(((STUBBORN *)Context)->Device);
}

static VOID Initialize(PDEVICE_OBJECT Device)
{
    STUBBORN *stubborn = WdmData(Device);

    stubborn->Device = Device;
    KeInitializeSpinLock(&stubborn->Lock);
    InitializeListHead(&stubborn->Irps);
    KeInitializeTimer(&stubborn->Timer);
    KeInitializeDpc(&stubborn->Dpc, TimeOver, stubborn);
}

static NTSTATUS Keep(STUBBORN *Stubborn, PIRP Irp)
{
    LARGE_INTEGER due;
    KIRQL irql;

    IoMarkIrpPending(Irp);
    KeAcquireSpinLock(&Stubborn->Lock, &irql);
    InsertTailList(&Stubborn->Irps, &Irp->Tail.Overlay.ListEntry);
    Stubborn->Count++;
    due.QuadPart = -10000LL * Stubborn->Milliseconds;
    if (due.QuadPart != 0) {
        WdmHold(Stubborn->Device);
        /* Was it set already, then its DPC had a hold. */
        if (KeSetTimer(&Stubborn->Timer, due, &Stubborn->Dpc))
            WdmRelease(Stubborn->Device);
    }
    KeReleaseSpinLock(&Stubborn->Lock, irql);
    return STATUS_PENDING;
}

static NTSTATUS Control(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    STUBBORN *stubborn = WdmData(Device);
    PULONG value = Irp->AssociatedIrp.SystemBuffer;

    switch (Stack->Parameters.DeviceIoControl.IoControlCode) {
    case CODE_TIME:
        if (Stack->Parameters.DeviceIoControl.InputBufferLength != sizeof(ULONG))
            return WdmComplete(Device, Irp, STATUS_INVALID_PARAMETER, 0);
        stubborn->Milliseconds = *value;
        return WdmComplete(Device, Irp, STATUS_SUCCESS, 0);
    case CODE_FINISH:
        Finish(stubborn);
        return WdmComplete(Device, Irp, STATUS_SUCCESS, 0);
    case CODE_COUNT:
        if (Stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(ULONG))
            return WdmComplete(Device, Irp, STATUS_BUFFER_TOO_SMALL, 0);
        *value = stubborn->Count;
        return WdmComplete(Device, Irp, STATUS_SUCCESS, sizeof(ULONG));
    default:
        return WdmComplete(Device, Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS Io(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
        return Keep(WdmData(Device), Irp);
    case IRP_MJ_DEVICE_CONTROL:
        return Control(Device, Irp, stack);
    default:
        return WdmComplete(Device, Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static VOID Flush(PDEVICE_OBJECT Device)
{
    STUBBORN *stubborn = WdmData(Device);

    if (KeCancelTimer(&stubborn->Timer))
        WdmRelease(Device);
    Finish(stubborn);
}

const WDM_DEVICE WdmDevice = {
    .Name = L"\\Device\\TestIgnoresCancel",
    .Link = L"\\DosDevices\\TestIgnoresCancel",
    .IoFlags = DO_BUFFERED_IO,
    .ExtensionSize = sizeof(STUBBORN),
    .Io = Io,
    .Initialize = Initialize,
    .Flush = Flush,
};
