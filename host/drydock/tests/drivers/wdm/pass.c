/* A filter that is not there: every IRP goes down in the stack location it came in. */
#include "filter.h"

NTSTATUS WdmFilterIo(PDEVICE_OBJECT Device, PIRP Irp)
{
    FILTER_EXTENSION *extension = Device->DeviceExtension;

    IoSkipCurrentIrpStackLocation(Irp);
    return IoCallDriver(extension->Lower, Irp);
}

VOID WdmFilterRemoved(FILTER_EXTENSION *Extension)
{
    UNREFERENCED_PARAMETER(Extension);
}
