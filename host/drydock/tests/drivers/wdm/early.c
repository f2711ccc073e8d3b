/* A device that marks every IRP pending, completes it, and only then returns STATUS_PENDING. */
#include "function.h"

static NTSTATUS Io(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    NTSTATUS status = STATUS_INVALID_DEVICE_REQUEST;
    ULONG length = 0;

    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
        length = stack->Parameters.Read.Length;
        RtlFillMemory(Irp->AssociatedIrp.SystemBuffer, length, 0xEA);
        status = STATUS_SUCCESS;
        break;
    case IRP_MJ_WRITE:
        length = stack->Parameters.Write.Length;
        status = STATUS_SUCCESS;
        break;
    }
    IoMarkIrpPending(Irp);
    WdmComplete(Device, Irp, status, length);
    return STATUS_PENDING;
}

const WDM_DEVICE WdmDevice = {
    .Name = L"\\Device\\TestEarly",
    .Link = L"\\DosDevices\\TestEarly",
    .IoFlags = DO_BUFFERED_IO,
    .ExtensionSize = 0,
    .Io = Io,
};
