/* In front of the kit's own ntddk.h, in trees for ARM64 only. */
#pragma once
#define _M_ARM /* the only ARM mingw-w64's wdm.h knows; brings in armddk.h */
#include_next <ntddk.h>
#undef _M_MIPS
