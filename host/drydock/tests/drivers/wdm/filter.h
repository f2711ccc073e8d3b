/* Attaching, PnP and unloading of a plain WDM filter: what is the same in all of them. A filter defines WdmFilterIo,
   which sees every IRP except PnP. */
#pragma once
#include <ntddk.h>

#include "../codes.h"

typedef struct _FILTER_EXTENSION {
    PDEVICE_OBJECT Lower;
    /* For the filter's own use, zero at first. */
    LONG Sent;
    LONG Returned;
} FILTER_EXTENSION;

DRIVER_DISPATCH WdmFilterIo;
/* The device is about to go; nothing is on its way below any more. */
VOID WdmFilterRemoved(FILTER_EXTENSION *Extension);
