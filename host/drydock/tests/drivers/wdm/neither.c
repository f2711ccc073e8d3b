/* A device that takes its callers' raw addresses: reads and writes without DO_BUFFERED_IO or DO_DIRECT_IO, and a
   METHOD_NEITHER control. It probes and locks what user mode gave it, in the caller's thread. */
#include "function.h"

#define MEMORY_SIZE 4096

/* Input: bytes; output: the same bytes, each with all its bits flipped. */
#define CODE_FLIP TEST_CODE(0, METHOD_NEITHER)

typedef struct _NEITHER {
    UCHAR Bytes[MEMORY_SIZE];
} NEITHER;

/* Locks the caller's buffer and gives its system address; the MDL is unlocked by Unlock. */
static NTSTATUS Lock(PIRP Irp, PVOID Address, ULONG Length, LOCK_OPERATION Operation, PMDL *Mdl, PVOID *Mapped)
{
    PMDL mdl = IoAllocateMdl(Address, Length, FALSE, FALSE, NULL);
    NTSTATUS status = STATUS_SUCCESS;

    if (mdl == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    __try {
        MmProbeAndLockPages(mdl, Irp->RequestorMode, Operation);
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    if (!NT_SUCCESS(status)) {
        IoFreeMdl(mdl);
        return status;
    }
    *Mapped = MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority);
    if (*Mapped == NULL) {
        MmUnlockPages(mdl);
        IoFreeMdl(mdl);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    *Mdl = mdl;
    return STATUS_SUCCESS;
}

static VOID Unlock(PMDL Mdl)
{
    MmUnlockPages(Mdl);
    IoFreeMdl(Mdl);
}

static NTSTATUS Transfer(PDEVICE_OBJECT Device, PIRP Irp, LONGLONG Offset, ULONG Length, BOOLEAN Store)
{
    NEITHER *neither = WdmData(Device);
    NTSTATUS status;
    PVOID buffer;
    PMDL mdl;

    if (Length == 0)
        return WdmComplete(Device, Irp, STATUS_SUCCESS, 0);
    if (Offset < 0 || Offset >= MEMORY_SIZE)
        return WdmComplete(Device, Irp, STATUS_END_OF_FILE, 0);
    Length = min(Length, MEMORY_SIZE - (ULONG)Offset);
    status = Lock(Irp, Irp->UserBuffer, Length, Store ? IoReadAccess : IoWriteAccess, &mdl, &buffer);
    if (!NT_SUCCESS(status))
        return WdmComplete(Device, Irp, status, 0);
    if (Store)
        RtlCopyMemory(neither->Bytes + Offset, buffer, Length);
    else
        RtlCopyMemory(buffer, neither->Bytes + Offset, Length);
    Unlock(mdl);
    return WdmComplete(Device, Irp, STATUS_SUCCESS, Length);
}

static NTSTATUS Flip(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    PUCHAR in = Stack->Parameters.DeviceIoControl.Type3InputBuffer;
    PUCHAR out = Irp->UserBuffer;
    ULONG length = Stack->Parameters.DeviceIoControl.InputBufferLength;
    NTSTATUS status = STATUS_SUCCESS;
    ULONG i;

    if (Stack->Parameters.DeviceIoControl.OutputBufferLength < length)
        return WdmComplete(Device, Irp, STATUS_BUFFER_TOO_SMALL, 0);
    /* The pages may go at any time: every touch is guarded. */
    __try {
        if (Irp->RequestorMode != KernelMode) {
            ProbeForRead(in, length, 1);
            ProbeForWrite(out, length, 1);
        }
        for (i = 0; i < length; i++)
            out[i] = (UCHAR)~in[i];
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        status = GetExceptionCode();
    }
    return WdmComplete(Device, Irp, status, NT_SUCCESS(status) ? length : 0);
}

static NTSTATUS Io(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
        return Transfer(Device, Irp, stack->Parameters.Read.ByteOffset.QuadPart, stack->Parameters.Read.Length, FALSE);
    case IRP_MJ_WRITE:
        return Transfer(Device, Irp, stack->Parameters.Write.ByteOffset.QuadPart, stack->Parameters.Write.Length, TRUE);
    case IRP_MJ_DEVICE_CONTROL:
        if (stack->Parameters.DeviceIoControl.IoControlCode == CODE_FLIP)
            return Flip(Device, Irp, stack);
        break;
    }
    return WdmComplete(Device, Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
}

const WDM_DEVICE WdmDevice = {
    .Name = L"\\Device\\TestNeither",
    .Link = L"\\DosDevices\\TestNeither",
    .IoFlags = 0,
    .ExtensionSize = sizeof(NEITHER),
    .Io = Io,
};
