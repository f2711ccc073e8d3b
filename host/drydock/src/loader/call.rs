//! Calls into an image.
//!
//! Every call of the model into code of an image passes here, so that there is one place that prepares the thread for
//! it: the driver stack, the control region under GS, the fault handler. Arguments are register-sized: a narrower
//! integer or a boolean is passed zero-extended, a pointer as its address.
//!
//! Code outside image slots (a driver compiled into a test) is called in place, on the caller's stack.
#![expect(
    unsafe_code,
    reason = "an image's entry points are known by address only"
)]
#![expect(clippy::too_many_arguments, reason = "as many as the function called")]

use super::control::{self, CONTROL_POINTER, Control, EXIT, Exit, HOST_RSP, IMAGE_RSP};
use super::count::STEPPING;
use super::layout;
use crate::sched;
use crate::verify;
use std::arch::global_asm;

global_asm!(
    // In (System V): rdi = function, rsi = eight arguments.
    ".globl drydock_enter_image",
    ".hidden drydock_enter_image",
    "drydock_enter_image:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_adjust_cfa_offset 8",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov rbx, gs:[{pointer}]",
    "mov rax, [rbx + {image}]",
    "push rax",
    "mov [rbx + {host}], rsp",
    "and rax, -16",
    "lea rsp, [rax - 0x40]",
    "mov r10, rdi",
    "mov rcx, [rsi]",
    "mov rdx, [rsi + 8]",
    "mov r8, [rsi + 16]",
    "mov r9, [rsi + 24]",
    "movups xmm0, [rsi + 32]",
    "movups xmm1, [rsi + 48]",
    "movups [rsp + 0x20], xmm0",
    "movups [rsp + 0x30], xmm1",
    "cmp byte ptr [rip + {stepping}], 0",
    "je 7f",
    // The trap flag works from the second instruction on.
    "pushfq",
    "or dword ptr [rsp], 0x100",
    "popfq",
    "7:",
    "call r10",
    "mov rbx, gs:[{pointer}]",
    "mov rsp, [rbx + {host}]",
    "mov qword ptr [rbx + {host}], 0",
    "pop qword ptr [rbx + {image}]",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    // In (System V): rdi = value. Goes on as if the thread's outermost image function had returned it.
    ".globl drydock_abandon_image",
    ".hidden drydock_abandon_image",
    "drydock_abandon_image:",
    "mov rax, rdi",
    "mov rbx, gs:[{pointer}]",
    "mov r11, [rbx + {exit}]",
    "2:",
    "mov r10, r11",
    "mov r11, [r10 + {previous}]",
    "test r11, r11",
    "jnz 2b",
    "mov [rbx + {exit}], r11",
    // The outermost exit was pushed where the outermost entry had left the stack.
    "lea rsp, [r10 + {exit_size}]",
    "pop qword ptr [rbx + {image}]",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    pointer = const CONTROL_POINTER,
    host = const HOST_RSP,
    image = const IMAGE_RSP,
    exit = const EXIT,
    previous = const std::mem::offset_of!(Exit, previous),
    exit_size = const size_of::<Exit>(),
    stepping = sym STEPPING,
);

unsafe extern "sysv64" {
    fn drydock_enter_image(function: usize, arguments: *const [u64; 8]) -> u64;
}
unsafe extern "sysv64" {
    fn drydock_abandon_image(value: u64) -> !;
}

/// Returns `value` from the outermost call into an image on this thread, skipping all that is in progress above it, as
/// the end of a system thread does. Comes back if the thread was not called by an image.
///
/// # Safety
/// Nothing that is skipped owns anything: the frames between the outermost call and here are image code, and shims
/// that have nothing left to drop.
pub unsafe fn abandon(value: u64) {
    let Some(control) = control::current() else {
        return;
    };
    // SAFETY: the record belongs to this thread.
    let (host_rsp, exit) = unsafe { ((*control).host_rsp, (*control).exit) };
    if host_rsp == 0 && !exit.is_null() {
        // SAFETY: the thread was entered from the model and has left the image through a stub; the caller vouches for
        // what is skipped.
        unsafe { drydock_abandon_image(value) }
    }
}

/// # Safety
/// `function` lies in an image slot and is a function that takes no more than these arguments.
unsafe fn enter(function: usize, arguments: &[u64; 8]) -> u64 {
    let control: *mut Control = control::attach();
    // SAFETY: the record belongs to this thread.
    let host_rsp = unsafe { (*control).host_rsp };
    if host_rsp != 0 {
        verify::model_error(
            "an image called a function of drydock that it got without a stub (loader::thunk), and that calls an image",
        );
    }
    super::image::forbid_pageable(function);
    // SAFETY: the thread is attached, so GS points to its control record; the caller vouches for the function.
    unsafe { drydock_enter_image(function, arguments) }
}

macro_rules! calls {
    ($($name:ident($($argument:ident),*): $count:literal;)*) => {$(
        #[doc = concat!("Calls the function of an image at `function` with ", $count, " arguments; gives what it left in RAX.")]
        ///
        /// # Safety
        /// `function` is the address of a function of a mapped image, or an `extern "win64"` function, that takes
        /// these arguments and does not unwind.
        #[inline]
        pub unsafe fn $name(function: usize $(, $argument: u64)*) -> u64 {
            sched::assert_no_lock_held("a call into an image");
            if layout::is_image_address(function) {
                let mut arguments = [0; 8];
                let mut _next = arguments.iter_mut();
                $(if let Some(slot) = _next.next() { *slot = $argument; })*
                // SAFETY: the caller vouches for the address and the signature.
                return unsafe { enter(function, &arguments) };
            }
            if layout::is_stub_address(function) {
                control::attach(); // a stub looks for the control record under GS
            }
            // SAFETY: the caller vouches for the address and the signature.
            let function: extern "win64" fn($(calls!(@type $argument)),*) -> u64 = unsafe { std::mem::transmute(function) };
            function($($argument),*)
        }
    )*};
    (@type $argument:ident) => { u64 };
}

calls! {
    call0(): "no";
    call1(a): "1";
    call2(a, b): "2";
    call3(a, b, c): "3";
    call4(a, b, c, d): "4";
    call5(a, b, c, d, e): "5";
    call6(a, b, c, d, e, f): "6";
    call7(a, b, c, d, e, f, g): "7";
    call8(a, b, c, d, e, f, g, h): "8";
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "win64" fn digits(
        a: u64,
        b: u64,
        c: u64,
        d: u64,
        e: u64,
        f: u64,
        g: u64,
        h: u64,
    ) -> u64 {
        [a, b, c, d, e, f, g, h]
            .iter()
            .fold(0, |sum, digit| sum * 10 + digit)
    }

    #[test]
    fn arguments_beyond_the_fourth_arrive_in_order() {
        // SAFETY: `digits` takes eight register-sized arguments.
        let sum = unsafe { call8(digits as *const () as usize, 1, 2, 3, 4, 5, 6, 7, 8) };
        assert_eq!(sum, 12_345_678);
    }
}
