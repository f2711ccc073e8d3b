/* The suite's surroundings on drydock: run every scenario in a system thread once DriverEntry is back. */
#include "conform.h"

static VOID NTAPI run_all(PVOID context)
{
    cf_run_all();
    PsTerminateSystemThread(STATUS_SUCCESS);
}

void cf_platform_start(void)
{
    HANDLE thread;
    if (NT_SUCCESS(PsCreateSystemThread(&thread, THREAD_ALL_ACCESS, NULL, NULL, NULL, run_all, NULL)))
        ZwClose(thread);
}
