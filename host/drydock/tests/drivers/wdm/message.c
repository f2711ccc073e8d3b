/* A device that keeps message boundaries, by direct I/O: each write is one message, each read takes one message. A read
   waits until there is one; if it is too small, it gets what fits, STATUS_BUFFER_OVERFLOW, and the rest is lost. */
#include "pending.h"

#define TAG 'gsMt'
#define MAXIMUM 1024

typedef struct _MESSAGE {
    LIST_ENTRY Entry;
    ULONG Length;
    UCHAR Bytes[ANYSIZE_ARRAY];
} MESSAGE;

typedef struct _CHANNEL {
    PENDING_LIST Readers;
    KSPIN_LOCK Lock;
    LIST_ENTRY Messages;
} CHANNEL;

static VOID Initialize(PDEVICE_OBJECT Device)
{
    CHANNEL *channel = WdmData(Device);

    PendingInitialize(&channel->Readers);
    KeInitializeSpinLock(&channel->Lock);
    InitializeListHead(&channel->Messages);
}

static MESSAGE *Take(CHANNEL *Channel)
{
    MESSAGE *message = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&Channel->Lock, &irql);
    if (!IsListEmpty(&Channel->Messages))
        message = CONTAINING_RECORD(RemoveHeadList(&Channel->Messages), MESSAGE, Entry);
    KeReleaseSpinLock(&Channel->Lock, irql);
    return message;
}

static VOID PutBack(CHANNEL *Channel, MESSAGE *Message)
{
    KIRQL irql;

    KeAcquireSpinLock(&Channel->Lock, &irql);
    InsertHeadList(&Channel->Messages, &Message->Entry);
    KeReleaseSpinLock(&Channel->Lock, irql);
}

/* Consumes both. */
static VOID Deliver(PDEVICE_OBJECT Device, PIRP Reader, MESSAGE *Message)
{
    ULONG room = IoGetCurrentIrpStackLocation(Reader)->Parameters.Read.Length;
    ULONG count = min(room, Message->Length);
    NTSTATUS status = count < Message->Length ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;

    if (count != 0) {
        PVOID buffer = MmGetSystemAddressForMdlSafe(Reader->MdlAddress, NormalPagePriority);

        if (buffer == NULL) {
            status = STATUS_INSUFFICIENT_RESOURCES;
            count = 0;
        } else {
            RtlCopyMemory(buffer, Message->Bytes, count);
        }
    }
    ExFreePoolWithTag(Message, TAG);
    WdmComplete(Device, Reader, status, count);
}

/* Brings messages and readers together, as long as there are both. */
static VOID Match(PDEVICE_OBJECT Device)
{
    CHANNEL *channel = WdmData(Device);
    MESSAGE *message;

    while ((message = Take(channel)) != NULL) {
        PIRP reader = PendingRemove(&channel->Readers, NULL);

        if (reader == NULL) {
            PutBack(channel, message);
            /* A reader that came after the look and before the message was back found none. */
            if (PendingCount(&channel->Readers) == 0)
                return;
            continue;
        }
        Deliver(Device, reader, message);
    }
}

static NTSTATUS Write(PDEVICE_OBJECT Device, PIRP Irp, ULONG Length)
{
    CHANNEL *channel = WdmData(Device);
    MESSAGE *message;
    KIRQL irql;

    if (Length > MAXIMUM)
        return WdmComplete(Device, Irp, STATUS_INVALID_BUFFER_SIZE, 0);
    message = ExAllocatePoolWithTag(NonPagedPoolNx, FIELD_OFFSET(MESSAGE, Bytes) + Length, TAG);
    if (message == NULL)
        return WdmComplete(Device, Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    message->Length = Length;
    if (Length != 0) {
        PVOID buffer = MmGetSystemAddressForMdlSafe(Irp->MdlAddress, NormalPagePriority);

        if (buffer == NULL) {
            ExFreePoolWithTag(message, TAG);
            return WdmComplete(Device, Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
        }
        RtlCopyMemory(message->Bytes, buffer, Length);
    }
    KeAcquireSpinLock(&channel->Lock, &irql);
    InsertTailList(&channel->Messages, &message->Entry);
    KeReleaseSpinLock(&channel->Lock, irql);
    WdmComplete(Device, Irp, STATUS_SUCCESS, Length);
    Match(Device); /* the dispatch routine holds the device */
    return STATUS_SUCCESS;
}

static NTSTATUS Io(PDEVICE_OBJECT Device, PIRP Irp)
{
    CHANNEL *channel = WdmData(Device);
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    switch (stack->MajorFunction) {
    case IRP_MJ_READ:
        PendingInsert(&channel->Readers, Irp);
        Match(Device);
        return STATUS_PENDING;
    case IRP_MJ_WRITE:
        return Write(Device, Irp, stack->Parameters.Write.Length);
    default:
        return WdmComplete(Device, Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static NTSTATUS Cleanup(PDEVICE_OBJECT Device, PIRP Irp)
{
    CHANNEL *channel = WdmData(Device);
    PFILE_OBJECT file = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    PIRP reader;

    while ((reader = PendingRemove(&channel->Readers, file)) != NULL)
        WdmComplete(Device, reader, STATUS_CANCELLED, 0);
    return WdmComplete(Device, Irp, STATUS_SUCCESS, 0);
}

static VOID Flush(PDEVICE_OBJECT Device)
{
    CHANNEL *channel = WdmData(Device);
    MESSAGE *message;
    PIRP reader;

    while ((reader = PendingRemove(&channel->Readers, NULL)) != NULL)
        WdmComplete(Device, reader, STATUS_DEVICE_NOT_CONNECTED, 0);
    while ((message = Take(channel)) != NULL)
        ExFreePoolWithTag(message, TAG);
}

const WDM_DEVICE WdmDevice = {
    .Name = L"\\Device\\TestMessage",
    .Link = L"\\DosDevices\\TestMessage",
    .IoFlags = DO_DIRECT_IO,
    .ExtensionSize = sizeof(CHANNEL),
    .Io = Io,
    .Cleanup = Cleanup,
    .Initialize = Initialize,
    .Flush = Flush,
};
