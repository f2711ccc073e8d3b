//! Instructions of an image that only a kernel may execute, and that inline functions of the WDK contain.
//!
//! `KeGetCurrentIrql` and `KeRaiseIrql` read and write CR8. A read is answered in place; a write can run DPCs, which must
//! not happen inside a signal handler, so the image is made to call a stub that does it.
#![expect(
    unsafe_code,
    reason = "reads instructions of an image and pushes a return address on its stack"
)]

use super::control;
use super::layout;
use super::thunk;
use std::arch::global_asm;
use std::sync::OnceLock;

/// How image code reads and writes the interrupt request level.
#[derive(Clone, Copy)]
struct InterruptLevel {
    read: fn() -> u8,
    write: extern "win64" fn(u64),
}

static LEVEL: OnceLock<InterruptLevel> = OnceLock::new();

/// Says how image code reads and writes the interrupt request level through CR8. `read` runs in a signal handler: it
/// may only look at the thread's own state. The first caller wins.
pub fn set_interrupt_level_access(read: fn() -> u8, write: extern "win64" fn(u64)) {
    let _ = LEVEL.set(InterruptLevel { read, write });
}

/// The interrupt request level of the calling thread.
pub(super) fn interrupt_level() -> u8 {
    LEVEL.get().map_or(0, |level| (level.read)())
}

global_asm!(
    // On the image's stack: the return address, and below it the value for CR8. Keeps every register and the flags.
    ".globl drydock_write_cr8",
    ".hidden drydock_write_cr8",
    "drydock_write_cr8:",
    "pushfq",
    "push rax",
    "push rcx",
    "push rdx",
    "push r8",
    "push r9",
    "push r10",
    "push r11",
    "push rbp",
    "mov rbp, rsp",
    "and rsp, -16",
    "sub rsp, 0x80",
    "movups [rsp + 0x20], xmm0",
    "movups [rsp + 0x30], xmm1",
    "movups [rsp + 0x40], xmm2",
    "movups [rsp + 0x50], xmm3",
    "movups [rsp + 0x60], xmm4",
    "movups [rsp + 0x70], xmm5",
    "mov rcx, [rbp + 0x48]",
    "mov rax, [rbp + 0x50]",
    "call rax",
    "movups xmm0, [rsp + 0x20]",
    "movups xmm1, [rsp + 0x30]",
    "movups xmm2, [rsp + 0x40]",
    "movups xmm3, [rsp + 0x50]",
    "movups xmm4, [rsp + 0x60]",
    "movups xmm5, [rsp + 0x70]",
    "mov rsp, rbp",
    "pop rbp",
    "pop r11",
    "pop r10",
    "pop r9",
    "pop r8",
    "pop rdx",
    "pop rcx",
    "pop rax",
    "popfq",
    "lea rsp, [rsp + 16]",
    "ret",
    ".globl drydock_write_cr8_end",
    ".hidden drydock_write_cr8_end",
    "drydock_write_cr8_end:",
);

unsafe extern "C" {
    fn drydock_write_cr8();
    fn drydock_write_cr8_end();
}

/// True if an image writes the level at an address: it goes on by itself.
pub(super) fn is_writing_level(address: usize) -> bool {
    let start = drydock_write_cr8 as *const () as usize;
    (start..drydock_write_cr8_end as *const () as usize).contains(&address)
}

/// What became of an instruction that trapped.
pub(super) enum Outcome {
    /// Carried out: the registers are those after it.
    Done,
    /// `__fastfail` with this code.
    FastFail(u64),
    /// Not one of ours: the reason in words.
    Refused(&'static str),
}

/// Carries out the instruction at `rip` of an image, if it is one of those.
pub(super) fn carry_out(registers: &mut super::unwind::Registers) -> Outcome {
    let at = registers.rip as usize;
    let code = instruction(at);
    match code {
        [
            prefix @ (0x44 | 0x45),
            0x0F,
            direction @ (0x20 | 0x22),
            operand,
        ] if operand & 0xF8 == 0xC0 => {
            let register = usize::from(operand & 7) + if prefix == 0x45 { 8 } else { 0 };
            let Some(level) = LEVEL.get() else {
                return Outcome::Refused("it uses CR8, and there is no kernel to hold a level");
            };
            registers.rip += 4;
            if direction == 0x20 {
                registers.general[register] = u64::from((level.read)());
                return Outcome::Done;
            }
            let value = registers.general[register];
            let function = thunk::thunk("mov cr8", level.write as *const () as usize) as u64;
            let next = registers.rip;
            let rsp = registers.rsp() - 24;
            if !put(rsp, [value, function, next]) {
                return Outcome::Refused("it writes CR8 with its stack pointer outside its stack");
            }
            registers.general[super::unwind::RSP] = rsp;
            registers.rip = drydock_write_cr8 as *const () as u64;
            Outcome::Done
        }
        [0xCD, 0x29, ..] => Outcome::FastFail(registers.general[1]),
        [0xCD, 0x2C, ..] => Outcome::Refused("an assertion of the image failed (int 2Ch)"),
        [0xCD, 0x2D, ..] => Outcome::Refused("a debugger service was called (int 2Dh)"),
        [0xCC, ..] => Outcome::Refused("it is a breakpoint, and there is no debugger"),
        [0xFA | 0xFB, ..] => Outcome::Refused(
            "it switches interrupts on or off (cli, sti), which has no equivalent here",
        ),
        [0xF4, ..] => Outcome::Refused("it halts the processor (hlt)"),
        [0xE4..=0xE7 | 0xEC..=0xEF, ..] => Outcome::Refused("it accesses an I/O port"),
        [0x0F, 0x30 | 0x32, ..] => {
            Outcome::Refused("it accesses a model-specific register (rdmsr, wrmsr)")
        }
        [0x0F, 0x20..=0x23, ..] | [_, 0x0F, 0x20..=0x23, _] => {
            Outcome::Refused("it accesses a control or debug register")
        }
        _ => Outcome::Refused(""),
    }
}

/// The bytes at an address of image code.
fn instruction(at: usize) -> [u8; 4] {
    let mut code = [0; 4];
    if !layout::is_image_address(at) {
        return code;
    }
    for (index, byte) in code.iter_mut().enumerate() {
        let page_end = (at | 0xFFF) + 1;
        if at + index < page_end || index == 0 {
            // SAFETY: the processor has just fetched from this page of the image, so it is readable.
            *byte = unsafe { ((at + index) as *const u8).read_volatile() };
        }
    }
    code
}

/// Stores words below the stack pointer of interrupted image code; false if that is not on its stack.
pub(super) fn put<const N: usize>(rsp: u64, words: [u64; N]) -> bool {
    let Some(stack) = control::current_stack() else {
        return false;
    };
    let Ok(at) = usize::try_from(rsp) else {
        return false;
    };
    if at < stack.start || at + 8 * N > stack.end || !at.is_multiple_of(8) {
        return false;
    }
    for (index, word) in words.into_iter().enumerate() {
        // SAFETY: the words lie in this thread's driver stack, below the stack pointer, where x64 Windows code keeps
        // nothing.
        unsafe { (at as *mut u64).add(index).write_volatile(word) };
    }
    true
}
