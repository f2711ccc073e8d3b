//! A small driver image, assembled into the test program: file offsets and image offsets are the same.
#![expect(unsafe_code, reason = "the bytes lie between two labels")]

use std::arch::global_asm;
use std::path::PathBuf;

global_asm!(
    ".pushsection .rodata.drydock_sample, \"a\"",
    ".balign 4096",
    ".globl drydock_sample",
    ".hidden drydock_sample",
    "drydock_sample:",
    ".set base, 0x180000000",
    ".set from_nt, 0x80",
    // DOS header
    ".ascii \"MZ\"",
    ".zero 58",
    ".long from_nt",
    ".zero 64",
    // NT headers: file header
    ".ascii \"PE\\0\\0\"",
    ".short 0x8664, 5",
    ".long 0, 0, 0",
    ".short 240, 0x22",
    // optional header
    ".short 0x20B, 0",
    ".long 0x1000, 0x4000, 0, 0x1000, 0x1000",
    ".quad base",
    ".long 0x1000, 0x1000",
    ".short 10, 0, 0, 0, 10, 0",
    ".long 0, 0x6000, 0x1000, 0",
    ".short 1, 0x160",
    ".quad 0x100000, 0x1000, 0x100000, 0x1000",
    ".long 0, 16",
    // data directories
    ".long sample_exports - drydock_sample, sample_exports_end - sample_exports",
    ".long sample_imports - drydock_sample, 40",
    ".long 0, 0",
    ".long 0x4000, sample_pdata_end - sample_pdata",
    ".long 0, 0",
    ".long 0x5000, 24",
    ".long 0, 0, 0, 0, 0, 0, 0, 0",
    ".long sample_config - drydock_sample, 0x70",
    ".zero 40",
    // section table
    ".ascii \".text\\0\\0\\0\"",
    ".long 0x1000, 0x1000, 0x1000, 0x1000, 0, 0, 0, 0x60000020",
    ".ascii \".rdata\\0\\0\"",
    ".long 0x1000, 0x2000, 0x1000, 0x2000, 0, 0, 0, 0x40000040",
    ".ascii \".data\\0\\0\\0\"",
    ".long 0x1000, 0x3000, 0x1000, 0x3000, 0, 0, 0, 0xC0000040",
    ".ascii \".pdata\\0\\0\"",
    ".long 0x1000, 0x4000, 0x1000, 0x4000, 0, 0, 0, 0x40000040",
    ".ascii \".reloc\\0\\0\"",
    ".long 0x1000, 0x5000, 0x1000, 0x5000, 0, 0, 0, 0x42000040",
    ".balign 4096",
    // .text
    "sample_six_arguments:",
    "sub rsp, 0x38",
    "mov qword ptr [rsp + 0x20], 5",
    "mov qword ptr [rsp + 0x28], 6",
    "call qword ptr [rip + sample_slot_digits]",
    "sample_six_returns:",
    "add rsp, 0x38",
    "ret",
    "sample_six_end:",
    "sample_through_frame:", // a frame register, a large frame, saved registers
    "push rbp",
    "push rsi",
    "sub rsp, 0x108",
    "lea rbp, [rsp + 0x80]",
    "mov rsi, rcx",
    "sub rsp, 0x40",
    "call qword ptr [rip + sample_slot_call_back]",
    "sample_through_returns:",
    "lea rsp, [rbp + 0x88]",
    "pop rsi",
    "pop rbp",
    "ret",
    "sample_through_end:",
    "sample_null:",
    "sub rsp, 0x28",
    "xor eax, eax",
    "mov eax, [rax]",
    "add rsp, 0x28",
    "ret",
    "sample_null_end:",
    "sample_recurse:",
    "sub rsp, 0x28",
    "call sample_recurse",
    "add rsp, 0x28",
    "ret",
    "sample_recurse_end:",
    "sample_read_level:",
    "mov r11, cr8",
    "mov rax, r11",
    "ret",
    "sample_write_level:",
    "sub rsp, 0x28",
    "mov rax, 7",
    "mov cr8, rcx",
    "add rax, rcx",
    "add rsp, 0x28",
    "ret",
    "sample_write_level_end:",
    "sample_fail_fast:",
    "mov ecx, 2",
    "int 0x29",
    "sample_thread:",
    "mov rax, gs:[0x188]",
    "ret",
    "sample_missing:",
    "sub rsp, 0x28",
    "call qword ptr [rip + sample_slot_missing]",
    "add rsp, 0x28",
    "ret",
    "sample_missing_end:",
    "sample_large_frame:", // a frame larger than the stack, probed
    "mov eax, 0x8000",
    "call qword ptr [rip + sample_slot_probe]",
    "sub rsp, rax",
    "add rsp, rax",
    "ret",
    "sample_variable:",
    "mov rax, [rip + sample_slot_variable]",
    "mov rax, [rax]",
    "ret",
    "sample_address:", // through a relocated pointer
    "mov rax, [rip + sample_pointer]",
    "ret",
    ".balign 4096",
    // .rdata
    "sample_imports:",
    ".long sample_names - drydock_sample, 0, 0, sample_module - drydock_sample, sample_slots - drydock_sample",
    ".zero 20",
    "sample_names:",
    ".quad sample_name_digits - drydock_sample",
    ".quad sample_name_call_back - drydock_sample",
    ".quad sample_name_missing - drydock_sample",
    ".quad sample_name_probe - drydock_sample",
    ".quad sample_name_variable - drydock_sample",
    ".quad 0",
    "sample_slots:",
    "sample_slot_digits: .quad sample_name_digits - drydock_sample",
    "sample_slot_call_back: .quad sample_name_call_back - drydock_sample",
    "sample_slot_missing: .quad sample_name_missing - drydock_sample",
    "sample_slot_probe: .quad sample_name_probe - drydock_sample",
    "sample_slot_variable: .quad sample_name_variable - drydock_sample",
    ".quad 0",
    "sample_module: .asciz \"kernel.exe\"",
    "sample_name_digits: .short 0; .asciz \"Digits\"",
    "sample_name_call_back: .short 0; .asciz \"CallBack\"",
    "sample_name_missing: .short 0; .asciz \"NobodyHasThis\"",
    "sample_name_probe: .short 0; .asciz \"__chkstk\"",
    "sample_name_variable: .short 0; .asciz \"Variable\"",
    ".balign 8",
    "sample_exports:",
    ".long 0, 0, 0, sample_module - drydock_sample, 1, 2, 2",
    ".long sample_export_addresses - drydock_sample",
    ".long sample_export_names - drydock_sample, sample_export_ordinals - drydock_sample",
    "sample_export_addresses:",
    ".long sample_six_arguments - drydock_sample, sample_through_frame - drydock_sample",
    "sample_export_names:",
    ".long sample_export_six - drydock_sample, sample_export_through - drydock_sample",
    "sample_export_ordinals: .short 0, 1",
    "sample_export_six: .asciz \"SixArguments\"",
    "sample_export_through: .asciz \"ThroughFrame\"",
    "sample_exports_end:",
    ".balign 4",
    "sample_unwind_0x38: .byte 1, 4, 1, 0, 4, 0x62, 0, 0",
    "sample_unwind_0x28: .byte 1, 4, 1, 0, 4, 0x42, 0, 0",
    // prolog 17 bytes; set frame (rbp = rsp + 0x80), allocate 0x108, push rsi, push rbp
    "sample_unwind_frame: .byte 1, 17, 5, 0x85, 17, 0x03, 9, 0x01, 0x21, 0, 2, 0x60, 1, 0x50, 0, 0",
    ".balign 8",
    "sample_config:",
    ".long 0x70",
    ".zero 84",
    ".quad base + (sample_cookie - drydock_sample)",
    ".zero 16",
    ".balign 4096",
    // .data
    "sample_cookie: .quad 0x2B992DDFA232",
    "sample_pointer: .quad base + (sample_cookie - drydock_sample)",
    ".balign 4096",
    // .pdata
    "sample_pdata:",
    ".long sample_six_arguments - drydock_sample, sample_six_end - drydock_sample, sample_unwind_0x38 - drydock_sample",
    ".long sample_through_frame - drydock_sample, sample_through_end - drydock_sample, sample_unwind_frame - drydock_sample",
    ".long sample_null - drydock_sample, sample_null_end - drydock_sample, sample_unwind_0x28 - drydock_sample",
    ".long sample_recurse - drydock_sample, sample_recurse_end - drydock_sample, sample_unwind_0x28 - drydock_sample",
    ".long sample_write_level - drydock_sample, sample_write_level_end - drydock_sample, sample_unwind_0x28 - drydock_sample",
    ".long sample_missing - drydock_sample, sample_missing_end - drydock_sample, sample_unwind_0x28 - drydock_sample",
    "sample_pdata_end:",
    ".balign 4096",
    // .reloc: one page, two entries
    ".long 0x2000, 12",
    ".short 0xA000 + (sample_config - drydock_sample + 88) - 0x2000, 0",
    ".long 0x3000, 12",
    ".short 0xA000 + (sample_pointer - drydock_sample) - 0x3000, 0",
    ".balign 4096",
    ".globl drydock_sample_end",
    ".hidden drydock_sample_end",
    "drydock_sample_end:",
    // offsets of the functions
    ".globl drydock_sample_functions",
    ".hidden drydock_sample_functions",
    "drydock_sample_functions:",
    ".long sample_six_arguments - drydock_sample",
    ".long sample_through_frame - drydock_sample",
    ".long sample_null - drydock_sample",
    ".long sample_recurse - drydock_sample",
    ".long sample_read_level - drydock_sample",
    ".long sample_write_level - drydock_sample",
    ".long sample_fail_fast - drydock_sample",
    ".long sample_thread - drydock_sample",
    ".long sample_missing - drydock_sample",
    ".long sample_large_frame - drydock_sample",
    ".long sample_variable - drydock_sample",
    ".long sample_address - drydock_sample",
    ".popsection",
);

unsafe extern "C" {
    static drydock_sample: u8;
    static drydock_sample_end: u8;
    static drydock_sample_functions: [u32; 12];
}

/// The functions of the sample, in the order of the table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Function {
    SixArguments,
    ThroughFrame,
    Null,
    Recurse,
    ReadLevel,
    WriteLevel,
    FailFast,
    Thread,
    Missing,
    LargeFrame,
    Variable,
    Address,
}

impl Function {
    /// Its offset in the image.
    pub(super) fn offset(self) -> usize {
        // SAFETY: the table is constant, and as long as the enumeration.
        unsafe { drydock_sample_functions[self as usize] as usize }
    }
}

/// The file.
pub(super) fn bytes() -> Vec<u8> {
    let (start, end) = (&raw const drydock_sample, &raw const drydock_sample_end);
    let size = end as usize - start as usize;
    // SAFETY: both labels belong to one constant block.
    unsafe { std::slice::from_raw_parts(start, size) }.to_vec()
}

/// Writes a file of this content to a folder of its own, under the name `sample.sys`.
pub(super) fn write(content: &[u8]) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = format!("drydock-sample-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(folder);
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join("sample.sys"), content));
    assert!(
        written.is_ok(),
        "the temporary folder is not writable: {written:?}"
    );
    folder.join("sample.sys")
}
