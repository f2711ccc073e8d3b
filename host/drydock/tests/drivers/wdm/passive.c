/* A device whose handlers live in pageable code and touch paged pool: below DISPATCH_LEVEL only, or the system stops. */
#include "function.h"

#define TAG 'vsaP'
#define SIZE 512

#ifndef IRQL_NOT_LESS_OR_EQUAL
#define IRQL_NOT_LESS_OR_EQUAL 0x0000000A
#endif

typedef struct _PASSIVE {
    FAST_MUTEX Mutex;
    PUCHAR Memory;
} PASSIVE;

/* What a page fault at raised IRQL would do. */
static VOID Paged(PVOID Routine)
{
    KIRQL irql = KeGetCurrentIrql();

    if (irql > APC_LEVEL)
        KeBugCheckEx(IRQL_NOT_LESS_OR_EQUAL, (ULONG_PTR)Routine, irql, 0, (ULONG_PTR)Routine);
}

static VOID Initialize(PDEVICE_OBJECT Device)
{
    PASSIVE *passive = WdmData(Device);

    ExInitializeFastMutex(&passive->Mutex);
}

static NTSTATUS Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PASSIVE *passive = WdmData(Device);
    NTSTATUS status = STATUS_SUCCESS;

    Paged(Create);
    ExAcquireFastMutex(&passive->Mutex);
    if (passive->Memory == NULL) {
        passive->Memory = ExAllocatePoolWithTag(PagedPool, SIZE, TAG);
        if (passive->Memory == NULL)
            status = STATUS_INSUFFICIENT_RESOURCES;
        else
            RtlZeroMemory(passive->Memory, SIZE);
    }
    ExReleaseFastMutex(&passive->Mutex);
    return WdmComplete(Device, Irp, status, 0);
}

static NTSTATUS Io(PDEVICE_OBJECT Device, PIRP Irp)
{
    PASSIVE *passive = WdmData(Device);
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PUCHAR buffer = Irp->AssociatedIrp.SystemBuffer;
    ULONG length = 0;
    NTSTATUS status = STATUS_SUCCESS;

    Paged(Io);
    ExAcquireFastMutex(&passive->Mutex);
    if (passive->Memory == NULL) {
        status = STATUS_DEVICE_NOT_READY;
    } else if (stack->MajorFunction == IRP_MJ_READ) {
        length = min(stack->Parameters.Read.Length, SIZE);
        RtlCopyMemory(buffer, passive->Memory, length);
    } else if (stack->MajorFunction == IRP_MJ_WRITE) {
        length = min(stack->Parameters.Write.Length, SIZE);
        RtlCopyMemory(passive->Memory, buffer, length);
    } else {
        status = STATUS_INVALID_DEVICE_REQUEST;
    }
    ExReleaseFastMutex(&passive->Mutex);
    return WdmComplete(Device, Irp, status, length);
}

/* Nothing is kept; the memory goes with the device. */
static VOID Flush(PDEVICE_OBJECT Device)
{
    PASSIVE *passive = WdmData(Device);

    Paged(Flush);
    ExAcquireFastMutex(&passive->Mutex);
    if (passive->Memory != NULL)
        ExFreePoolWithTag(passive->Memory, TAG);
    passive->Memory = NULL;
    ExReleaseFastMutex(&passive->Mutex);
}

const WDM_DEVICE WdmDevice = {
    .Name = L"\\Device\\TestPassive",
    .Link = L"\\DosDevices\\TestPassive",
    .IoFlags = DO_BUFFERED_IO,
    .ExtensionSize = sizeof(PASSIVE),
    .Io = Io,
    .Create = Create,
    .Initialize = Initialize,
    .Flush = Flush,
};
