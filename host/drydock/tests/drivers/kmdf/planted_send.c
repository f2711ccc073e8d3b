/* Mistakes with I/O targets and created requests. */
#include "planted.h"

static EVT_WDF_REQUEST_COMPLETION_ROUTINE Returned;
static EVT_WDF_REQUEST_COMPLETION_ROUTINE CreatedReturned;

static VOID Returned(WDFREQUEST Request, WDFIOTARGET Target, PWDF_REQUEST_COMPLETION_PARAMS Params, WDFCONTEXT Context)
{
    WdfRequestComplete(Request, Params->IoStatus.Status);
}

static VOID CreatedReturned(WDFREQUEST Request, WDFIOTARGET Target, PWDF_REQUEST_COMPLETION_PARAMS Params,
                            WDFCONTEXT Context)
{
    WdfObjectDelete(Request);
}

/* A created read that stays below until it is canceled. */
static WDFREQUEST SendRead(PLANTED_DEVICE *Device)
{
    WDFREQUEST created;

    if (!NT_SUCCESS(PlantedCreateRead(Device, &created)))
        return NULL;
    WdfRequestSetCompletionRoutine(created, CreatedReturned, NULL);
    if (WdfRequestSend(created, Device->Below, WDF_NO_SEND_OPTIONS))
        return created;
    WdfObjectDelete(created);
    return NULL;
}

static VOID SendUnformatted(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestSetCompletionRoutine(Request, Returned, NULL);
    if (!WdfRequestSend(Request, Device->Below, WDF_NO_SEND_OPTIONS))
        WdfRequestComplete(Request, WdfRequestGetStatus(Request));
}

static VOID ReuseWhileSent(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFREQUEST created = SendRead(Device);
    WDF_REQUEST_REUSE_PARAMS reuse;

    if (created != NULL) {
        WDF_REQUEST_REUSE_PARAMS_INIT(&reuse, WDF_REQUEST_REUSE_NO_FLAGS, STATUS_SUCCESS);
        WdfRequestReuse(created, &reuse);
    }
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID DeleteWhileSent(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFREQUEST created = SendRead(Device);

    if (created != NULL)
        WdfObjectDelete(created);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID SendTwice(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFREQUEST created = SendRead(Device);

    if (created != NULL)
        WdfRequestSend(created, Device->Below, WDF_NO_SEND_OPTIONS);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

/* The device below refuses the control at once: the completion routine has run when the send returns. */
static VOID UseAfterSend(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestFormatRequestUsingCurrentType(Request);
    WdfRequestSetCompletionRoutine(Request, Returned, NULL);
    WdfRequestSend(Request, Device->Below, WDF_NO_SEND_OPTIONS);
    WdfRequestSetInformation(Request, 1);
}

static VOID SendWithInvalidOptions(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDF_REQUEST_SEND_OPTIONS options;

    WDF_REQUEST_SEND_OPTIONS_INIT(&options,
                                  WDF_REQUEST_SEND_OPTION_SEND_AND_FORGET | WDF_REQUEST_SEND_OPTION_SYNCHRONOUS);
    if (!WdfRequestSend(Request, Device->Below, &options))
        WdfRequestComplete(Request, WdfRequestGetStatus(Request));
}

static VOID SendWithoutRoutine(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WdfRequestFormatRequestUsingCurrentType(Request);
    if (!WdfRequestSend(Request, Device->Below, WDF_NO_SEND_OPTIONS))
        WdfRequestComplete(Request, WdfRequestGetStatus(Request));
}

static VOID ForgetFormatted(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDF_REQUEST_SEND_OPTIONS options;

    WDF_REQUEST_SEND_OPTIONS_INIT(&options, WDF_REQUEST_SEND_OPTION_SEND_AND_FORGET);
    if (NT_SUCCESS(WdfIoTargetFormatRequestForIoctl(Device->Below, Request, CODE_WAITING, NULL, NULL, NULL, NULL)) &&
        WdfRequestSend(Request, Device->Below, &options))
        return;
    WdfRequestComplete(Request, WdfRequestGetStatus(Request));
}

static VOID ForgetWithRoutine(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDF_REQUEST_SEND_OPTIONS options;

    WDF_REQUEST_SEND_OPTIONS_INIT(&options, WDF_REQUEST_SEND_OPTION_SEND_AND_FORGET);
    WdfRequestSetCompletionRoutine(Request, Returned, NULL);
    if (!WdfRequestSend(Request, Device->Below, &options))
        WdfRequestComplete(Request, WdfRequestGetStatus(Request));
}

static VOID CompletionOfCreated(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFREQUEST created;

    if (NT_SUCCESS(PlantedCreateRead(Device, &created))) {
        WdfRequestComplete(created, STATUS_SUCCESS);
        WdfObjectDelete(created);
    }
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID FormatWithoutIrp(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFREQUEST created;

    if (NT_SUCCESS(WdfRequestCreate(WDF_NO_OBJECT_ATTRIBUTES, NULL, &created))) {
        WdfRequestFormatRequestUsingCurrentType(created);
        WdfObjectDelete(created);
    }
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

/* An IRP whose only stack location is the current one. */
static VOID FormatWithoutStackLocation(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    PIRP irp = IoAllocateIrp(1, FALSE);
    WDFREQUEST created;

    if (irp != NULL) {
        IoSetNextIrpStackLocation(irp);
        if (NT_SUCCESS(WdfRequestCreateFromIrp(WDF_NO_OBJECT_ATTRIBUTES, irp, TRUE, &created))) {
            WdfRequestFormatRequestUsingCurrentType(created);
            WdfObjectDelete(created);
        }
    }
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID CompletionParamsWithoutFormat(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDF_REQUEST_COMPLETION_PARAMS params;

    WDF_REQUEST_COMPLETION_PARAMS_INIT(&params);
    WdfRequestGetCompletionParams(Request, &params);
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

static VOID SynchronousSendAtDispatch(PLANTED_DEVICE *Device, WDFREQUEST Request)
{
    WDFREQUEST created;
    KIRQL irql;

    if (NT_SUCCESS(PlantedCreateRead(Device, &created))) {
        WDF_REQUEST_SEND_OPTIONS options;

        WDF_REQUEST_SEND_OPTIONS_INIT(&options, WDF_REQUEST_SEND_OPTION_SYNCHRONOUS);
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
        WdfRequestSend(created, Device->Below, &options);
        KeLowerIrql(irql);
        WdfObjectDelete(created);
    }
    WdfRequestComplete(Request, STATUS_SUCCESS);
}

const PLANTED_MISTAKE SendMistakes[] = {
    {"send of an unformatted request", SendUnformatted},
    {"reuse while sent", ReuseWhileSent},
    {"delete while sent", DeleteWhileSent},
    {"send of a sent request", SendTwice},
    {"use after send", UseAfterSend},
    {"send with invalid options", SendWithInvalidOptions},
    {"send without a completion routine", SendWithoutRoutine},
    {"forget a formatted request", ForgetFormatted},
    {"forget with a completion routine", ForgetWithRoutine},
    {"completion of a created request", CompletionOfCreated},
    {"format without an IRP", FormatWithoutIrp},
    {"format without a stack location", FormatWithoutStackLocation},
    {"completion params without a format", CompletionParamsWithoutFormat},
    {"synchronous send at DISPATCH_LEVEL", SynchronousSendAtDispatch},
    {NULL, NULL},
};
