/* In front of the kit's own ntddk.h, in trees for ARM64 only. */
#pragma once
#define _M_ARM  /* the only ARM mingw-w64's wdm.h knows; brings in armddk.h */
#define _IA64_  /* layouts of a 64-bit processor other than AMD64: IO_STACK_LOCATION is not packed, XSTATE_SAVE is a ULONG */
#include_next <ntddk.h>
#undef _IA64_
#undef _M_MIPS
