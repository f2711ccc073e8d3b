/* A memory device that completes every IRP before its dispatch routine returns. */
#include <ntifs.h>

#include "function.h"

#define MEMORY_SIZE 4096

/* Turns the bytes around in place. */
#define CODE_REVERSE TEST_CODE(0, METHOD_BUFFERED)
/* Input: ULONG offset; the second buffer is stored there. */
#define CODE_STORE TEST_CODE(1, METHOD_IN_DIRECT)
/* Input: ULONG offset; the second buffer is filled from there. */
#define CODE_FETCH TEST_CODE(2, METHOD_OUT_DIRECT)
/* Output: ARRIVAL. */
#define CODE_ARRIVAL TEST_CODE(3, METHOD_BUFFERED)

/* How a control arrived. */
typedef struct _ARRIVAL {
    ULONG Irql;
    ULONG RequestorMode;
    ULONG HasFileObject;
    ULONG ApcsDisabled;
    ULONG CurrentProcess;
    ULONG RequestorProcess;
} ARRIVAL;

typedef struct _MEMORY {
    KSPIN_LOCK Lock;
    UCHAR Bytes[MEMORY_SIZE];
} MEMORY;

static VOID Initialize(PDEVICE_OBJECT Device)
{
    MEMORY *memory = WdmData(Device);

    KeInitializeSpinLock(&memory->Lock);
}

/* Bytes of a transfer that lie inside the memory. */
static ULONG Clip(LONGLONG Offset, ULONG Length)
{
    if (Offset < 0 || Offset >= MEMORY_SIZE)
        return 0;
    return min(Length, MEMORY_SIZE - (ULONG)Offset);
}

static ULONG Copy(PDEVICE_OBJECT Device, LONGLONG Offset, PVOID Buffer, ULONG Length, BOOLEAN Store)
{
    MEMORY *memory = WdmData(Device);
    ULONG count = Clip(Offset, Length);
    KIRQL irql;

    if (count == 0)
        return 0;
    KeAcquireSpinLock(&memory->Lock, &irql);
    if (Store)
        RtlCopyMemory(memory->Bytes + Offset, Buffer, count);
    else
        RtlCopyMemory(Buffer, memory->Bytes + Offset, count);
    KeReleaseSpinLock(&memory->Lock, irql);
    return count;
}

static NTSTATUS Transfer(PDEVICE_OBJECT Device, PIRP Irp, LONGLONG Offset, ULONG Length, BOOLEAN Store)
{
    ULONG count = Copy(Device, Offset, Irp->AssociatedIrp.SystemBuffer, Length, Store);

    if (count == 0 && Length != 0)
        return WdmComplete(Device, Irp, Store ? STATUS_DISK_FULL : STATUS_END_OF_FILE, 0);
    return WdmComplete(Device, Irp, STATUS_SUCCESS, count);
}

static NTSTATUS Reverse(PDEVICE_OBJECT Device, PIRP Irp, ULONG In, ULONG Out)
{
    PUCHAR bytes = Irp->AssociatedIrp.SystemBuffer;
    ULONG i;

    if (Out < In)
        return WdmComplete(Device, Irp, STATUS_BUFFER_TOO_SMALL, 0);
    for (i = 0; i < In / 2; i++) {
        UCHAR byte = bytes[i];

        bytes[i] = bytes[In - 1 - i];
        bytes[In - 1 - i] = byte;
    }
    return WdmComplete(Device, Irp, STATUS_SUCCESS, In);
}

static NTSTATUS Direct(PDEVICE_OBJECT Device, PIRP Irp, ULONG In, ULONG Out, BOOLEAN Store)
{
    PVOID buffer;
    ULONG count;

    if (In != sizeof(ULONG))
        return WdmComplete(Device, Irp, STATUS_INVALID_PARAMETER, 0);
    if (Irp->MdlAddress == NULL)
        return WdmComplete(Device, Irp, STATUS_BUFFER_TOO_SMALL, 0);
    buffer = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority);
    if (buffer == NULL)
        return WdmComplete(Device, Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    count = Copy(Device, *(PULONG)Irp->AssociatedIrp.SystemBuffer, buffer, Out, Store);
    return WdmComplete(Device, Irp, STATUS_SUCCESS, count);
}

static NTSTATUS Arrival(PDEVICE_OBJECT Device, PIRP Irp, ULONG Out)
{
    ARRIVAL *arrival = Irp->AssociatedIrp.SystemBuffer;

    if (Out < sizeof(*arrival))
        return WdmComplete(Device, Irp, STATUS_BUFFER_TOO_SMALL, 0);
    arrival->Irql = KeGetCurrentIrql();
    arrival->RequestorMode = Irp->RequestorMode;
    arrival->HasFileObject = IoGetCurrentIrpStackLocation(Irp)->FileObject != NULL;
    arrival->ApcsDisabled = KeAreApcsDisabled();
    arrival->CurrentProcess = (ULONG)(ULONG_PTR)PsGetCurrentProcessId();
    arrival->RequestorProcess = IoGetRequestorProcessId(Irp);
    return WdmComplete(Device, Irp, STATUS_SUCCESS, sizeof(*arrival));
}

static NTSTATUS Control(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    ULONG in = Stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG out = Stack->Parameters.DeviceIoControl.OutputBufferLength;

    switch (Stack->Parameters.DeviceIoControl.IoControlCode) {
    case CODE_REVERSE:
        return Reverse(Device, Irp, in, out);
    case CODE_STORE:
        return Direct(Device, Irp, in, out, TRUE);
    case CODE_FETCH:
        return Direct(Device, Irp, in, out, FALSE);
    case CODE_ARRIVAL:
        return Arrival(Device, Irp, out);
    default:
        return WdmComplete(Device, Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS Io(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
        return Transfer(Device, Irp, stack->Parameters.Read.ByteOffset.QuadPart, stack->Parameters.Read.Length, FALSE);
    case IRP_MJ_WRITE:
        return Transfer(Device, Irp, stack->Parameters.Write.ByteOffset.QuadPart, stack->Parameters.Write.Length, TRUE);
    case IRP_MJ_FLUSH_BUFFERS:
        return WdmComplete(Device, Irp, STATUS_SUCCESS, 0);
    case IRP_MJ_DEVICE_CONTROL:
        return Control(Device, Irp, stack);
    default:
        return WdmComplete(Device, Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

const WDM_DEVICE WdmDevice = {
    .Name = L"\\Device\\TestInline",
    .Link = L"\\DosDevices\\TestInline",
    .IoFlags = DO_BUFFERED_IO,
    .ExtensionSize = sizeof(MEMORY),
    .Io = Io,
    .Initialize = Initialize,
};
