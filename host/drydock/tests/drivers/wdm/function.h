/* The PnP and power side of a plain WDM function driver with one named device: what is the same in all of them.
   A driver defines WdmDevice and completes its IRPs with WdmComplete; DriverEntry is here. */
#pragma once
#include <ntddk.h>

#include "../codes.h"

typedef struct _WDM_DEVICE {
    PCWSTR Name;         /* \Device\... */
    PCWSTR Link;         /* \DosDevices\... */
    ULONG IoFlags;       /* DO_BUFFERED_IO, DO_DIRECT_IO or neither */
    ULONG ExtensionSize; /* bytes of the driver's own data, zeroed */

    /* Reads, writes and controls. Answers with WdmComplete, at once or later. */
    PDRIVER_DISPATCH Io;
    /* Opening and closing; NULL where every open succeeds. */
    PDRIVER_DISPATCH Create;
    PDRIVER_DISPATCH Cleanup;
    PDRIVER_DISPATCH Close;

    /* Once, before the first IRP. */
    VOID (*Initialize)(PDEVICE_OBJECT Device);
    /* The device goes away: ends every IRP the driver still has. */
    VOID (*Flush)(PDEVICE_OBJECT Device);
} WDM_DEVICE;

extern const WDM_DEVICE WdmDevice;

/* The driver's own data. */
PVOID WdmData(PDEVICE_OBJECT Device);

/* Keeps the device from being removed until WdmRelease. */
VOID WdmHold(PDEVICE_OBJECT Device);
VOID WdmRelease(PDEVICE_OBJECT Device);

/* Completes an IRP that came through Io, Create, Cleanup or Close. */
NTSTATUS WdmComplete(PDEVICE_OBJECT Device, PIRP Irp, NTSTATUS Status, ULONG_PTR Information);
