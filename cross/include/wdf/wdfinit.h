/* What C drivers use on top of the generated wdf.h: initialisers with the documented defaults, typed
   contexts, timeouts. Included by wdf.h; everything here is inline or a macro. */
#pragma once

#define WDF_NO_OBJECT_ATTRIBUTES NULL
#define WDF_NO_EVENT_CALLBACK NULL
#define WDF_NO_HANDLE NULL
#define WDF_NO_CONTEXT NULL
#define WDF_NO_SEND_OPTIONS NULL

/* Sets a sized structure to zero and its Size field to its size. */
#define WDF_ZERO_SIZED(p) (__builtin_memset((p), 0, sizeof(*(p))), (p)->Size = sizeof(*(p)))

/* Relative times are negative, in units of 100 ns. */
static inline LONGLONG WDF_REL_TIMEOUT_IN_US(ULONGLONG t) { return -(LONGLONG)(t * 10); }
static inline LONGLONG WDF_REL_TIMEOUT_IN_MS(ULONGLONG t) { return -(LONGLONG)(t * 10 * 1000); }
static inline LONGLONG WDF_REL_TIMEOUT_IN_SEC(ULONGLONG t) { return -(LONGLONG)(t * 10 * 1000 * 1000); }
static inline LONGLONG WDF_ABS_TIMEOUT_IN_MS(ULONGLONG t) { return (LONGLONG)(t * 10 * 1000); }

/* Objects */

static inline VOID WDF_OBJECT_ATTRIBUTES_INIT(PWDF_OBJECT_ATTRIBUTES a)
{
    WDF_ZERO_SIZED(a);
    a->ExecutionLevel = WdfExecutionLevelInheritFromParent;
    a->SynchronizationScope = WdfSynchronizationScopeInheritFromParent;
}

/* One description per context type and image, whichever files see the declaration. */
#define WDF_TYPE_INFO_NAME(type) WDF_##type##_TYPE_INFO
#define WDF_GET_CONTEXT_TYPE_INFO(type) (&WDF_TYPE_INFO_NAME(type))
#define WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(type, accessor)                             \
    extern const WDF_OBJECT_CONTEXT_TYPE_INFO WDF_TYPE_INFO_NAME(type);                \
    __declspec(selectany) const WDF_OBJECT_CONTEXT_TYPE_INFO WDF_TYPE_INFO_NAME(type) = { \
        sizeof(WDF_OBJECT_CONTEXT_TYPE_INFO), #type, sizeof(type),                     \
        &WDF_TYPE_INFO_NAME(type), NULL};                                              \
    static inline type *accessor(PVOID handle)                                         \
    {                                                                                  \
        return (type *)WdfObjectGetTypedContextWorker(handle, WDF_GET_CONTEXT_TYPE_INFO(type)->UniqueType); \
    }
#define WDF_DECLARE_CONTEXT_TYPE(type) WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(type, WdfObjectGet_##type)
#define WDF_OBJECT_ATTRIBUTES_SET_CONTEXT_TYPE(a, type) \
    ((a)->ContextTypeInfo = WDF_GET_CONTEXT_TYPE_INFO(type)->UniqueType)
#define WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(a, type) \
    (WDF_OBJECT_ATTRIBUTES_INIT(a), WDF_OBJECT_ATTRIBUTES_SET_CONTEXT_TYPE(a, type))
#define WdfObjectGetTypedContext(handle, type) \
    ((type *)WdfObjectGetTypedContextWorker((handle), WDF_GET_CONTEXT_TYPE_INFO(type)->UniqueType))

/* The file's name only: a path of the building machine has no place in an image. */
#define WdfObjectReferenceWithTag(h, tag) WdfObjectReferenceActual((h), (tag), __LINE__, __FILE_NAME__)
#define WdfObjectDereferenceWithTag(h, tag) WdfObjectDereferenceActual((h), (tag), __LINE__, __FILE_NAME__)
#define WdfObjectReference(h) WdfObjectReferenceWithTag((h), NULL)
#define WdfObjectDereference(h) WdfObjectDereferenceWithTag((h), NULL)
#define WdfDeviceStopIdle(d, wait) WdfDeviceStopIdleActual((d), (wait), NULL, __LINE__, __FILE_NAME__)
#define WdfDeviceResumeIdle(d) WdfDeviceResumeIdleActual((d), NULL, __LINE__, __FILE_NAME__)

/* Driver and device */

static inline VOID WDF_DRIVER_CONFIG_INIT(PWDF_DRIVER_CONFIG c, PFN_WDF_DRIVER_DEVICE_ADD add)
{
    WDF_ZERO_SIZED(c);
    c->EvtDriverDeviceAdd = add;
}

static inline VOID WDF_PNPPOWER_EVENT_CALLBACKS_INIT(PWDF_PNPPOWER_EVENT_CALLBACKS c) { WDF_ZERO_SIZED(c); }

static inline VOID WDF_POWER_POLICY_EVENT_CALLBACKS_INIT(PWDF_POWER_POLICY_EVENT_CALLBACKS c) { WDF_ZERO_SIZED(c); }

static inline VOID WDF_FILEOBJECT_CONFIG_INIT(PWDF_FILEOBJECT_CONFIG c, PFN_WDF_DEVICE_FILE_CREATE create,
                                              PFN_WDF_FILE_CLOSE close, PFN_WDF_FILE_CLEANUP cleanup)
{
    WDF_ZERO_SIZED(c);
    c->EvtDeviceFileCreate = create;
    c->EvtFileClose = close;
    c->EvtFileCleanup = cleanup;
    c->AutoForwardCleanupClose = WdfUseDefault;
    c->FileObjectClass = WdfFileObjectWdfCannotUseFsContexts;
}

static inline VOID WDF_IO_TYPE_CONFIG_INIT(PWDF_IO_TYPE_CONFIG c)
{
    WDF_ZERO_SIZED(c);
    c->ReadWriteIoType = WdfDeviceIoBuffered;
    c->DeviceControlIoType = WdfDeviceIoBuffered;
}

static inline VOID WDF_REMOVE_LOCK_OPTIONS_INIT(PWDF_REMOVE_LOCK_OPTIONS o, ULONG flags)
{
    WDF_ZERO_SIZED(o);
    o->Flags = flags;
}

static inline VOID WDF_DEVICE_PNP_CAPABILITIES_INIT(PWDF_DEVICE_PNP_CAPABILITIES c)
{
    WDF_ZERO_SIZED(c);
    c->LockSupported = c->EjectSupported = c->Removable = c->DockDevice = c->UniqueID = WdfUseDefault;
    c->SilentInstall = c->SurpriseRemovalOK = c->HardwareDisabled = c->NoDisplayInUI = WdfUseDefault;
    c->Address = (ULONG)-1;
    c->UINumber = (ULONG)-1;
}

/* Queues */

static inline VOID WDF_IO_QUEUE_CONFIG_INIT(PWDF_IO_QUEUE_CONFIG c, WDF_IO_QUEUE_DISPATCH_TYPE type)
{
    WDF_ZERO_SIZED(c);
    c->PowerManaged = WdfUseDefault;
    c->DispatchType = type;
    if (type == WdfIoQueueDispatchParallel)
        c->Settings.Parallel.NumberOfPresentedRequests = (ULONG)-1;
}

static inline VOID WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(PWDF_IO_QUEUE_CONFIG c, WDF_IO_QUEUE_DISPATCH_TYPE type)
{
    WDF_IO_QUEUE_CONFIG_INIT(c, type);
    c->DefaultQueue = TRUE;
}

static inline VOID WDF_IO_QUEUE_FORWARD_PROGRESS_POLICY_DEFAULT_INIT(PWDF_IO_QUEUE_FORWARD_PROGRESS_POLICY p, ULONG total)
{
    WDF_ZERO_SIZED(p);
    p->TotalForwardProgressRequests = total;
    p->ForwardProgressReservedPolicy = WdfIoForwardProgressReservedPolicyAlwaysUseReservedRequest;
}

/* Requests and targets */

static inline VOID WDF_REQUEST_PARAMETERS_INIT(PWDF_REQUEST_PARAMETERS p) { WDF_ZERO_SIZED(p); }

static inline VOID WDF_REQUEST_COMPLETION_PARAMS_INIT(PWDF_REQUEST_COMPLETION_PARAMS p)
{
    WDF_ZERO_SIZED(p);
    p->Type = WdfRequestTypeNoFormat;
}

static inline VOID WDF_REQUEST_SEND_OPTIONS_INIT(PWDF_REQUEST_SEND_OPTIONS o, ULONG flags)
{
    WDF_ZERO_SIZED(o);
    o->Flags = flags;
}

static inline VOID WDF_REQUEST_SEND_OPTIONS_SET_TIMEOUT(PWDF_REQUEST_SEND_OPTIONS o, LONGLONG timeout)
{
    o->Flags |= WDF_REQUEST_SEND_OPTION_TIMEOUT;
    o->Timeout = timeout;
}

static inline VOID WDF_REQUEST_REUSE_PARAMS_INIT(PWDF_REQUEST_REUSE_PARAMS p, ULONG flags, NTSTATUS status)
{
    WDF_ZERO_SIZED(p);
    p->Flags = flags;
    p->Status = status;
}

static inline VOID WDF_REQUEST_REUSE_PARAMS_SET_NEW_IRP(PWDF_REQUEST_REUSE_PARAMS p, PIRP irp)
{
    p->Flags |= WDF_REQUEST_REUSE_SET_NEW_IRP;
    p->NewIrp = irp;
}

static inline VOID WDF_REQUEST_FORWARD_OPTIONS_INIT(PWDF_REQUEST_FORWARD_OPTIONS o)
{
    WDF_ZERO_SIZED(o);
    o->Flags = WDF_REQUEST_FORWARD_OPTION_SEND_AND_FORGET;
}

static inline VOID WDF_MEMORY_DESCRIPTOR_INIT_BUFFER(PWDF_MEMORY_DESCRIPTOR d, PVOID buffer, ULONG length)
{
    __builtin_memset(d, 0, sizeof(*d));
    d->Type = WdfMemoryDescriptorTypeBuffer;
    d->u.BufferType.Buffer = buffer;
    d->u.BufferType.Length = length;
}

static inline VOID WDF_MEMORY_DESCRIPTOR_INIT_HANDLE(PWDF_MEMORY_DESCRIPTOR d, WDFMEMORY memory, PWDFMEMORY_OFFSET offsets)
{
    __builtin_memset(d, 0, sizeof(*d));
    d->Type = WdfMemoryDescriptorTypeHandle;
    d->u.HandleType.Memory = memory;
    d->u.HandleType.Offsets = offsets;
}

static inline VOID WDF_MEMORY_DESCRIPTOR_INIT_MDL(PWDF_MEMORY_DESCRIPTOR d, PMDL mdl, ULONG length)
{
    __builtin_memset(d, 0, sizeof(*d));
    d->Type = WdfMemoryDescriptorTypeMdl;
    d->u.MdlType.Mdl = mdl;
    d->u.MdlType.BufferLength = length;
}

static inline VOID WDF_IO_TARGET_OPEN_PARAMS_INIT_EXISTING_DEVICE(PWDF_IO_TARGET_OPEN_PARAMS p, PDEVICE_OBJECT device)
{
    WDF_ZERO_SIZED(p);
    p->Type = WdfIoTargetOpenUseExistingDevice;
    p->TargetDeviceObject = device;
}

static inline VOID WDF_IO_TARGET_OPEN_PARAMS_INIT_CREATE_BY_NAME(PWDF_IO_TARGET_OPEN_PARAMS p, PCUNICODE_STRING name, ACCESS_MASK access)
{
    WDF_ZERO_SIZED(p);
    p->Type = WdfIoTargetOpenByName;
    p->TargetDeviceName = *name;
    p->DesiredAccess = access;
    p->CreateOptions = FILE_NON_DIRECTORY_FILE;
}

static inline VOID WDF_IO_TARGET_OPEN_PARAMS_INIT_OPEN_BY_NAME(PWDF_IO_TARGET_OPEN_PARAMS p, PCUNICODE_STRING name, ACCESS_MASK access)
{
    WDF_IO_TARGET_OPEN_PARAMS_INIT_CREATE_BY_NAME(p, name, access);
    p->CreateDisposition = FILE_OPEN;
}

static inline VOID WDF_IO_TARGET_OPEN_PARAMS_INIT_REOPEN(PWDF_IO_TARGET_OPEN_PARAMS p)
{
    WDF_ZERO_SIZED(p);
    p->Type = WdfIoTargetOpenReopen;
}

/* Timers, work items, DPCs: serialised with their parent unless told otherwise. */

static inline VOID WDF_TIMER_CONFIG_INIT(PWDF_TIMER_CONFIG c, PFN_WDF_TIMER function)
{
    WDF_ZERO_SIZED(c);
    c->EvtTimerFunc = function;
    c->AutomaticSerialization = TRUE;
}

static inline VOID WDF_TIMER_CONFIG_INIT_PERIODIC(PWDF_TIMER_CONFIG c, PFN_WDF_TIMER function, LONG period)
{
    WDF_TIMER_CONFIG_INIT(c, function);
    c->Period = (ULONG)period;
}

static inline VOID WDF_WORKITEM_CONFIG_INIT(PWDF_WORKITEM_CONFIG c, PFN_WDF_WORKITEM function)
{
    WDF_ZERO_SIZED(c);
    c->EvtWorkItemFunc = function;
    c->AutomaticSerialization = TRUE;
}

static inline VOID WDF_DPC_CONFIG_INIT(PWDF_DPC_CONFIG c, PFN_WDF_DPC function)
{
    WDF_ZERO_SIZED(c);
    c->EvtDpcFunc = function;
    c->AutomaticSerialization = TRUE;
}
