/* A filter that notes how each IRP arrives. Put right above a function driver, it shows what the filters above it
   changed: the same program must leave the same notes with and without them. One device at a time. */
#include <ntifs.h>

#include "filter.h"

/* Output: as many ARRIVALs as there are and fit, oldest first; they are forgotten. Answered by the filter itself. */
#define CODE_ARRIVALS TEST_CODE(0x101, METHOD_BUFFERED)

#define KEPT 256
#define FILES 64

#define NO_FILE 0
#define UNKNOWN_FILE 0xffffffff

typedef struct _ARRIVAL {
    UCHAR Major;
    UCHAR Minor;
    UCHAR LocationFlags;
    UCHAR RequestorMode;
    ULONG IrpFlags;
    /* Which open of the device, counted from 1. */
    ULONG File;
    ULONG Irql;
    /* In the context of the process that asked. */
    ULONG OwnContext;
    /* Length or output length; key or input length; 0 or control code. */
    ULONG Numbers[3];
    LONGLONG Offset;
    ULONG Priority;
    /* There were more than could be kept. */
    ULONG Lost;
} ARRIVAL;

static KSPIN_LOCK Lock;
static ARRIVAL Arrivals[KEPT];
static ULONG First, Count, Lost;
static struct {
    PFILE_OBJECT Object;
    ULONG Number;
} Files[FILES];
static ULONG Opened;

static ULONG FileNumber(PFILE_OBJECT File, UCHAR Major)
{
    ULONG i;

    if (File == NULL)
        return NO_FILE;
    if (Major == IRP_MJ_CREATE) {
        for (i = 0; i < FILES; i++) {
            if (Files[i].Object == NULL) {
                Files[i].Object = File;
                Files[i].Number = ++Opened;
                return Opened;
            }
        }
        return UNKNOWN_FILE;
    }
    for (i = 0; i < FILES; i++) {
        if (Files[i].Object == File) {
            if (Major == IRP_MJ_CLOSE)
                Files[i].Object = NULL;
            return Files[i].Number;
        }
    }
    return UNKNOWN_FILE;
}

static VOID Note(PIRP Irp, PIO_STACK_LOCATION Stack)
{
    ARRIVAL arrival;
    KIRQL irql;

    RtlZeroMemory(&arrival, sizeof(arrival));
    arrival.Major = Stack->MajorFunction;
    arrival.Minor = Stack->MinorFunction;
    /* Whose completion routine is to be called, and pending, are not the request's. */
    arrival.LocationFlags = Stack->Flags;
    arrival.RequestorMode = Irp->RequestorMode;
    arrival.IrpFlags = Irp->Flags;
    arrival.Irql = KeGetCurrentIrql();
    arrival.OwnContext = (ULONG)(ULONG_PTR)PsGetCurrentProcessId() == IoGetRequestorProcessId(Irp);
    arrival.Priority = IoGetIoPriorityHint(Irp);
    switch (Stack->MajorFunction) {
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
        arrival.Numbers[0] = Stack->Parameters.Read.Length;
        arrival.Numbers[1] = Stack->Parameters.Read.Key;
        arrival.Offset = Stack->Parameters.Read.ByteOffset.QuadPart;
        break;
    case IRP_MJ_DEVICE_CONTROL:
    case IRP_MJ_INTERNAL_DEVICE_CONTROL:
        arrival.Numbers[0] = Stack->Parameters.DeviceIoControl.OutputBufferLength;
        arrival.Numbers[1] = Stack->Parameters.DeviceIoControl.InputBufferLength;
        arrival.Numbers[2] = Stack->Parameters.DeviceIoControl.IoControlCode;
        break;
    }

    KeAcquireSpinLock(&Lock, &irql);
    arrival.File = FileNumber(Stack->FileObject, Stack->MajorFunction);
    if (Count == KEPT) {
        First = (First + 1) % KEPT;
        Count--;
        Lost++;
    }
    arrival.Lost = Lost;
    Arrivals[(First + Count++) % KEPT] = arrival;
    KeReleaseSpinLock(&Lock, irql);
}

static NTSTATUS Tell(PIRP Irp, ULONG Out)
{
    ARRIVAL *out = Irp->AssociatedIrp.SystemBuffer;
    ULONG told = 0;
    KIRQL irql;

    KeAcquireSpinLock(&Lock, &irql);
    while (Count != 0 && Out >= sizeof(ARRIVAL)) {
        out[told++] = Arrivals[First];
        First = (First + 1) % KEPT;
        Count--;
        Out -= sizeof(ARRIVAL);
    }
    KeReleaseSpinLock(&Lock, irql);
    Irp->IoStatus.Status = STATUS_SUCCESS;
    Irp->IoStatus.Information = told * sizeof(ARRIVAL);
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

NTSTATUS WdmFilterIo(PDEVICE_OBJECT Device, PIRP Irp)
{
    FILTER_EXTENSION *extension = Device->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    if (stack->MajorFunction == IRP_MJ_DEVICE_CONTROL &&
        stack->Parameters.DeviceIoControl.IoControlCode == CODE_ARRIVALS)
        return Tell(Irp, stack->Parameters.DeviceIoControl.OutputBufferLength);
    /* Power is another story: how often it is asked for is the power manager's affair. */
    if (stack->MajorFunction != IRP_MJ_POWER)
        Note(Irp, stack);
    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(extension->Lower, Irp);
}

VOID WdmFilterRemoved(FILTER_EXTENSION *Extension)
{
    UNREFERENCED_PARAMETER(Extension);
    RtlZeroMemory(Files, sizeof(Files));
    First = Count = Lost = Opened = 0;
}
