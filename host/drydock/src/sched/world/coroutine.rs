//! Stacks at fixed addresses, and the switch between them.
#![expect(unsafe_code, reason = "switches stacks")]

use std::arch::global_asm;
use std::ops::Range;

/// Where the stacks of a world's threads lie: behind everything of the loader.
const STACKS: usize = 0x6400_0000_0000;
const SLOT: usize = 0x20_0000;
const GUARD: usize = 0x1_0000;
/// Threads a world can have at a time.
pub(super) const LIMIT: usize = 256;

global_asm!(
    // In (System V): rdi = where to store the stack pointer, rsi = the stack pointer to go on with.
    ".globl drydock_switch_stack",
    ".hidden drydock_switch_stack",
    "drydock_switch_stack:",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "sub rsp, 8",
    "stmxcsr [rsp]",
    "fnstcw [rsp + 4]",
    "mov [rdi], rsp",
    "mov rsp, rsi",
    "ldmxcsr [rsp]",
    "fldcw [rsp + 4]",
    "add rsp, 8",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    // Where a new stack begins: r12 = function that does not return.
    ".globl drydock_begin_stack",
    ".hidden drydock_begin_stack",
    "drydock_begin_stack:",
    ".cfi_startproc",
    ".cfi_undefined rip",
    "xor ebp, ebp",
    "call r12",
    "ud2",
    ".cfi_endproc",
);

unsafe extern "sysv64" {
    fn drydock_switch_stack(save: *mut usize, next: usize);
    fn drydock_begin_stack();
}

/// Takes the address range of all stacks.
pub(super) fn map() {
    // SAFETY: a fresh private mapping at an address nothing else uses; `NOREPLACE` makes sure of it.
    let mapped = unsafe {
        libc::mmap(
            STACKS as *mut _,
            SLOT * LIMIT,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE
                | libc::MAP_ANONYMOUS
                | libc::MAP_NORESERVE
                | libc::MAP_FIXED_NOREPLACE,
            -1,
            0,
        )
    };
    assert!(
        mapped as usize == STACKS,
        "the stacks of an explored machine cannot have their addresses: {}",
        std::io::Error::last_os_error()
    );
    for index in 0..LIMIT {
        // SAFETY: the guard lies in the mapping just made.
        unsafe { libc::mprotect((STACKS + index * SLOT) as *mut _, GUARD, libc::PROT_NONE) };
    }
}

fn top(index: usize) -> usize {
    STACKS + (index + 1) * SLOT
}

/// What lies on a stack whose thread is switched away from at `pointer`.
pub(super) fn live(index: usize, pointer: usize) -> Range<usize> {
    pointer..top(index)
}

/// Prepares a stack so that switching to the address returned calls `function`.
pub(super) fn prepare(index: usize, function: extern "sysv64" fn() -> !) -> usize {
    // What `drydock_switch_stack` takes off, and 16 bytes above for alignment at the call.
    const DEFAULT_CONTROL: u64 = 0x037F_0000_1F80; // fnstcw above, mxcsr below
    let frame: [u64; 8] = [
        DEFAULT_CONTROL,
        0,
        0,
        0,
        function as *const () as u64, // r12
        0,
        0,
        drydock_begin_stack as *const () as u64,
    ];
    let pointer = top(index) - 16 - size_of_val(&frame);
    // SAFETY: the top of a stack of the mapping that no thread runs on.
    unsafe { (pointer as *mut [u64; 8]).write(frame) };
    pointer
}

/// Goes on at `next`, until somebody switches back to what is stored at `save`.
///
/// # Safety
/// `next` was stored by this function or made by [`prepare`], and was not used since; `save` is valid until it is
/// switched back to.
pub(super) unsafe fn switch(save: *mut usize, next: usize) {
    // SAFETY: the caller's promise.
    unsafe { drydock_switch_stack(save, next) };
}
