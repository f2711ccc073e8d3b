/* What wdm.h has for each processor, for ARM64. mingw-w64 knows the 32-bit name only, under which it comes here; the name
   goes again at once, because it would hide exports that ARM64 kernels have. ntddk.h asks once more for a processor it
   knows, and has nothing for this one. */
#pragma once
NTKERNELAPI KIRQL NTAPI KeRaiseIrqlToDpcLevel(VOID);
NTKERNELAPI struct _KTHREAD *NTAPI KeGetCurrentThread(VOID);
#undef _M_ARM
#define _M_MIPS
