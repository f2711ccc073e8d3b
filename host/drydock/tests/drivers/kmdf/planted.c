#include "planted.h"

DRIVER_INITIALIZE DriverEntry;
static EVT_WDF_DRIVER_DEVICE_ADD DeviceAdd;
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL IoControl;
static EVT_WDF_IO_QUEUE_IO_DEFAULT IoRefuse;
static EVT_WDF_OBJECT_CONTEXT_CLEANUP DeviceCleanup;
static EVT_WDFDEVICE_WDM_IRP_PREPROCESS Flush;

static MISTAKE *Find(const char *Name)
{
    static const PLANTED_MISTAKE *const lists[] = {RequestMistakes, CancelMistakes, SendMistakes, ObjectMistakes,
                                                   KernelMistakes};
    const PLANTED_MISTAKE *entry;
    ULONG i;

    for (i = 0; i < RTL_NUMBER_OF(lists); i++)
        for (entry = lists[i]; entry->Name != NULL; entry++)
            if (strcmp(entry->Name, Name) == 0)
                return entry->Make;
    return NULL;
}

static VOID Plant(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    CHAR name[64];
    PVOID input;
    size_t length;
    NTSTATUS status = WdfRequestRetrieveInputBuffer(Request, 1, &input, &length);
    MISTAKE *make;

    if (NT_SUCCESS(status) && length >= sizeof(name))
        status = STATUS_INVALID_PARAMETER;
    if (!NT_SUCCESS(status)) {
        WdfRequestComplete(Request, status);
        return;
    }
    RtlCopyMemory(name, input, length);
    name[length] = 0;
    make = Find(name);
    if (make == NULL)
        WdfRequestComplete(Request, STATUS_NOT_FOUND);
    else
        make(Device, Request);
}

static VOID ReportWaiting(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    PULONG waiting;
    NTSTATUS status = WdfRequestRetrieveOutputBuffer(Request, sizeof(*waiting), (PVOID *)&waiting, NULL);

    if (NT_SUCCESS(status))
        *waiting = Device->Waiting;
    WdfRequestCompleteWithInformation(Request, status, NT_SUCCESS(status) ? sizeof(*waiting) : 0);
}

static NTSTATUS Flush(WDFDEVICE Device, PIRP Irp)
{
    KeSetEvent(&GetPlanted(Device)->Go, IO_NO_INCREMENT, FALSE);
    Irp->IoStatus.Status = STATUS_SUCCESS;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static VOID IoControl(WDFQUEUE Queue, WDFREQUEST Request, size_t OutputLength, size_t InputLength, ULONG Code)
{
    PLANTED_DEVICE *device = GetPlanted(WdfIoQueueGetDevice(Queue));

    switch (Code) {
    case CODE_PLANT:
    case CODE_PLANT_DIRECT:
        Plant(device, Request);
        break;
    case CODE_WAITING:
        ReportWaiting(device, Request);
        break;
    default:
        WdfRequestComplete(Request, STATUS_INVALID_DEVICE_REQUEST);
    }
}

static VOID IoRefuse(WDFQUEUE Queue, WDFREQUEST Request)
{
    WdfRequestComplete(Request, STATUS_INVALID_DEVICE_REQUEST);
}

NTSTATUS PlantedCreateRead(PLANTED_DEVICE *Device, WDFREQUEST *Created)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFMEMORY memory;
    NTSTATUS status;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = Device->Device;
    status = WdfRequestCreate(&attributes, Device->Below, Created);
    if (!NT_SUCCESS(status))
        return status;
    attributes.ParentObject = *Created;
    status = WdfMemoryCreate(&attributes, NonPagedPoolNx, PLANTED_TAG, 16, &memory, NULL);
    if (NT_SUCCESS(status))
        status = WdfIoTargetFormatRequestForRead(Device->Below, *Created, memory, NULL, NULL);
    if (!NT_SUCCESS(status))
        WdfObjectDelete(*Created);
    return status;
}

static NTSTATUS CreateControlDevice(WDFDRIVER Driver, PLANTED_DEVICE *Planted)
{
    static UNICODE_STRING sddl = RTL_CONSTANT_STRING(L"D:P(A;;GA;;;SY)(A;;GA;;;BA)");
    static UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\TestPlantedControl");
    PWDFDEVICE_INIT init = WdfControlDeviceInitAllocate(Driver, &sddl);
    WDF_IO_QUEUE_CONFIG config;
    NTSTATUS status;

    if (init == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = WdfDeviceInitAssignName(init, &name);
    if (NT_SUCCESS(status))
        status = WdfDeviceCreate(&init, WDF_NO_OBJECT_ATTRIBUTES, &Planted->Control);
    if (!NT_SUCCESS(status)) {
        WdfDeviceInitFree(init);
        return status;
    }
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchParallel);
    config.EvtIoDefault = IoRefuse;
    status = WdfIoQueueCreate(Planted->Control, &config, WDF_NO_OBJECT_ATTRIBUTES, &Planted->Foreign);
    if (NT_SUCCESS(status))
        WdfControlFinishInitializing(Planted->Control);
    return status;
}

/* A PnP driver deletes its control device with its last device. */
static VOID DeviceCleanup(WDFOBJECT Object)
{
    WDFDEVICE control = GetPlanted(Object)->Control;

    if (control != NULL)
        WdfObjectDelete(control);
}

static VOID SurpriseRemoval(WDFDEVICE Device)
{
    WDFREQUEST request = GetPlanted(Device)->AtSurprise;

    if (request != NULL)
        WdfRequestComplete(request, STATUS_DEVICE_NOT_CONNECTED);
}

static NTSTATUS DeviceAdd(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit)
{
    WDF_PNPPOWER_EVENT_CALLBACKS callbacks;
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_IO_QUEUE_CONFIG config;
    PLANTED_DEVICE *planted;
    WDFDEVICE device;
    NTSTATUS status;

    WdfFdoInitSetFilter(DeviceInit);
    status = WdfDeviceInitAssignWdmIrpPreprocessCallback(DeviceInit, Flush, IRP_MJ_FLUSH_BUFFERS, NULL, 0);
    if (!NT_SUCCESS(status))
        return status;
    WDF_PNPPOWER_EVENT_CALLBACKS_INIT(&callbacks);
    callbacks.EvtDeviceSurpriseRemoval = SurpriseRemoval;
    WdfDeviceInitSetPnpPowerEventCallbacks(DeviceInit, &callbacks);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, PLANTED_DEVICE);
    attributes.EvtCleanupCallback = DeviceCleanup;
    status = WdfDeviceCreate(&DeviceInit, &attributes, &device);
    if (!NT_SUCCESS(status))
        return status;
    planted = GetPlanted(device);
    planted->Device = device;
    planted->Below = WdfDeviceGetIoTarget(device);
    KeInitializeEvent(&planted->Go, NotificationEvent, FALSE);

    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoDeviceControl = IoControl;
    status = WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, &planted->Default);
    if (!NT_SUCCESS(status))
        return status;
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchManual);
    status = WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, &planted->Manual);
    if (!NT_SUCCESS(status))
        return status;
    status = WdfIoQueueCreate(device, &config, WDF_NO_OBJECT_ATTRIBUTES, &planted->SecondManual);
    if (!NT_SUCCESS(status))
        return status;
    return CreateControlDevice(Driver, planted);
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    WDF_DRIVER_CONFIG config;

    WDF_DRIVER_CONFIG_INIT(&config, DeviceAdd);
    return WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config, WDF_NO_HANDLE);
}
