//! Dbg: what drivers print, and the printf family.

use super::crt::{bytes_of, units_of};
use super::printf::{self, Arguments};
use super::{Export, exports};
use crate::nt::abi::{write_bytes, write_out};
use crate::verify;
use std::arch::naked_asm;

/// A function with variable arguments: stores the register arguments beside those on the stack and passes the address of
/// the whole row on.
macro_rules! variadic {
    ($($name:ident => $function:path;)*) => {
        $(
            #[unsafe(naked)]
            extern "win64" fn $name() {
                naked_asm!(
                    "mov [rsp + 8], rcx",
                    "mov [rsp + 16], rdx",
                    "mov [rsp + 24], r8",
                    "mov [rsp + 32], r9",
                    "lea rcx, [rsp + 8]",
                    "sub rsp, 40",
                    "call {function}",
                    "add rsp, 40",
                    "ret",
                    function = sym $function,
                )
            }
        )*
        pub(super) const VARIADIC: &[Export] = &[
            $( Export { name: stringify!($name), address: $name as *const () } ),*
        ];
    };
}

variadic! {
    DbgPrint => dbg_print;
    DbgPrintEx => dbg_print_ex;
    DbgPrintReturnControlC => dbg_print;
    sprintf => sprintf_row;
    _snprintf => snprintf_row;
    swprintf => swprintf_row;
    _snwprintf => snwprintf_row;
}

fn print(text: &[u16]) {
    verify::print(&String::from_utf16_lossy(text));
}

fn shim(name: &'static str, body: impl FnOnce() -> u32) -> u32 {
    crate::nt::ddi::shim(name, super::level::ANY, body)
}

extern "win64" fn dbg_print(row: *const u64) -> u32 {
    shim("DbgPrint", || {
        let mut arguments = Arguments::new(row);
        let template = bytes_of(arguments.pointer());
        print(&printf::format_narrow(&template, &mut arguments));
        0
    })
}

extern "win64" fn dbg_print_ex(row: *const u64) -> u32 {
    shim("DbgPrintEx", || {
        let mut arguments = Arguments::new(row);
        let (_component, _level) = (arguments.value(), arguments.value());
        let template = bytes_of(arguments.pointer());
        print(&printf::format_narrow(&template, &mut arguments));
        0
    })
}

/// Writes a narrow result with its terminator where it fits; gives what C gives: the length, or -1 if it did not fit.
fn give_narrow(buffer: *mut u8, size: usize, text: &[u16]) -> i32 {
    let bytes: Vec<u8> = text
        .iter()
        .map(|unit| u8::try_from(*unit).unwrap_or(b'?'))
        .collect();
    let shown = bytes.len().min(size);
    write_bytes(buffer, &bytes[..shown]);
    if shown < size {
        write_out(buffer.wrapping_add(shown), 0);
    }
    if bytes.len() > size {
        -1
    } else {
        bytes.len() as i32
    }
}

fn give_wide(buffer: *mut u16, size: usize, text: &[u16]) -> i32 {
    let shown = text.len().min(size);
    let bytes: Vec<u8> = text[..shown]
        .iter()
        .flat_map(|unit| unit.to_le_bytes())
        .collect();
    write_bytes(buffer.cast(), &bytes);
    if shown < size {
        write_out(buffer.wrapping_add(shown), 0);
    }
    if text.len() > size {
        -1
    } else {
        text.len() as i32
    }
}

extern "win64" fn sprintf_row(row: *const u64) -> u32 {
    shim("sprintf", || {
        let mut arguments = Arguments::new(row);
        let buffer = arguments.pointer::<u8>().cast_mut();
        let template = bytes_of(arguments.pointer());
        give_narrow(
            buffer,
            usize::MAX,
            &printf::format_narrow(&template, &mut arguments),
        ) as u32
    })
}

extern "win64" fn snprintf_row(row: *const u64) -> u32 {
    shim("_snprintf", || {
        let mut arguments = Arguments::new(row);
        let buffer = arguments.pointer::<u8>().cast_mut();
        let size = arguments.value() as usize;
        let template = bytes_of(arguments.pointer());
        give_narrow(
            buffer,
            size,
            &printf::format_narrow(&template, &mut arguments),
        ) as u32
    })
}

extern "win64" fn swprintf_row(row: *const u64) -> u32 {
    shim("swprintf", || {
        let mut arguments = Arguments::new(row);
        let buffer = arguments.pointer::<u16>().cast_mut();
        let template = units_of(arguments.pointer());
        give_wide(
            buffer,
            usize::MAX,
            &printf::format_wide(&template, &mut arguments),
        ) as u32
    })
}

extern "win64" fn snwprintf_row(row: *const u64) -> u32 {
    shim("_snwprintf", || {
        let mut arguments = Arguments::new(row);
        let buffer = arguments.pointer::<u16>().cast_mut();
        let size = arguments.value() as usize;
        let template = units_of(arguments.pointer());
        give_wide(
            buffer,
            size,
            &printf::format_wide(&template, &mut arguments),
        ) as u32
    })
}

exports! {
    ANY fn vDbgPrintEx(_component: u32, _level: u32, template: *const u8, row: *const u64) -> u32 {
        print(&printf::format_narrow(&bytes_of(template), &mut Arguments::new(row)));
        0
    }
    ANY fn vDbgPrintExWithPrefix(prefix: *const u8, _component: u32, _level: u32, template: *const u8, row: *const u64) -> u32 {
        let mut text: Vec<u16> = bytes_of(prefix).into_iter().map(u16::from).collect();
        text.extend(printf::format_narrow(&bytes_of(template), &mut Arguments::new(row)));
        print(&text);
        0
    }
    ANY fn _vsnprintf(buffer: *mut u8, size: u64, template: *const u8, row: *const u64) -> i32 {
        give_narrow(buffer, size as usize, &printf::format_narrow(&bytes_of(template), &mut Arguments::new(row)))
    }
    ANY fn _vsnwprintf(buffer: *mut u16, size: u64, template: *const u16, row: *const u64) -> i32 {
        give_wide(buffer, size as usize, &printf::format_wide(&units_of(template), &mut Arguments::new(row)))
    }
    ANY fn DbgBreakPoint() {
        verify::violation("NT-DBG-01", "the driver called DbgBreakPoint, and there is no debugger");
    }
    ANY fn DbgBreakPointWithStatus(status: u32) {
        verify::violation("NT-DBG-01", format!("the driver called DbgBreakPointWithStatus({status:#x}), and there is no debugger"));
    }
    ANY fn KdRefreshDebuggerNotPresent() -> u8 {
        1
    }
    ANY fn DbgQueryDebugFilterState(_component: u32, _level: u32) -> i32 {
        1
    }
}
