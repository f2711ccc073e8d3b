/* Mistakes with cancellation. */
#include "planted.h"

static EVT_WDF_REQUEST_CANCEL Cancel;
static EVT_WDF_REQUEST_CANCEL CancelOfReferenced;

static VOID Cancel(WDFREQUEST Request)
{
    WdfRequestComplete(Request, STATUS_CANCELLED);
}

static VOID CompletionWhileCancelable(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestMarkCancelableEx(Request, Cancel);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID MarkTwice(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestMarkCancelableEx(Request, Cancel);
    WdfRequestMarkCancelableEx(Request, Cancel);
}

static VOID UnmarkOfUnmarked(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    NTSTATUS status = WdfRequestUnmarkCancelable(Request);

    WdfRequestComplete(Request, status);
}

static VOID UnmarkTwice(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestMarkCancelableEx(Request, Cancel);
    WdfRequestUnmarkCancelable(Request);
    WdfRequestUnmarkCancelable(Request);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID ForwardWhileCancelable(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestMarkCancelableEx(Request, Cancel);
    WdfRequestForwardToIoQueue(Request, Device->Manual);
}

static VOID RequeueWhileCancelable(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFREQUEST same;

    if (!NT_SUCCESS(WdfRequestForwardToIoQueue(Request, Device->Manual)) ||
        !NT_SUCCESS(WdfIoQueueRetrieveNextRequest(Device->Manual, &same)))
        return;
    WdfRequestMarkCancelableEx(same, Cancel);
    WdfRequestRequeue(same);
}

static VOID SendWhileCancelable(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDF_REQUEST_SEND_OPTIONS options;

    WdfRequestMarkCancelableEx(Request, Cancel);
    WDF_REQUEST_SEND_OPTIONS_INIT(&options, WDF_REQUEST_SEND_OPTION_SYNCHRONOUS);
    WdfRequestFormatRequestUsingCurrentType(Request);
    WdfRequestSend(Request, Device->Below, &options);
}

static VOID IsCanceledWhileCancelable(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestMarkCancelableEx(Request, Cancel);
    WdfRequestIsCanceled(Request);
    if (NT_SUCCESS(WdfRequestUnmarkCancelable(Request)))
        WdfRequestComplete(Request, STATUS_SUCCESS);
}

/* The program cancels, then flushes: the unmark cannot win. The cancel routine waits until this handler returns. */
static VOID CompletionAfterLostUnmark(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestMarkCancelableEx(Request, Cancel);
    InterlockedIncrement(&Device->Waiting);
    KeWaitForSingleObject(&Device->Go, Executive, KernelMode, FALSE, NULL);
    WdfRequestUnmarkCancelable(Request);
    WdfRequestComplete(Request, STATUS_CANCELLED);
}

static EVT_WDF_WORKITEM UnmarkLate;
static WDFREQUEST Late;

static VOID CancelOfReferenced(WDFREQUEST Request)
{
    PLANTED_DEVICE *device = GetPlanted(WdfIoQueueGetDevice(WdfRequestGetIoQueue(Request)));

    WdfRequestComplete(Request, STATUS_CANCELLED);
    KeSetEvent(&device->Go, IO_NO_INCREMENT, FALSE);
}

static VOID UnmarkLate(WDFWORKITEM WorkItem)
{
    PLANTED_DEVICE *device = GetPlanted(WdfWorkItemGetParentObject(WorkItem));

    KeWaitForSingleObject(&device->Go, Executive, KernelMode, FALSE, NULL);
    WdfRequestUnmarkCancelable(Late);
    WdfObjectDereference(Late);
}

/* The cancel routine completes the request; then the work item unmarks it, with a reference to be sure. */
static VOID UnmarkAfterCompletion(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_WORKITEM_CONFIG config;
    WDFWORKITEM work;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = Device->Device;
    WDF_WORKITEM_CONFIG_INIT(&config, UnmarkLate);
    if (!NT_SUCCESS(WdfWorkItemCreate(&config, &attributes, &work))) {
        WdfRequestComplete(Request, STATUS_INSUFFICIENT_RESOURCES);
        return;
    }
    Late = Request;
    WdfObjectReference(Request);
    WdfRequestMarkCancelableEx(Request, CancelOfReferenced);
    WdfWorkItemEnqueue(work);
}

static VOID MarkOfCreated(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFREQUEST created;

    if (NT_SUCCESS(PlantedCreateRead(Device, &created))) {
        WdfRequestMarkCancelableEx(created, Cancel);
        WdfObjectDelete(created);
    }
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID MarkWithoutCallback(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestMarkCancelableEx(Request, NULL);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

const PLANTED_MISTAKE CancelMistakes[] = {
    {"completion while cancelable", CompletionWhileCancelable},
    {"mark twice", MarkTwice},
    {"unmark of an unmarked request", UnmarkOfUnmarked},
    {"unmark twice", UnmarkTwice},
    {"forward while cancelable", ForwardWhileCancelable},
    {"requeue while cancelable", RequeueWhileCancelable},
    {"send while cancelable", SendWhileCancelable},
    {"is-canceled while cancelable", IsCanceledWhileCancelable},
    {"completion after a lost unmark", CompletionAfterLostUnmark},
    {"unmark after completion", UnmarkAfterCompletion},
    {"mark of a created request", MarkOfCreated},
    {"mark without a callback", MarkWithoutCallback},
    {NULL, NULL},
};
