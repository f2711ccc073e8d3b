/* A device whose reads and writes end only when they are canceled (or when the device goes). */
#include "pending.h"

/* Output: ULONG, how many IRPs wait. */
#define CODE_COUNT TEST_CODE(0, METHOD_BUFFERED)

static VOID Initialize(PDEVICE_OBJECT Device)
{
    PendingInitialize(WdmData(Device));
}

static NTSTATUS Io(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
        return PendingInsert(WdmData(Device), Irp);
    case IRP_MJ_DEVICE_CONTROL:
        if (stack->Parameters.DeviceIoControl.IoControlCode != CODE_COUNT)
            break;
        if (stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(ULONG))
            return WdmComplete(Device, Irp, STATUS_BUFFER_TOO_SMALL, 0);
        *(PULONG)Irp->AssociatedIrp.SystemBuffer = PendingCount(WdmData(Device));
        return WdmComplete(Device, Irp, STATUS_SUCCESS, sizeof(ULONG));
    }
    return WdmComplete(Device, Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
}

static VOID Flush(PDEVICE_OBJECT Device)
{
    PIRP irp;

    while ((irp = PendingRemove(WdmData(Device), NULL)) != NULL)
        WdmComplete(Device, irp, STATUS_DEVICE_NOT_CONNECTED, 0);
}

const WDM_DEVICE WdmDevice = {
    .Name = L"\\Device\\TestUntilCanceled",
    .Link = L"\\DosDevices\\TestUntilCanceled",
    .IoFlags = DO_BUFFERED_IO,
    .ExtensionSize = sizeof(PENDING_LIST),
    .Io = Io,
    .Initialize = Initialize,
    .Flush = Flush,
};
