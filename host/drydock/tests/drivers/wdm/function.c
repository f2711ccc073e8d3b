#include "function.h"

typedef struct _FUNCTION_EXTENSION {
    PDEVICE_OBJECT Lower;
    /* Holds: IRPs inside the driver and whatever else needs the device, plus one until REMOVE. */
    LONG Outstanding;
    KEVENT Idle;
    BOOLEAN Removing;
    UNICODE_STRING Link;
} FUNCTION_EXTENSION;

static DRIVER_ADD_DEVICE AddDevice;
static DRIVER_DISPATCH DispatchIo;
static DRIVER_DISPATCH DispatchPnp;
static DRIVER_DISPATCH DispatchPower;
static DRIVER_DISPATCH DispatchSystemControl;
static DRIVER_UNLOAD Unload;
static IO_COMPLETION_ROUTINE ForwardCompleted;
DRIVER_INITIALIZE DriverEntry;

static FUNCTION_EXTENSION *Extension(PDEVICE_OBJECT Device)
{
    return Device->DeviceExtension;
}

PVOID WdmData(PDEVICE_OBJECT Device)
{
    return Extension(Device) + 1;
}

VOID WdmHold(PDEVICE_OBJECT Device)
{
    InterlockedIncrement(&Extension(Device)->Outstanding);
}

VOID WdmRelease(PDEVICE_OBJECT Device)
{
    FUNCTION_EXTENSION *extension = Extension(Device);

    if (InterlockedDecrement(&extension->Outstanding) == 0)
        KeSetEvent(&extension->Idle, IO_NO_INCREMENT, FALSE);
}

static NTSTATUS CompleteIrp(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

NTSTATUS WdmComplete(PDEVICE_OBJECT Device, PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    CompleteIrp(Irp, Status, Information);
    WdmRelease(Device);
    return Status;
}

static NTSTATUS Route(PDEVICE_OBJECT Device, PIRP Irp)
{
    PDRIVER_DISPATCH routine = WdmDevice.Io;
    BOOLEAN last = FALSE;

    switch (IoGetCurrentIrpStackLocation(Irp)->MajorFunction) {
    case IRP_MJ_CREATE:
        routine = WdmDevice.Create;
        break;
    case IRP_MJ_CLEANUP:
        routine = WdmDevice.Cleanup;
        last = TRUE;
        break;
    case IRP_MJ_CLOSE:
        routine = WdmDevice.Close;
        last = TRUE;
        break;
    }
    /* Handles of a device that is gone are still closed. */
    if (Extension(Device)->Removing && !last)
        return WdmComplete(Device, Irp, STATUS_DELETE_PENDING, 0);
    if (routine == NULL)
        return WdmComplete(Device, Irp, STATUS_SUCCESS, 0);
    return routine(Device, Irp);
}

/* One hold for the IRP, given back when it is completed, and one for the dispatch routine itself. */
static NTSTATUS DispatchIo(PDEVICE_OBJECT Device, PIRP Irp)
{
    NTSTATUS status;

    WdmHold(Device);
    WdmHold(Device);
    status = Route(Device, Irp);
    WdmRelease(Device);
    return status;
}

static NTSTATUS ForwardCompleted(PDEVICE_OBJECT Device, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(Device);
    if (Irp->PendingReturned)
        KeSetEvent(Context, IO_NO_INCREMENT, FALSE);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static NTSTATUS ForwardAndWait(PDEVICE_OBJECT Device, PIRP Irp)
{
    KEVENT done;
    NTSTATUS status;

    KeInitializeEvent(&done, NotificationEvent, FALSE);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, ForwardCompleted, &done, TRUE, TRUE, TRUE);
    status = IoCallDriver(Extension(Device)->Lower, Irp);
    if (status == STATUS_PENDING) {
        KeWaitForSingleObject(&done, Executive, KernelMode, FALSE, NULL);
        status = Irp->IoStatus.Status;
    }
    return status;
}

static NTSTATUS Forward(PDEVICE_OBJECT Device, PIRP Irp)
{
    NTSTATUS status;

    IoSkipCurrentIrpStackLocation(Irp);
    status = IoCallDriver(Extension(Device)->Lower, Irp);
    WdmRelease(Device);
    return status;
}

static VOID StopIo(PDEVICE_OBJECT Device)
{
    Extension(Device)->Removing = TRUE;
    if (WdmDevice.Flush != NULL)
        WdmDevice.Flush(Device);
}

static NTSTATUS Remove(PDEVICE_OBJECT Device, PIRP Irp)
{
    FUNCTION_EXTENSION *extension = Extension(Device);
    NTSTATUS status;

    StopIo(Device);
    WdmRelease(Device); /* this IRP's own count */
    WdmRelease(Device); /* the one that was there from the start */
    KeWaitForSingleObject(&extension->Idle, Executive, KernelMode, FALSE, NULL);

    Irp->IoStatus.Status = STATUS_SUCCESS;
    IoSkipCurrentIrpStackLocation(Irp);
    status = IoCallDriver(extension->Lower, Irp);
    IoDeleteSymbolicLink(&extension->Link);
    IoDetachDevice(extension->Lower);
    IoDeleteDevice(Device);
    return status;
}

static NTSTATUS DispatchPnp(PDEVICE_OBJECT Device, PIRP Irp)
{
    NTSTATUS status;

    WdmHold(Device);
    switch (IoGetCurrentIrpStackLocation(Irp)->MinorFunction) {
    case IRP_MN_START_DEVICE:
        status = ForwardAndWait(Device, Irp);
        if (NT_SUCCESS(status))
            Extension(Device)->Removing = FALSE;
        return WdmComplete(Device, Irp, status, Irp->IoStatus.Information);
    case IRP_MN_SURPRISE_REMOVAL:
        StopIo(Device);
        Irp->IoStatus.Status = STATUS_SUCCESS;
        return Forward(Device, Irp);
    case IRP_MN_REMOVE_DEVICE:
        return Remove(Device, Irp);
    case IRP_MN_QUERY_REMOVE_DEVICE:
    case IRP_MN_QUERY_STOP_DEVICE:
    case IRP_MN_CANCEL_REMOVE_DEVICE:
    case IRP_MN_CANCEL_STOP_DEVICE:
    case IRP_MN_STOP_DEVICE:
        Irp->IoStatus.Status = STATUS_SUCCESS;
        return Forward(Device, Irp);
    default:
        return Forward(Device, Irp);
    }
}

static NTSTATUS DispatchPower(PDEVICE_OBJECT Device, PIRP Irp)
{
    WdmHold(Device);
    return Forward(Device, Irp);
}

static NTSTATUS DispatchSystemControl(PDEVICE_OBJECT Device, PIRP Irp)
{
    WdmHold(Device);
    return Forward(Device, Irp);
}

static NTSTATUS AddDevice(PDRIVER_OBJECT Driver, PDEVICE_OBJECT Pdo)
{
    UNICODE_STRING name;
    PDEVICE_OBJECT device;
    FUNCTION_EXTENSION *extension;
    NTSTATUS status;

    RtlInitUnicodeString(&name, WdmDevice.Name);
    status = IoCreateDevice(Driver, sizeof(FUNCTION_EXTENSION) + WdmDevice.ExtensionSize, &name, FILE_DEVICE_UNKNOWN,
                            FILE_DEVICE_SECURE_OPEN, FALSE, &device);
    if (!NT_SUCCESS(status))
        return status;

    extension = Extension(device);
    extension->Outstanding = 1;
    KeInitializeEvent(&extension->Idle, NotificationEvent, FALSE);
    RtlInitUnicodeString(&extension->Link, WdmDevice.Link);
    status = IoCreateSymbolicLink(&extension->Link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    if (WdmDevice.Initialize != NULL)
        WdmDevice.Initialize(device);

    device->Flags |= WdmDevice.IoFlags | DO_POWER_PAGABLE;
    extension->Lower = IoAttachDeviceToDeviceStack(device, Pdo);
    if (extension->Lower == NULL) {
        IoDeleteSymbolicLink(&extension->Link);
        IoDeleteDevice(device);
        return STATUS_NO_SUCH_DEVICE;
    }
    device->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

static VOID Unload(PDRIVER_OBJECT Driver)
{
    UNREFERENCED_PARAMETER(Driver);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);
    Driver->MajorFunction[IRP_MJ_CREATE] = DispatchIo;
    Driver->MajorFunction[IRP_MJ_CLEANUP] = DispatchIo;
    Driver->MajorFunction[IRP_MJ_CLOSE] = DispatchIo;
    Driver->MajorFunction[IRP_MJ_READ] = DispatchIo;
    Driver->MajorFunction[IRP_MJ_WRITE] = DispatchIo;
    Driver->MajorFunction[IRP_MJ_FLUSH_BUFFERS] = DispatchIo;
    Driver->MajorFunction[IRP_MJ_DEVICE_CONTROL] = DispatchIo;
    Driver->MajorFunction[IRP_MJ_INTERNAL_DEVICE_CONTROL] = DispatchIo;
    Driver->MajorFunction[IRP_MJ_PNP] = DispatchPnp;
    Driver->MajorFunction[IRP_MJ_POWER] = DispatchPower;
    Driver->MajorFunction[IRP_MJ_SYSTEM_CONTROL] = DispatchSystemControl;
    Driver->DriverExtension->AddDevice = AddDevice;
    Driver->DriverUnload = Unload;
    return STATUS_SUCCESS;
}
