/* A device whose state belongs to the handle: it is found through the file object of each IRP. Every handle counts
   for itself; a read gives its next numbers, a write sets the count. */
#include "function.h"

#define TAG 'ldnH'

/* Output: the name the handle was opened with, below the device. */
#define CODE_NAME TEST_CODE(0, METHOD_BUFFERED)

typedef struct _HANDLE_STATE {
    LONG Next;
    BOOLEAN Cleaned;
} HANDLE_STATE;

static NTSTATUS Create(PDEVICE_OBJECT Device, PIRP Irp)
{
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    HANDLE_STATE *state = ExAllocatePoolWithTag(NonPagedPoolNx, sizeof(*state), TAG);

    if (state == NULL)
        return WdmComplete(Device, Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    RtlZeroMemory(state, sizeof(*state));
    file->FsContext = state;
    return WdmComplete(Device, Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS Cleanup(PDEVICE_OBJECT Device, PIRP Irp)
{
    HANDLE_STATE *state = IoGetCurrentIrpStackLocation(Irp)->FileObject->FsContext;

    state->Cleaned = TRUE;
    return WdmComplete(Device, Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS Close(PDEVICE_OBJECT Device, PIRP Irp)
{
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    HANDLE_STATE *state = file->FsContext;

    /* CLOSE before CLEANUP would be the I/O manager's mistake. */
    if (!state->Cleaned)
        KeBugCheckEx(0xE2, (ULONG_PTR)file, (ULONG_PTR)state, 0, 0);
    file->FsContext = NULL;
    ExFreePoolWithTag(state, TAG);
    return WdmComplete(Device, Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS Name(PDEVICE_OBJECT Device, PIRP Irp, PIO_STACK_LOCATION Stack)
{
    PUNICODE_STRING name = &Stack->FileObject->FileName;

    if (Stack->Parameters.DeviceIoControl.OutputBufferLength < name->Length)
        return WdmComplete(Device, Irp, STATUS_BUFFER_TOO_SMALL, 0);
    RtlCopyMemory(Irp->AssociatedIrp.SystemBuffer, name->Buffer, name->Length);
    return WdmComplete(Device, Irp, STATUS_SUCCESS, name->Length);
}

static NTSTATUS Io(PDEVICE_OBJECT Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    PULONG numbers = Irp->AssociatedIrp.SystemBuffer;
    HANDLE_STATE *state;
    ULONG count, i;

    if (stack->FileObject == NULL || stack->FileObject->FsContext == NULL)
        return WdmComplete(Device, Irp, STATUS_INVALID_HANDLE, 0);
    state = stack->FileObject->FsContext;
    if (state->Cleaned)
        return WdmComplete(Device, Irp, STATUS_FILE_CLOSED, 0);

    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
        count = stack->Parameters.Read.Length / sizeof(ULONG);
        for (i = 0; i < count; i++)
            numbers[i] = InterlockedIncrement(&state->Next) - 1;
        return WdmComplete(Device, Irp, STATUS_SUCCESS, count * sizeof(ULONG));
    case IRP_MJ_WRITE:
        if (stack->Parameters.Write.Length != sizeof(ULONG))
            return WdmComplete(Device, Irp, STATUS_INVALID_PARAMETER, 0);
        InterlockedExchange(&state->Next, numbers[0]);
        return WdmComplete(Device, Irp, STATUS_SUCCESS, sizeof(ULONG));
    case IRP_MJ_DEVICE_CONTROL:
        if (stack->Parameters.DeviceIoControl.IoControlCode == CODE_NAME)
            return Name(Device, Irp, stack);
        break;
    }
    return WdmComplete(Device, Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
}

const WDM_DEVICE WdmDevice = {
    .Name = L"\\Device\\TestHandle",
    .Link = L"\\DosDevices\\TestHandle",
    .IoFlags = DO_BUFFERED_IO,
    .ExtensionSize = 0,
    .Io = Io,
    .Create = Create,
    .Cleanup = Cleanup,
    .Close = Close,
};
