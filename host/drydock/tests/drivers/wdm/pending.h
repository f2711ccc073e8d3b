/* IRPs a driver keeps, each of which may be canceled at any time. Whoever takes an IRP off the list completes it. */
#pragma once
#include "function.h"

typedef struct _PENDING_LIST {
    KSPIN_LOCK Lock;
    LIST_ENTRY Irps;
    ULONG Count;
} PENDING_LIST;

VOID PendingInitialize(PENDING_LIST *List);

/* Marks the IRP pending and keeps it. Returns STATUS_PENDING: the IRP may be gone by then. */
NTSTATUS PendingInsert(PENDING_LIST *List, PIRP Irp);

/* Takes the oldest IRP (of this file object, unless it is NULL); NULL if there is none. */
PIRP PendingRemove(PENDING_LIST *List, PFILE_OBJECT File);

ULONG PendingCount(PENDING_LIST *List);
