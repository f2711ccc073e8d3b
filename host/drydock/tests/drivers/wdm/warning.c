/* A device that has more data than fits: reads and controls end with the warning STATUS_BUFFER_OVERFLOW and half of
   the buffer filled, which the caller must still get. */
#include "function.h"

#define CODE_QUERY TEST_CODE(0, METHOD_BUFFERED)

static NTSTATUS Half(PDEVICE_OBJECT Device, PIRP Irp, ULONG Length)
{
    RtlFillMemory(Irp->AssociatedIrp.SystemBuffer, Length / 2, 0x57);
    return WdmComplete(Device, Irp, STATUS_BUFFER_OVERFLOW, Length / 2);
}

static NTSTATUS Io(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
        return Half(Device, Irp, stack->Parameters.Read.Length);
    case IRP_MJ_DEVICE_CONTROL:
        if (stack->Parameters.DeviceIoControl.IoControlCode == CODE_QUERY)
            return Half(Device, Irp, stack->Parameters.DeviceIoControl.OutputBufferLength);
        break;
    }
    return WdmComplete(Device, Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
}

const WDM_DEVICE WdmDevice = {
    .Name = L"\\Device\\TestWarning",
    .Link = L"\\DosDevices\\TestWarning",
    .IoFlags = DO_BUFFERED_IO,
    .ExtensionSize = 0,
    .Io = Io,
};
