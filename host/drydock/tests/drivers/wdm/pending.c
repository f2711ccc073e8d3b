#include "pending.h"

static DRIVER_CANCEL Canceled;

VOID PendingInitialize(PENDING_LIST *List)
{
    KeInitializeSpinLock(&List->Lock);
    InitializeListHead(&List->Irps);
}

static VOID Unlink(PENDING_LIST *List, PIRP Irp)
{
    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
    List->Count--;
}

static VOID Canceled(PDEVICE_OBJECT Device, PIRP Irp)
{
    PENDING_LIST *list = Irp->Tail.Overlay.DriverContext[0];
    KIRQL irql;

    IoReleaseCancelSpinLock(Irp->CancelIrql);
    KeAcquireSpinLock(&list->Lock, &irql);
    Unlink(list, Irp);
    KeReleaseSpinLock(&list->Lock, irql);
    WdmComplete(Device, Irp, STATUS_CANCELLED, 0);
}

NTSTATUS PendingInsert(PENDING_LIST *List, PIRP Irp)
{
    PDEVICE_OBJECT device = IoGetCurrentIrpStackLocation(Irp)->DeviceObject;
    BOOLEAN canceled = FALSE;
    KIRQL irql;

    KeAcquireSpinLock(&List->Lock, &irql);
    IoMarkIrpPending(Irp);
    Irp->Tail.Overlay.DriverContext[0] = List;
    InsertTailList(&List->Irps, &Irp->Tail.Overlay.ListEntry);
    List->Count++;
    IoSetCancelRoutine(Irp, Canceled);
    /* Canceled before the routine was there, and the routine will not be called: ours to complete. */
    if (Irp->Cancel && IoSetCancelRoutine(Irp, NULL) != NULL) {
        Unlink(List, Irp);
        canceled = TRUE;
    }
    KeReleaseSpinLock(&List->Lock, irql);
    if (canceled)
        WdmComplete(device, Irp, STATUS_CANCELLED, 0);
    return STATUS_PENDING;
}

PIRP PendingRemove(PENDING_LIST *List, PFILE_OBJECT File)
{
    PIRP found = NULL;
    PLIST_ENTRY entry;
    KIRQL irql;

    KeAcquireSpinLock(&List->Lock, &irql);
    for (entry = List->Irps.Flink; entry != &List->Irps && found == NULL; entry = entry->Flink) {
        PIRP irp = CONTAINING_RECORD(entry, IRP, Tail.Overlay.ListEntry);

        if (File != NULL && IoGetCurrentIrpStackLocation(irp)->FileObject != File)
            continue;
        /* Without its cancel routine it is being canceled, and the routine takes it off the list. */
        if (IoSetCancelRoutine(irp, NULL) != NULL)
            found = irp;
    }
    if (found != NULL)
        Unlink(List, found);
    KeReleaseSpinLock(&List->Lock, irql);
    return found;
}

ULONG PendingCount(PENDING_LIST *List)
{
    ULONG count;
    KIRQL irql;

    KeAcquireSpinLock(&List->Lock, &irql);
    count = List->Count;
    KeReleaseSpinLock(&List->Lock, irql);
    return count;
}
