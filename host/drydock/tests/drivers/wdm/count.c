/* A filter with a completion routine that counts what goes down and what comes back. */
#include "filter.h"

/* Output: two ULONGs, IRPs sent down and come back. Answered by the filter itself. */
#define CODE_COUNTS TEST_CODE(0x100, METHOD_BUFFERED)

static IO_COMPLETION_ROUTINE Returned;

static NTSTATUS Returned(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    FILTER_EXTENSION *extension = Context;

    UNREFERENCED_PARAMETER(Device);
    InterlockedIncrement(&extension->Returned);
    if (Irp->PendingReturned)
        IoMarkIrpPending(Irp);
    return STATUS_CONTINUE_COMPLETION;
}

static NTSTATUS Counts(FILTER_EXTENSION *Extension, PIRP Irp, ULONG Out)
{
    PULONG counts = Irp->AssociatedIrp.SystemBuffer;
    NTSTATUS status = STATUS_BUFFER_TOO_SMALL;

    Irp->IoStatus.Information = 0;
    if (Out >= 2 * sizeof(ULONG)) {
        counts[0] = Extension->Sent;
        counts[1] = Extension->Returned;
        Irp->IoStatus.Information = 2 * sizeof(ULONG);
        status = STATUS_SUCCESS;
    }
    Irp->IoStatus.Status = status;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return status;
}

NTSTATUS WdmFilterIo(PDEVICE_OBJECT Device, PIRP Irp)
{
    FILTER_EXTENSION *extension = Device->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    if (stack->MajorFunction == IRP_MJ_DEVICE_CONTROL &&
        stack->Parameters.DeviceIoControl.IoControlCode == CODE_COUNTS)
        return Counts(extension, Irp, stack->Parameters.DeviceIoControl.OutputBufferLength);
    InterlockedIncrement(&extension->Sent);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, Returned, extension, TRUE, TRUE, TRUE);
    return IoCallDriver(extension->Lower, Irp);
}

VOID WdmFilterRemoved(FILTER_EXTENSION *Extension)
{
    DbgPrint("count: %ld sent, %ld returned\n", Extension->Sent, Extension->Returned);
}
