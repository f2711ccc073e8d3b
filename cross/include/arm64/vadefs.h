/* mingw's knows no ARM64 under the msvc target; clang's own builtins do. */
#pragma once
#ifndef _VA_LIST_DEFINED
#define _VA_LIST_DEFINED
typedef char *va_list;
#endif
#ifndef _UINTPTR_T_DEFINED
#define _UINTPTR_T_DEFINED
typedef unsigned __int64 uintptr_t;
#endif
#define _crt_va_start(v, l) __builtin_va_start(v, l)
#define _crt_va_arg(v, t) __builtin_va_arg(v, t)
#define _crt_va_end(v) __builtin_va_end(v)
#define _crt_va_copy(d, s) __builtin_va_copy(d, s)
