/* A filter that makes one mistake per request: the input of CODE_PLANT names it. Each mistake is made the way drivers
   make it, and stands alone: what comes before it is right. */
#pragma once
#include <ntddk.h>
#include <wdf.h>

#include "../codes.h"

/* Input: the name of a mistake, in ASCII. Its handler does what is left to do with the request, if anything is. */
#define CODE_PLANT TEST_CODE(0, METHOD_BUFFERED)
/* The same with a direct output buffer. */
#define CODE_PLANT_DIRECT TEST_CODE(1, METHOD_OUT_DIRECT)
/* Output: ULONG, how many mistakes wait for the flush (IRP_MJ_FLUSH_BUFFERS) that lets them go on. */
#define CODE_WAITING TEST_CODE(2, METHOD_BUFFERED)

#define PLANTED_TAG 'tnlP'

typedef struct _PLANTED_DEVICE {
    WDFDEVICE Device;
    WDFQUEUE Default;  /* parallel */
    WDFQUEUE Manual;
    WDFQUEUE SecondManual;
    WDFQUEUE Foreign;  /* of a control device of the same driver */
    WDFDEVICE Control;
    WDFIOTARGET Below; /* ends reads only when they are canceled, and refuses unknown controls at once */
    KEVENT Go; /* set by a flush, which no queue sees: an arriving request would run what the queue has to do */
    LONG Waiting;
    WDFREQUEST AtSurprise; /* completed by EvtDeviceSurpriseRemoval */
} PLANTED_DEVICE;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(PLANTED_DEVICE, GetPlanted)

typedef VOID MISTAKE(PLANTED_DEVICE *Device, WDFREQUEST Request);

typedef struct _PLANTED_MISTAKE {
    const char *Name;
    MISTAKE *Make;
} PLANTED_MISTAKE;

/* Each ends with an entry without a name. */
extern const PLANTED_MISTAKE RequestMistakes[];
extern const PLANTED_MISTAKE CancelMistakes[];
extern const PLANTED_MISTAKE SendMistakes[];
extern const PLANTED_MISTAKE ObjectMistakes[];
extern const PLANTED_MISTAKE KernelMistakes[];

/* A created request with a read of the target below in it, and a buffer of its own. */
NTSTATUS PlantedCreateRead(PLANTED_DEVICE *Device, WDFREQUEST *Created);
