//! Structured exceptions in images: `__try`, `__except` and `__finally`, by the scope tables in `.pdata` and `.xdata`.
//!
//! An exception is a fault the kernel lets a driver handle (user memory that is not there, a division by zero) or a status
//! that a function raises (`ProbeForRead`, `ExRaiseStatus`). Both end up in one place: the image goes on in [`drydock_raise`], on
//! its own stack, beside a CONTEXT of where it was, and calls the dispatcher like any other function of the model. The dispatcher
//! walks the frames of the image, asks each language handler, and leaves in the CONTEXT where to go on; `drydock_raise` loads
//! it. No frame of the model is ever skipped. Frames are looked for up to where the model called the image: exceptions do not
//! cross the framework, and Windows does not promise that they could.
//!
//! A language handler is code of the image; most are a jump to `__C_specific_handler`, which is [`c_specific_handler`].
#![expect(
    unsafe_code,
    reason = "reads and writes records that live on an image's stack, and calls its filters and handlers"
)]

use super::backtrace;
use super::call;
use super::control;
use super::emulate;
use super::fault;
use super::thunk;
use super::unwind::{self, Handled, RSP, Registers};
use crate::verify;
use std::arch::global_asm;
use std::mem::offset_of;
use std::sync::OnceLock;

/// STATUS_ACCESS_VIOLATION.
pub(super) const ACCESS_VIOLATION: u32 = 0xC000_0005;
/// STATUS_ILLEGAL_INSTRUCTION.
pub(super) const ILLEGAL_INSTRUCTION: u32 = 0xC000_001D;
/// STATUS_INTEGER_DIVIDE_BY_ZERO.
pub(super) const DIVIDE_BY_ZERO: u32 = 0xC000_0094;

const NONCONTINUABLE: u32 = 1;
const UNWINDING: u32 = 2;
const EXIT_UNWIND: u32 = 4;
const TARGET_UNWIND: u32 = 0x20;

/// What a language handler answers: ExceptionContinueExecution, ExceptionContinueSearch.
const CONTINUE_EXECUTION: u64 = 0;
const CONTINUE_SEARCH: u64 = 1;
/// Our `__C_specific_handler` answers this where Windows' unwinds and does not come back. Handlers that wrap it, such as
/// `__GSHandlerCheck_SEH`, pass it on.
const EXECUTE_HANDLER: u64 = 0x4452_0001;

/// Left free below the stack pointer of the image, for what [`drydock_raise`] stores there at the end.
const GAP: u64 = 0x40;
/// What handlers and filters may need at least, or the stack counts as full.
const ROOM: u64 = 0x400;
/// The most frames that are looked at.
const FRAMES: usize = 512;

/// CONTEXT of x64 Windows.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct Context {
    home: [u64; 6],
    flags: u32,
    mxcsr: u32,
    segments: [u16; 6],
    eflags: u32,
    debug: [u64; 6],
    /// In the order instructions number them.
    general: [u64; 16],
    rip: u64,
    legacy: [u64; 20],
    xmm: [u128; 16],
    vector: [u64; 70],
}

const _: () = assert!(size_of::<Context>() == 0x4D0);
const _: () = assert!(offset_of!(Context, rip) == 0xF8);
const _: () = assert!(offset_of!(Context, xmm) == 0x1A0);

/// EXCEPTION_RECORD.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Record {
    code: u32,
    flags: u32,
    next: u64,
    address: u64,
    count: u32,
    _padding: u32,
    information: [u64; 15],
}

const _: () = assert!(size_of::<Record>() == 0x98);

/// DISPATCHER_CONTEXT.
#[repr(C)]
#[derive(Clone, Copy)]
struct Dispatcher {
    control_pc: u64,
    image_base: u64,
    function_entry: u64,
    establisher: u64,
    target_ip: u64,
    context: u64,
    language_handler: u64,
    handler_data: u64,
    history: u64,
    scope_index: u32,
    _padding: u32,
}

const _: () = assert!(size_of::<Dispatcher>() == 0x50);

/// An exception under way, on the stack of the image it happened in.
#[repr(C, align(16))]
struct Frame {
    context: Context,
    record: Record,
    dispatcher: Dispatcher,
    /// What a fault is called in a report, if nobody handles it; null for a status that was raised.
    fault: *mut String,
}

global_asm!(
    // In: rsp = a `Frame` whose context lacks the vector registers, which are those of the image still.
    ".globl drydock_raise",
    ".hidden drydock_raise",
    "drydock_raise:",
    "movups [rsp + {xmm} + 0x00], xmm0",
    "movups [rsp + {xmm} + 0x10], xmm1",
    "movups [rsp + {xmm} + 0x20], xmm2",
    "movups [rsp + {xmm} + 0x30], xmm3",
    "movups [rsp + {xmm} + 0x40], xmm4",
    "movups [rsp + {xmm} + 0x50], xmm5",
    "movups [rsp + {xmm} + 0x60], xmm6",
    "movups [rsp + {xmm} + 0x70], xmm7",
    "movups [rsp + {xmm} + 0x80], xmm8",
    "movups [rsp + {xmm} + 0x90], xmm9",
    "movups [rsp + {xmm} + 0xA0], xmm10",
    "movups [rsp + {xmm} + 0xB0], xmm11",
    "movups [rsp + {xmm} + 0xC0], xmm12",
    "movups [rsp + {xmm} + 0xD0], xmm13",
    "movups [rsp + {xmm} + 0xE0], xmm14",
    "movups [rsp + {xmm} + 0xF0], xmm15",
    "stmxcsr [rsp + {mxcsr}]",
    "cld",
    "mov rcx, rsp",
    "mov rax, [rsp + {home}]", // where the dispatcher's stub is
    "sub rsp, 0x20",
    "call rax",
    ".globl drydock_raise_returns",
    ".hidden drydock_raise_returns",
    "drydock_raise_returns:",
    "lea rcx, [rsp + 0x20]",
    "ldmxcsr [rcx + {mxcsr}]",
    "movups xmm0, [rcx + {xmm} + 0x00]",
    "movups xmm1, [rcx + {xmm} + 0x10]",
    "movups xmm2, [rcx + {xmm} + 0x20]",
    "movups xmm3, [rcx + {xmm} + 0x30]",
    "movups xmm4, [rcx + {xmm} + 0x40]",
    "movups xmm5, [rcx + {xmm} + 0x50]",
    "movups xmm6, [rcx + {xmm} + 0x60]",
    "movups xmm7, [rcx + {xmm} + 0x70]",
    "movups xmm8, [rcx + {xmm} + 0x80]",
    "movups xmm9, [rcx + {xmm} + 0x90]",
    "movups xmm10, [rcx + {xmm} + 0xA0]",
    "movups xmm11, [rcx + {xmm} + 0xB0]",
    "movups xmm12, [rcx + {xmm} + 0xC0]",
    "movups xmm13, [rcx + {xmm} + 0xD0]",
    "movups xmm14, [rcx + {xmm} + 0xE0]",
    "movups xmm15, [rcx + {xmm} + 0xF0]",
    // What cannot be loaded before the stack pointer is goes below the place it will point to.
    "mov rax, [rcx + {general} + 32]",
    "mov rdx, [rcx + {rip}]",
    "mov [rax - 8], rdx",
    "mov rdx, [rcx + {general} + 8]",
    "mov [rax - 16], rdx",
    "mov edx, [rcx + {eflags}]",
    "mov [rax - 24], rdx",
    "mov rdx, [rcx + {general}]",
    "mov [rax - 32], rdx",
    "mov rdx, [rcx + {general} + 16]",
    "mov rbx, [rcx + {general} + 24]",
    "mov rbp, [rcx + {general} + 40]",
    "mov rsi, [rcx + {general} + 48]",
    "mov rdi, [rcx + {general} + 56]",
    "mov r8, [rcx + {general} + 64]",
    "mov r9, [rcx + {general} + 72]",
    "mov r10, [rcx + {general} + 80]",
    "mov r11, [rcx + {general} + 88]",
    "mov r12, [rcx + {general} + 96]",
    "mov r13, [rcx + {general} + 104]",
    "mov r14, [rcx + {general} + 112]",
    "mov r15, [rcx + {general} + 120]",
    "lea rsp, [rax - 32]",
    "pop rax",
    "popfq",
    "pop rcx",
    "ret",
    home = const offset_of!(Context, home),
    xmm = const offset_of!(Context, xmm),
    mxcsr = const offset_of!(Context, mxcsr),
    eflags = const offset_of!(Context, eflags),
    general = const offset_of!(Context, general),
    rip = const offset_of!(Context, rip),
);

unsafe extern "C" {
    fn drydock_raise();
    fn drydock_raise_returns();
}

/// An exception before it has a place on the stack.
pub(super) struct Exception {
    /// The NTSTATUS.
    pub(super) code: u32,
    /// For an access violation: 1 for a write, 8 for a fetch, and the address.
    pub(super) information: [u64; 2],
}

/// Called in the signal handler: sends the image, stopped at `registers`, to its exception handlers. False if it has none for
/// this place, or the kernel would not let it handle this: then the fault ends the run. `words` says what the fault is.
pub(super) fn divert(
    registers: &mut Registers,
    eflags: u64,
    exception: &Exception,
    words: impl FnOnce() -> String,
) -> bool {
    // At DISPATCH_LEVEL and above a fault is a bug check, whoever would like to handle it.
    if emulate::interrupt_level() >= 2 || !is_handled(*registers, true) {
        return false;
    }
    let words = Box::into_raw(Box::new(words()));
    let Some(at) = push(registers, eflags, exception, 0, words) else {
        // SAFETY: made above, and nobody else has it.
        drop(unsafe { Box::from_raw(words) });
        return false;
    };
    registers.rip = drydock_raise as *const () as u64;
    registers.general[RSP] = at;
    true
}

/// Raises a status in the image that made the call in progress: when the function that calls this has returned to the stub,
/// the image's handlers are looked for. False if no image called.
///
/// The caller returns to its own caller at once; nobody looks at what it returns.
pub fn raise(code: u32, information: [u64; 2]) -> bool {
    raise_where(code, information, false)
}

/// As [`raise`], but false as well if the image has no handler around the call: then the fault itself says more.
pub fn raise_if_handled(code: u32, information: [u64; 2]) -> bool {
    raise_where(code, information, true)
}

fn raise_where(code: u32, information: [u64; 2], only_if_handled: bool) -> bool {
    let Some((exit, registers)) = backtrace::calling_image() else {
        return false;
    };
    if only_if_handled && (emulate::interrupt_level() >= 2 || !is_handled(registers, false)) {
        return false;
    }
    let exception = Exception { code, information };
    const INTERRUPTS_ON: u64 = 0x202;
    let flags = NONCONTINUABLE;
    let Some(at) = push(
        &registers,
        INTERRUPTS_ON,
        &exception,
        flags,
        std::ptr::null_mut(),
    ) else {
        verify::fault(format!(
            "{code:#010x} is raised, and the driver stack has no room left to look for a handler"
        ));
    };
    // SAFETY: `push` left the word below the frame free, on this thread's own driver stack.
    unsafe { ((at - 8) as *mut u64).write(drydock_raise as *const () as u64) };
    // SAFETY: the call is in progress, so its frame on the model's stack is live, and this thread's own. The stub takes the
    // image's stack pointer from it and returns to what lies there.
    unsafe { (*exit.cast_mut()).image_rsp = at - 8 };
    true
}

/// Puts an exception on the image's stack; gives the address. None: the stack is full, or the stack pointer is somewhere else.
fn push(
    registers: &Registers,
    eflags: u64,
    exception: &Exception,
    flags: u32,
    fault: *mut String,
) -> Option<u64> {
    let stack = control::current_stack()?;
    let rsp = registers.rsp();
    if rsp < stack.start as u64 || rsp > stack.end as u64 {
        return None;
    }
    let at = (rsp.checked_sub(GAP + size_of::<Frame>() as u64)?) & !15;
    if at < stack.start as u64 + ROOM {
        return None;
    }
    let mut context = Context {
        home: [0; 6],
        flags: 0x10_000F, // CONTEXT_AMD64: control, integer, segments, floating point
        mxcsr: 0,
        segments: [0x10, 0x2B, 0x2B, 0x53, 0x2B, 0x18],
        eflags: eflags as u32,
        debug: [0; 6],
        general: registers.general,
        rip: registers.rip,
        legacy: [0; 20],
        xmm: [0; 16],
        vector: [0; 70],
    };
    context.home[0] = dispatcher_stub() as u64;
    let mut record = Record {
        code: exception.code,
        flags,
        address: registers.rip,
        ..Record::default()
    };
    if exception.code == ACCESS_VIOLATION {
        record.count = 2;
        record.information[..2].copy_from_slice(&exception.information);
    }
    let frame = Frame {
        context,
        record,
        // SAFETY: all members are integers.
        dispatcher: unsafe { std::mem::zeroed() },
        fault,
    };
    // SAFETY: the range lies in the free part of this thread's driver stack and is aligned.
    unsafe { (at as *mut Frame).write(frame) };
    Some(at)
}

fn dispatcher_stub() -> usize {
    static STUB: OnceLock<usize> = OnceLock::new();
    *STUB.get_or_init(|| thunk::thunk("exception dispatch", dispatch as *const () as usize))
}

/// Makes what [`divert`] needs, so that a signal handler need not.
pub(super) fn prepare() {
    let _ = dispatcher_stub();
}

fn stack_word(at: u64) -> Option<u64> {
    backtrace::read(&control::current_stack()?, at)
}

/// Whether any frame up to where the model called the image has a language handler.
fn is_handled(mut registers: Registers, interrupted: bool) -> bool {
    let mut interrupted = interrupted;
    for _ in 0..FRAMES {
        if unwind::handled(&registers).is_some() {
            return true;
        }
        if !step(&mut registers, interrupted) {
            return false;
        }
        interrupted = false;
    }
    false
}

/// Goes to the caller; false at the end of the image's frames.
fn step(registers: &mut Registers, interrupted: bool) -> bool {
    unwind::unwind(registers, interrupted, &stack_word).is_some()
        && super::layout::is_image_address(registers.rip as usize)
}

/// The state in which code was, if `rip` and `rsp` are those of [`drydock_raise`] while it calls the dispatcher.
pub(super) fn raised_at(rip: u64, rsp: u64) -> Option<Registers> {
    if rip != drydock_raise_returns as *const () as u64 {
        return None;
    }
    let context = (rsp + 0x20) as *const Context;
    // SAFETY: only `drydock_raise` makes this return address, with its frame right above.
    let context = unsafe { context.read() };
    Some(of(&context))
}

fn of(context: &Context) -> Registers {
    Registers {
        rip: context.rip,
        general: context.general,
        xmm: context.xmm,
    }
}

/// Finds who handles the exception, and leaves in its context where the image goes on.
extern "win64" fn dispatch(frame: *mut Frame) {
    // The records are read and written through the pointer only: handlers of the image change them meanwhile.
    // SAFETY: `drydock_raise` passes its frame, which lives until it has loaded the context.
    let (context, mut record) = unsafe { ((*frame).context, (*frame).record) };
    let raised_by_fault = {
        // SAFETY: as above.
        !unsafe { (*frame).fault }.is_null()
    };
    let first = of(&context);
    let mut registers = first;
    let mut interrupted = raised_by_fault;
    let mut found = None;
    for _ in 0..FRAMES {
        if let Some(handled) = unwind::handled(&registers) {
            match ask(frame, &handled, &registers, 0) {
                CONTINUE_EXECUTION if record.flags & NONCONTINUABLE == 0 => {
                    forget_words(frame);
                    return;
                }
                CONTINUE_EXECUTION => verify::bug_check(
                    0x1E,
                    [0xC000_0025, first.rip, 0, 0],
                    "a filter of the image asks to go on after an exception that cannot be continued \
                     (STATUS_NONCONTINUABLE_EXCEPTION)",
                ),
                CONTINUE_SEARCH => {}
                EXECUTE_HANDLER => {
                    // SAFETY: as above; the handler has written it.
                    found = Some((handled.establisher, unsafe {
                        (*frame).dispatcher.target_ip
                    }));
                    break;
                }
                other => verify::fault(format!(
                    "the exception handler at {} answers {other:#x}, which is no disposition",
                    super::symbols::describe((handled.base + u64::from(handled.handler)) as usize)
                )),
            }
        }
        if !step(&mut registers, interrupted) {
            break;
        }
        interrupted = false;
    }
    let Some((target, target_ip)) = found else {
        unhandled(frame, &record, first)
    };
    record.flags |= UNWINDING;
    let mut registers = first;
    let mut interrupted = raised_by_fault;
    loop {
        if let Some(handled) = unwind::handled(&registers) {
            if handled.establisher == target {
                record.flags |= TARGET_UNWIND;
            }
            // SAFETY: as above.
            unsafe { (*frame).record.flags = record.flags };
            ask(frame, &handled, &registers, target_ip);
            if handled.establisher == target {
                break;
            }
        }
        if !step(&mut registers, interrupted) {
            verify::model_error("the frame that handles an exception was lost on the way");
        }
        interrupted = false;
    }
    forget_words(frame);
    registers.general[0] = u64::from(record.code);
    // SAFETY: as above.
    unsafe {
        (*frame).context.general = registers.general;
        (*frame).context.xmm = registers.xmm;
        (*frame).context.rip = target_ip;
    }
}

/// Calls a language handler.
fn ask(frame: *mut Frame, handled: &Handled, registers: &Registers, target_ip: u64) -> u64 {
    let handler = handled.base + u64::from(handled.handler);
    let dispatcher = Dispatcher {
        control_pc: registers.rip,
        image_base: handled.base,
        function_entry: handled.base + u64::from(handled.function),
        establisher: handled.establisher,
        target_ip,
        context: frame as u64,
        language_handler: handler,
        handler_data: handled.base + u64::from(handled.data),
        history: 0,
        scope_index: 0,
        _padding: 0,
    };
    // SAFETY: the frame lives while `dispatch` runs.
    let (record, place) = unsafe { (&raw mut (*frame).record, &raw mut (*frame).dispatcher) };
    // SAFETY: as above.
    unsafe { place.write(dispatcher) };
    // SAFETY: the image's own tables name the function as a language handler, which takes these arguments. It answers with an
    // int.
    let answer = unsafe {
        call::call4(
            handler as usize,
            record as u64,
            handled.establisher,
            frame as u64,
            place as u64,
        )
    };
    answer & 0xFFFF_FFFF
}

/// What the fault would have been called is needed no more.
fn forget_words(frame: *mut Frame) {
    // SAFETY: the frame lives while `dispatch` runs; the words are the frame's own.
    unsafe {
        if !(*frame).fault.is_null() {
            drop(Box::from_raw((*frame).fault));
            (*frame).fault = std::ptr::null_mut();
        }
    }
}

fn unhandled(frame: *mut Frame, record: &Record, registers: Registers) -> ! {
    fault::stopped_at(registers);
    // SAFETY: the frame lives while `dispatch` runs.
    let words = unsafe { (*frame).fault.as_ref() };
    if let Some(words) = words {
        verify::fault(format!(
            "{words}, at {}; no __except of the image takes it",
            super::symbols::describe(registers.rip as usize)
        ));
    }
    verify::bug_check(
        0x1E,
        [
            record.code.into(),
            record.address,
            record.information[0],
            record.information[1],
        ],
        format!(
            "{:#010x} was raised, and no __except of the image takes it",
            record.code
        ),
    )
}

/// One line of a scope table.
#[derive(Clone, Copy)]
struct Scope {
    begin: u32,
    end: u32,
    /// 1: the exception is taken without a question. Otherwise a filter, or the code of a `__finally`.
    handler: u32,
    /// Where an `__except` begins; 0 for a `__finally`.
    target: u32,
}

/// `__C_specific_handler`: the language handler of C.
///
/// # Safety
/// The arguments are those with which a dispatcher calls a language handler.
pub unsafe fn c_specific_handler(
    record: *mut u8,
    establisher: u64,
    context: *mut u8,
    dispatcher: *mut u8,
) -> u32 {
    let record = record.cast::<Record>();
    let dispatcher = dispatcher.cast::<Dispatcher>();
    // SAFETY: the caller vouches for both.
    let (flags, wanted) = unsafe { ((*record).flags, *dispatcher) };
    let base = wanted.image_base;
    let pc = (wanted.control_pc - base) as u32;
    let target_pc = wanted.target_ip.wrapping_sub(base) as u32;
    let count = word(wanted.handler_data);
    let scope = |index: u32| {
        let at = wanted.handler_data + 4 + u64::from(index) * 16;
        Scope {
            begin: word(at),
            end: word(at + 4),
            handler: word(at + 8),
            target: word(at + 12),
        }
    };
    for index in wanted.scope_index..count {
        let line = scope(index);
        if !(line.begin..line.end).contains(&pc) {
            continue;
        }
        let function = (base + u64::from(line.handler)) as usize;
        if flags & (UNWINDING | EXIT_UNWIND) == 0 {
            if line.target == 0 {
                continue;
            }
            let answer = if line.handler == 1 {
                1
            } else {
                // EXCEPTION_POINTERS.
                let pointers = [record as u64, context as u64];
                // SAFETY: the image's scope table names the function as a filter.
                unsafe { call::call2(function, pointers.as_ptr() as u64, establisher) as i32 }
            };
            if answer < 0 {
                return CONTINUE_EXECUTION as u32;
            }
            if answer > 0 {
                // SAFETY: the caller vouches for it.
                unsafe { (*dispatcher).target_ip = base + u64::from(line.target) };
                return EXECUTE_HANDLER as u32;
            }
            continue;
        }
        if flags & TARGET_UNWIND != 0 && line.target == target_pc && line.target != 0 {
            break;
        }
        if line.target == 0 {
            // SAFETY: the caller vouches for it. An exception in the __finally goes on with the next line.
            unsafe { (*dispatcher).scope_index = index + 1 };
            // SAFETY: the image's scope table names the function as a termination handler. TRUE: abnormal.
            unsafe { call::call2(function, 1, establisher) };
        }
    }
    CONTINUE_SEARCH as u32
}

/// A 32-bit word of an image's tables.
fn word(at: u64) -> u32 {
    // SAFETY: scope tables lie in read-only sections of mapped images, which the loader does not take away.
    unsafe { (at as *const u32).read_unaligned() }
}
