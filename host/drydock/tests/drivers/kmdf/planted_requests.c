/* Mistakes with requests: completing, owning, their buffers and parameters. */
#include "planted.h"

static VOID DoubleCompletion(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestComplete(Request, STATUS_SUCCESS);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

/* A reference keeps the object, not the right to complete it. */
static VOID DoubleCompletionWithReference(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfObjectReference(Request);
    WdfRequestComplete(Request, STATUS_SUCCESS);
    WdfRequestComplete(Request, STATUS_SUCCESS);
    WdfObjectDereference(Request);
}

static VOID UseAfterCompletion(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestComplete(Request, STATUS_SUCCESS);
    WdfRequestSetInformation(Request, 1);
}

static VOID InformationBeyondBuffer(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    PVOID buffer;
    size_t length;

    WdfRequestRetrieveOutputBuffer(Request, 1, &buffer, &length);
    WdfRequestCompleteWithInformation(Request, STATUS_SUCCESS, length + 1);
}

static VOID PendingCompletion(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestComplete(Request, STATUS_PENDING);
}

static VOID DeleteRequest(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfObjectDelete(Request);
}

static VOID ExcessDereference(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfObjectDereference(Request);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID Forgotten(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
}

static VOID ForwardToSameQueue(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    NTSTATUS status = WdfRequestForwardToIoQueue(Request, Device->Default);

    if (!NT_SUCCESS(status))
        WdfRequestComplete(Request, status);
}

static VOID ForwardToOtherDevice(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    NTSTATUS status = WdfRequestForwardToIoQueue(Request, Device->Foreign);

    if (!NT_SUCCESS(status))
        WdfRequestComplete(Request, status);
}

static VOID RequeueToParallel(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    NTSTATUS status = WdfRequestRequeue(Request);

    if (!NT_SUCCESS(status))
        WdfRequestComplete(Request, status);
}

static VOID UseAfterForward(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    if (NT_SUCCESS(WdfRequestForwardToIoQueue(Request, Device->Manual)))
        WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID BufferAfterCompletion(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    PULONG buffer;

    WdfRequestRetrieveOutputBuffer(Request, sizeof(*buffer), (PVOID *)&buffer, NULL);
    WdfRequestCompleteWithInformation(Request, STATUS_SUCCESS, sizeof(*buffer));
    *(volatile ULONG *)buffer = 1;
}

static VOID MemoryReferencedAtCompletion(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFMEMORY memory;

    WdfRequestRetrieveOutputMemory(Request, &memory);
    WdfObjectReference(memory);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID ParametersOfWrongSize(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDF_REQUEST_PARAMETERS parameters;

    WDF_REQUEST_PARAMETERS_INIT(&parameters);
    parameters.Size--;
    WdfRequestGetParameters(Request, &parameters);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID AcknowledgeOutsideStop(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestStopAcknowledge(Request, FALSE);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID EnqueueOutsideCallersContext(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    NTSTATUS status = WdfDeviceEnqueueRequest(Device->Device, Request);

    if (!NT_SUCCESS(status))
        WdfRequestComplete(Request, status);
}

static VOID UnsafeBufferOfBuffered(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    PVOID buffer;
    NTSTATUS status = WdfRequestRetrieveUnsafeUserInputBuffer(Request, 1, &buffer, NULL);

    WdfRequestComplete(Request, status);
}

/* A found request is not owned until it is retrieved. */
static VOID CompletionOfFound(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFREQUEST found;

    if (NT_SUCCESS(WdfRequestForwardToIoQueue(Request, Device->Manual)) &&
        NT_SUCCESS(WdfIoQueueFindRequest(Device->Manual, NULL, NULL, NULL, &found))) {
        WdfRequestComplete(found, STATUS_SUCCESS);
        WdfObjectDereference(found);
    }
}

static VOID RetrieveFromOtherQueue(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFREQUEST found, taken;

    if (NT_SUCCESS(WdfRequestForwardToIoQueue(Request, Device->Manual)) &&
        NT_SUCCESS(WdfIoQueueFindRequest(Device->Manual, NULL, NULL, NULL, &found))) {
        WdfIoQueueRetrieveFoundRequest(Device->SecondManual, found, &taken);
        WdfObjectDereference(found);
    }
}

static VOID MemoryDereferencedTooOften(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFMEMORY memory;

    WdfRequestRetrieveOutputMemory(Request, &memory);
    WdfObjectDereference(memory);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

/* With an output length of zero there is nothing to copy back. */
static VOID InformationWithoutBuffer(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestCompleteWithInformation(Request, STATUS_SUCCESS, 4);
}

const PLANTED_MISTAKE RequestMistakes[] = {
    {"double completion", DoubleCompletion},
    {"double completion with a reference", DoubleCompletionWithReference},
    {"use after completion", UseAfterCompletion},
    {"information beyond the buffer", InformationBeyondBuffer},
    {"completion with STATUS_PENDING", PendingCompletion},
    {"delete of a request", DeleteRequest},
    {"excess dereference", ExcessDereference},
    {"forgotten request", Forgotten},
    {"forward to the same queue", ForwardToSameQueue},
    {"forward to another device", ForwardToOtherDevice},
    {"requeue to a parallel queue", RequeueToParallel},
    {"use after forward", UseAfterForward},
    {"buffer after completion", BufferAfterCompletion},
    {"memory referenced at completion", MemoryReferencedAtCompletion},
    {"parameters of the wrong size", ParametersOfWrongSize},
    {"acknowledge outside EvtIoStop", AcknowledgeOutsideStop},
    {"enqueue outside the caller's context", EnqueueOutsideCallersContext},
    {"unsafe buffer of a buffered control", UnsafeBufferOfBuffered},
    {"completion of a found request", CompletionOfFound},
    {"retrieve from another queue", RetrieveFromOtherQueue},
    {"memory dereferenced too often", MemoryDereferencedTooOften},
    {"information without a buffer", InformationWithoutBuffer},
    {NULL, NULL},
};
