/* Mistakes with handles, objects, locks, queues, timers and work items. */
#include "planted.h"

static NTSTATUS CreateMemory(PLANTED_DEVICE *Device, WDFMEMORY *Memory)
{
    WDF_OBJECT_ATTRIBUTES attributes;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = Device->Device;
    return WdfMemoryCreate(&attributes, NonPagedPoolNx, PLANTED_TAG, 16, Memory, NULL);
}

static WDFSPINLOCK CreateSpinLock(PLANTED_DEVICE *Device)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFSPINLOCK lock = NULL;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = Device->Device;
    WdfSpinLockCreate(&attributes, &lock);
    return lock;
}

static VOID NullHandle(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfIoQueueGetDevice(NULL);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID HandleOfOtherType(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfIoQueueGetDevice((WDFQUEUE)Device->Device);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID NullParameter(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfIoQueueRetrieveNextRequest(Device->Manual, NULL);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID HandleAfterDelete(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFMEMORY memory;

    if (NT_SUCCESS(CreateMemory(Device, &memory))) {
        WdfObjectDelete(memory);
        WdfMemoryGetBuffer(memory, NULL);
    }
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID DereferenceInsteadOfDelete(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFMEMORY memory;

    if (NT_SUCCESS(CreateMemory(Device, &memory)))
        WdfObjectDereference(memory);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID DeleteOfDefaultQueue(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfObjectDelete(Device->Default);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

/* The reference is never given back. */
static VOID LeakedObject(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFMEMORY memory;

    if (NT_SUCCESS(CreateMemory(Device, &memory))) {
        WdfObjectReference(memory);
        WdfObjectDelete(memory);
    }
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static EVT_WDF_IO_QUEUE_STATE QueueDone;
static VOID QueueDone(WDFQUEUE Queue, WDFCONTEXT Context)
{
}

/* The request is the queue's: neither purge can finish. */
static VOID TwoPurges(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfIoQueuePurge(Device->Default, QueueDone, NULL);
    WdfIoQueuePurge(Device->Default, QueueDone, NULL);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID ReadyNotifyOfParallel(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfIoQueueReadyNotify(Device->Default, QueueDone, NULL);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID ReadyNotifyTwice(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfIoQueueReadyNotify(Device->Manual, QueueDone, NULL);
    WdfIoQueueReadyNotify(Device->Manual, QueueDone, NULL);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID FindInParallel(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFREQUEST found;

    WdfIoQueueFindRequest(Device->Default, NULL, NULL, NULL, &found);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID LockOfMemory(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFMEMORY memory;

    if (NT_SUCCESS(CreateMemory(Device, &memory)))
        WdfObjectAcquireLock(memory);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID CallbackLockTwice(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfObjectAcquireLock(Device->Manual);
    WdfObjectAcquireLock(Device->Manual);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID SpinLockTwice(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFSPINLOCK lock = CreateSpinLock(Device);

    WdfSpinLockAcquire(lock);
    WdfSpinLockAcquire(lock);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID SpinLockNotHeld(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfSpinLockRelease(CreateSpinLock(Device));
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID LockOrder(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFSPINLOCK a = CreateSpinLock(Device), b = CreateSpinLock(Device);

    WdfSpinLockAcquire(a);
    WdfSpinLockAcquire(b);
    WdfSpinLockRelease(b);
    WdfSpinLockRelease(a);
    WdfSpinLockAcquire(b);
    WdfSpinLockAcquire(a);
    WdfSpinLockRelease(a);
    WdfSpinLockRelease(b);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID SpinLockKept(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestComplete(Request, STATUS_SUCCESS);
    WdfSpinLockAcquire(CreateSpinLock(Device));
}

static VOID WaitLockAtDispatch(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFWAITLOCK lock;
    KIRQL irql;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = Device->Device;
    if (NT_SUCCESS(WdfWaitLockCreate(&attributes, &lock))) {
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
        WdfWaitLockAcquire(lock, NULL);
        KeLowerIrql(irql);
    }
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID RemoveOfAbsent(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFCOLLECTION collection;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = Device->Device;
    if (NT_SUCCESS(WdfCollectionCreate(&attributes, &collection)))
        WdfCollectionRemove(collection, Device->Manual);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static EVT_WDF_WORKITEM FlushItself;
static VOID FlushItself(WDFWORKITEM WorkItem)
{
    WdfWorkItemFlush(WorkItem);
}

static VOID WorkItemFlushesItself(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_WORKITEM_CONFIG config;
    WDFWORKITEM work;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = Device->Device;
    WDF_WORKITEM_CONFIG_INIT(&config, FlushItself);
    if (NT_SUCCESS(WdfWorkItemCreate(&config, &attributes, &work))) {
        WdfWorkItemEnqueue(work);
        WdfWorkItemFlush(work);
    }
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static EVT_WDF_TIMER StopItself;
static VOID StopItself(WDFTIMER Timer)
{
    WdfTimerStop(Timer, TRUE);
    KeSetEvent(&GetPlanted(WdfTimerGetParentObject(Timer))->Go, IO_NO_INCREMENT, FALSE);
}

static VOID TimerStopsItself(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_TIMER_CONFIG config;
    WDFTIMER timer;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = Device->Device;
    attributes.ExecutionLevel = WdfExecutionLevelPassive;
    WDF_TIMER_CONFIG_INIT(&config, StopItself);
    config.AutomaticSerialization = FALSE;
    if (NT_SUCCESS(WdfTimerCreate(&config, &attributes, &timer))) {
        WdfTimerStart(timer, 0);
        KeWaitForSingleObject(&Device->Go, Executive, KernelMode, FALSE, NULL);
    }
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

/* Waiting for a queue needs PASSIVE_LEVEL. */
static VOID QueueWaitAtDispatch(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    KIRQL irql;

    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    WdfIoQueueStopSynchronously(Device->Manual);
    KeLowerIrql(irql);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

/* The clean-up of the device finds no control device to delete. */
static VOID ControlDeviceKept(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    Device->Control = NULL;
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID CompletedAtSurprise(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    Device->AtSurprise = Request;
}

const PLANTED_MISTAKE ObjectMistakes[] = {
    {"wait for a queue at DISPATCH_LEVEL", QueueWaitAtDispatch},
    {"control device kept", ControlDeviceKept},
    {"completion at surprise removal", CompletedAtSurprise},
    {"null handle", NullHandle},
    {"handle of another type", HandleOfOtherType},
    {"null parameter", NullParameter},
    {"handle after delete", HandleAfterDelete},
    {"dereference instead of delete", DereferenceInsteadOfDelete},
    {"delete of the default queue", DeleteOfDefaultQueue},
    {"leaked object", LeakedObject},
    {"two purges at once", TwoPurges},
    {"ready notify of a parallel queue", ReadyNotifyOfParallel},
    {"ready notify twice", ReadyNotifyTwice},
    {"find in a parallel queue", FindInParallel},
    {"lock of an object without lock", LockOfMemory},
    {"callback lock twice", CallbackLockTwice},
    {"spin lock twice", SpinLockTwice},
    {"release of a spin lock not held", SpinLockNotHeld},
    {"spin locks in two orders", LockOrder},
    {"spin lock kept", SpinLockKept},
    {"wait lock at DISPATCH_LEVEL", WaitLockAtDispatch},
    {"remove of an absent item", RemoveOfAbsent},
    {"work item flushes itself", WorkItemFlushesItself},
    {"timer stops itself", TimerStopsItself},
    {NULL, NULL},
};
