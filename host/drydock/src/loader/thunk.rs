//! Stubs through which an image calls the model: they change from the driver stack to the model's, and name the call.
//!
//! A stub is made per function and name. It loads what is to be called and an index into the names, and goes to the
//! common path, which keeps the image's registers ([`super::control::Exit`]), copies the stack arguments and calls.
//! A stub reached outside image code (a driver compiled into a test) goes straight to its function.
#![expect(unsafe_code, reason = "assembly between two stacks")]

use super::control::{self, CONTROL_POINTER, EXIT, HOST_RSP, IMAGE_RSP, SCRATCH};
use super::count::STEPPING;
use super::layout;
use super::memory::{Access, Region};
use crate::sched::Lock;
use crate::verify;
use std::arch::global_asm;
use std::collections::BTreeMap;

/// The size of a stub.
pub(super) const STUB: usize = 32;

global_asm!(
    // In: eax = index of the name, r11 = function, arguments in registers and on the driver stack.
    ".globl drydock_leave_image",
    ".hidden drydock_leave_image",
    "drydock_leave_image:",
    "mov r10, gs:[{pointer}]",
    "cmp qword ptr [r10 + {host}], 0",
    "je 2f",
    "mov [r10 + {scratch}], rax",
    "mov rax, rsp",
    "mov rsp, [r10 + {host}]",
    // The members of `Exit`, last first.
    "push rax",
    "push qword ptr [r10 + {image}]",
    "push qword ptr [r10 + {exit}]",
    "push qword ptr [r10 + {scratch}]",
    "push rbx",
    "push rbp",
    "push rsi",
    "push rdi",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "mov [r10 + {exit}], rsp",
    "mov [r10 + {image}], rax",
    "mov qword ptr [r10 + {host}], 0",
    // Room for four register arguments, and sixteen arguments from the driver stack.
    "sub rsp, 160",
    "movups xmm4, [rax + 40]",
    "movups xmm5, [rax + 56]",
    "movups [rsp + 32], xmm4",
    "movups [rsp + 48], xmm5",
    "movups xmm4, [rax + 72]",
    "movups xmm5, [rax + 88]",
    "movups [rsp + 64], xmm4",
    "movups [rsp + 80], xmm5",
    "movups xmm4, [rax + 104]",
    "movups xmm5, [rax + 120]",
    "movups [rsp + 96], xmm4",
    "movups [rsp + 112], xmm5",
    "movups xmm4, [rax + 136]",
    "movups xmm5, [rax + 152]",
    "movups [rsp + 128], xmm4",
    "movups [rsp + 144], xmm5",
    "cld",
    "call r11",
    "add rsp, 160",
    "mov r10, gs:[{pointer}]",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rdi",
    "pop rsi",
    "pop rbp",
    "pop rbx",
    "pop r11",
    "pop qword ptr [r10 + {exit}]",
    "pop qword ptr [r10 + {image}]",
    "pop r11",
    "mov [r10 + {host}], rsp",
    "mov rsp, r11",
    "cmp byte ptr [rip + {stepping}], 0",
    "jne 6f",
    "ret",
    // The trap flag works from the second instruction on.
    "6:",
    "pushfq",
    "or dword ptr [rsp], 0x100",
    "popfq",
    "ret",
    "2:",
    "jmp r11",
    // In: rax = size of a frame. Touches its pages, top down, and keeps every register but r10 and r11.
    ".globl drydock_probe_stack",
    ".hidden drydock_probe_stack",
    "drydock_probe_stack:",
    "lea r10, [rsp + 8]",
    "sub r10, rax",
    "jae 3f",
    "xor r10d, r10d",
    "3:",
    "lea r11, [rsp]",
    "and r11, -4096",
    "4:",
    "cmp r10, r11",
    "jae 5f",
    "sub r11, 4096",
    "test [r11], al",
    "jmp 4b",
    "5:",
    "ret",
    // Control flow guard: rcx is the address to check, or rax the one to go to. Every other register is kept.
    ".globl drydock_guard_check",
    ".hidden drydock_guard_check",
    "drydock_guard_check:",
    "ret",
    ".globl drydock_guard_dispatch",
    ".hidden drydock_guard_dispatch",
    "drydock_guard_dispatch:",
    "jmp rax",
    ".globl drydock_probe_stack_end",
    ".hidden drydock_probe_stack_end",
    "drydock_probe_stack_end:",
    pointer = const CONTROL_POINTER,
    host = const HOST_RSP,
    image = const IMAGE_RSP,
    exit = const EXIT,
    scratch = const SCRATCH,
    stepping = sym STEPPING,
);

unsafe extern "C" {
    fn drydock_leave_image();
    fn drydock_probe_stack();
    fn drydock_probe_stack_end();
    fn drydock_guard_check();
    fn drydock_guard_dispatch();
}

struct Stubs {
    /// Where stubs run, and where they are written.
    memory: Option<(Region, Region)>,
    names: Vec<String>,
    known: BTreeMap<(String, usize), usize>,
}

static STUBS: Lock<Stubs> = Lock::new(Stubs {
    memory: None,
    names: Vec::new(),
    known: BTreeMap::new(),
});

/// The address an image calls instead of `function`: a stub that shows as `name` in reports.
///
/// Every `extern "win64"` function whose address reaches an image goes through here (or [`Win64Function::stub`]); imported
/// ones do so by themselves.
///
/// # Panics
/// If the system gives no memory for stubs, or there are more than 65536.
pub fn thunk(name: &str, function: usize) -> usize {
    if layout::is_stub_address(function) {
        return function;
    }
    let mut stubs = STUBS.lock();
    let key = (name.to_owned(), function);
    if let Some(address) = stubs.known.get(&key) {
        return *address;
    }
    let index = stubs.names.len();
    let offset = index * STUB;
    assert!(
        offset + STUB <= layout::THUNKS_SIZE,
        "no room for a stub for {name}: there are {index}"
    );
    if stubs.memory.is_none() {
        match Region::share(layout::THUNKS, layout::THUNKS_SIZE, Access::ReadExecute) {
            Ok(memory) => stubs.memory = Some(memory),
            Err(error) => panic!("the system gave no memory for stubs: {error}"),
        }
    }
    let mut code = Vec::with_capacity(STUB);
    code.extend([0x49, 0xBB]); // mov r11, function
    code.extend((function as u64).to_le_bytes());
    code.push(0xB8); // mov eax, index
    code.extend((index as u32).to_le_bytes());
    code.extend([0x49, 0xBA]); // mov r10, common path
    code.extend((drydock_leave_image as *const () as u64).to_le_bytes());
    code.extend([0x41, 0xFF, 0xE2]); // jmp r10
    if let Some((_, written)) = &stubs.memory {
        written.write(offset, &code);
    }
    let address = layout::THUNKS + offset;
    stubs.names.push(name.to_owned());
    stubs.known.insert(key, address);
    address
}

/// A pointer to a function that image code may call.
pub trait Win64Function: Copy {
    /// Its address.
    fn address(self) -> usize;
    /// The same type of pointer, to a stub of the function that shows as `name` in reports.
    fn stub(self, name: &str) -> Self;
}

macro_rules! win64_functions {
    ($(($($argument:ident),*))*) => {$(
        impl<R, $($argument),*> Win64Function for extern "win64" fn($($argument),*) -> R {
            fn address(self) -> usize {
                self as usize
            }

            fn stub(self, name: &str) -> Self {
                let address = thunk(name, self as usize);
                // SAFETY: the stub passes the arguments on to the function and its result back, so it has its type.
                unsafe { std::mem::transmute::<usize, Self>(address) }
            }
        }
    )*};
}

win64_functions! {
    () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) (A, B, C, D, E, F, G) (A, B, C, D, E, F, G, H)
}

/// The address bound to an import nobody has: calling it ends the run with its name.
pub(super) fn missing(name: &str) -> usize {
    thunk(name, call_of_missing as *const () as usize)
}

extern "win64" fn call_of_missing() -> u64 {
    let name = current().unwrap_or_else(|| "a function".to_owned());
    verify::unimplemented(&name)
}

/// Functions that must run on the caller's stack, because they are about it.
pub(super) fn on_the_callers_stack(symbol: &str) -> Option<usize> {
    match symbol {
        "__chkstk" | "_chkstk" | "___chkstk_ms" => Some(drydock_probe_stack as *const () as usize),
        _ => None,
    }
}

/// True if the code of such a function is at an address.
pub(super) fn runs_on_the_callers_stack(address: usize) -> bool {
    let start = drydock_probe_stack as *const () as usize;
    (start..drydock_probe_stack_end as *const () as usize).contains(&address)
}

/// The functions through which code with control flow guard checks, and makes, its indirect calls. They let every address pass: a
/// bad one faults at the call, and is reported.
pub(super) fn control_flow_guard() -> [usize; 2] {
    [
        drydock_guard_check as *const () as usize,
        drydock_guard_dispatch as *const () as usize,
    ]
}

/// The name of the call that the calling thread's innermost image is making.
pub fn current() -> Option<String> {
    let control = control::current()?;
    // SAFETY: the record belongs to this thread.
    let exit = unsafe { (*control).exit };
    if exit.is_null() {
        return None;
    }
    // SAFETY: while it is in the chain, the frame on the model's stack is live.
    let index = unsafe { (*exit).index };
    Some(name(index))
}

/// The name of the stub with this index.
pub(super) fn name(index: u64) -> String {
    let stubs = STUBS.lock();
    let name = usize::try_from(index).ok().and_then(|i| stubs.names.get(i));
    name.cloned().unwrap_or_else(|| format!("call {index}"))
}

/// The name of the stub at an address.
pub(super) fn name_at(address: usize) -> Option<String> {
    let offset = address.checked_sub(layout::THUNKS)?;
    STUBS.lock().names.get(offset / STUB).cloned()
}
