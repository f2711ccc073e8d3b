//! Faults: what the processor refuses, and panics of the model, end the run with a report.
//!
//! The handlers run on the thread's alternate stack ([`super::control`]), because the fault may be that the driver stack
//! is full. A report allocates and formats inside the handler: an image never holds a lock of this process while its
//! own code runs. A fault of the model may hold one, so there an alarm limits the attempt.
#![expect(unsafe_code, reason = "signal handlers")]

use super::backtrace::{self, Step};
use super::control;
use super::count;
use super::emulate::{self, Outcome};
use super::exception::{self, Exception};
use super::image;
use super::layout;
use super::preempt;
use super::symbols;
use super::thunk;
use super::unwind::Registers;
use crate::sched::{self, Lock, Mode, world};
use crate::verify;
use std::cell::Cell;
use std::ffi::c_void;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Once, OnceLock};

const SIGNALS: [i32; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
];

/// The code of a [`libc::SIGTRAP`] that the trap flag has made.
const TRAP_TRACE: i32 = 2;
/// The trap flag among the processor's flags.
const TRAP_FLAG: i64 = 0x100;

/// Where the general registers lie in a signal context, by their number in instructions.
const GENERAL: [i32; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];
const NAMES: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];

/// `si_code` of a general protection fault.
const SI_KERNEL: i32 = 128;

thread_local! {
    /// The state in which image code of this thread was stopped.
    static STOPPED: Cell<Option<Registers>> = const { Cell::new(None) };
    static HANDLING: Cell<bool> = const { Cell::new(false) };
}

static ALL_PANICS: AtomicBool = AtomicBool::new(false);
type Describer = fn(usize) -> Option<String>;

static DESCRIBERS: Lock<Vec<Describer>> = Lock::new(Vec::new());

/// Adds a source of words about addresses (a freed pool block, a handle), asked when image code used a bad one.
/// It runs in a signal handler, and must not wait for a lock that the faulting thread can hold while in an image.
pub fn register_address_describer(describer: fn(usize) -> Option<String>) {
    DESCRIBERS.lock().push(describer);
}

/// What becomes of an access that the processor has refused.
#[derive(Debug)]
pub enum Touch {
    /// It is no address of user memory, or one behind the end of a buffer.
    Elsewhere,
    /// The memory is accessible now: the access is made again.
    Opened,
    /// The thread is not in the process whose memory it is.
    Refused(String),
}

static USER_MEMORY: OnceLock<fn(usize) -> Touch> = OnceLock::new();

/// Says who is asked when an address is touched that is not accessible. `touch` runs in a signal handler, and must not wait
/// for a lock that the faulting thread can hold. The first caller wins.
pub fn set_user_memory(touch: fn(usize) -> Touch) {
    let _ = USER_MEMORY.set(touch);
    install();
}

/// From now on a panic anywhere in this process is an error in drydock that ends the run. For programs; a test keeps
/// its own panics.
pub fn catch_faults() {
    ALL_PANICS.store(true, Ordering::Relaxed);
    install();
}

/// Installs the handlers, once. Panics in calls made by an image end the run from then on: they cannot unwind
/// through it.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        verify::register_section("image stack", image_stack);
        verify::register_section("registers", registers);
        exception::prepare();
        for signal in SIGNALS {
            // SAFETY: an all-zero sigaction is a valid value.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            action.sa_sigaction = on_signal as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
            // SAFETY: the handler has the signature that SA_SIGINFO asks for.
            unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
        }
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if sched::mode() == Mode::Explore && !world::inside() {
                return previous(info); // the explorer's own
            }
            if sched::mode() == Mode::Explore && !called_by_image() {
                // What drives the machine has found something wrong: it ends the schedule.
                world::note_panic(info.to_string());
                return;
            }
            if ALL_PANICS.load(Ordering::Relaxed) || called_by_image() {
                let trace = std::backtrace::Backtrace::force_capture();
                verify::model_error(format!("{info}\n{trace}"));
            }
            previous(info);
        }));
    });
}

/// Says in what state image code was stopped, for the report that follows.
pub(super) fn stopped_at(registers: Registers) {
    STOPPED.set(Some(registers));
}

/// Forgets a fault that ended a schedule of an explored machine.
pub fn forget_fault() {
    STOPPED.set(None);
    HANDLING.set(false);
}

/// True while the calling thread is in the model because an image called it.
fn called_by_image() -> bool {
    control::current().is_some_and(|control| {
        // SAFETY: the record belongs to this thread.
        let (host_rsp, exit) = unsafe { ((*control).host_rsp, (*control).exit) };
        host_rsp == 0 && !exit.is_null()
    })
}

/// True while the calling thread runs code of an image.
fn in_image_code() -> bool {
    control::current().is_some_and(|control| {
        // SAFETY: the record belongs to this thread.
        unsafe { (*control).host_rsp != 0 }
    })
}

extern "C" fn on_signal(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: with SA_SIGINFO the kernel passes a context, which is this handler's until it returns.
    let general = unsafe { &mut (*context).uc_mcontext.gregs };
    // SAFETY: with SA_SIGINFO the kernel passes the signal's information.
    if signal == libc::SIGTRAP && unsafe { (*info).si_code } == TRAP_TRACE {
        if !count::stepped(general[libc::REG_RIP as usize] as usize) {
            general[libc::REG_EFL as usize] &= !TRAP_FLAG;
        }
        return;
    }
    let mut registers = Registers {
        rip: general[libc::REG_RIP as usize] as u64,
        general: GENERAL.map(|index| general[index as usize] as u64),
        xmm: [0; 16],
    };
    if signal == libc::SIGTRAP {
        registers.rip -= 1; // reported behind the breakpoint
        if in_image_code() && preempt::arrive(&mut registers) {
            general[libc::REG_RIP as usize] = registers.rip as i64;
            general[libc::REG_RSP as usize] = registers.rsp() as i64;
            return;
        }
    }
    registers.rip = preempt::original(registers.rip);
    if HANDLING.replace(true) {
        // The report itself went wrong. Nothing that allocates may be used now.
        let text = b"drydock: a fault while reporting a fault\n";
        // SAFETY: the buffer is valid for its length.
        unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
        // SAFETY: ends the process.
        unsafe { libc::_exit(3) };
    }
    let in_image = in_image_code();
    let error = general[libc::REG_ERR as usize];
    // What could not be fetched cannot be looked at either.
    let fetching = matches!(signal, libc::SIGSEGV | libc::SIGBUS) && error & 16 != 0;
    let mut refused = "";
    // Executing it is refused always.
    if signal == libc::SIGSEGV
        && !fetching
        && let Some(touch) = USER_MEMORY.get()
    {
        // SAFETY: with SA_SIGINFO the kernel passes the signal's information.
        let address = unsafe { (*info).si_addr() } as usize;
        match touch(address) {
            Touch::Elsewhere => {}
            Touch::Opened => {
                HANDLING.set(false);
                return;
            }
            Touch::Refused(text) => {
                if in_image {
                    STOPPED.set(Some(registers));
                }
                verify::violation("R-REQ-74", text);
            }
        }
    }
    if in_image && !fetching {
        match emulate::carry_out(&mut registers) {
            Outcome::Done => {
                if general[libc::REG_EFL as usize] & TRAP_FLAG != 0 {
                    // The next trap is behind the next instruction.
                    count::stepped(registers.rip as usize);
                }
                general[libc::REG_RIP as usize] = registers.rip as i64;
                for (index, value) in GENERAL.iter().zip(registers.general) {
                    general[*index as usize] = value as i64;
                }
                HANDLING.set(false);
                return;
            }
            Outcome::FastFail(code) => {
                STOPPED.set(Some(registers));
                verify::bug_check(
                    0x139,
                    [code, 0, registers.rip, 0],
                    "the image stopped itself (__fastfail): its own checks found memory corrupted",
                );
            }
            Outcome::Refused(reason) => refused = reason,
        }
    } else if !in_image {
        // A lock can be held here that the report needs.
        // SAFETY: the default action of the alarm ends the process.
        unsafe { libc::alarm(10) };
    }
    // SAFETY: with SA_SIGINFO the kernel passes the signal's information.
    let (address, code) = unsafe { ((*info).si_addr() as usize, (*info).si_code) };
    if in_image && refused.is_empty() {
        let eflags = general[libc::REG_EFL as usize] as u64;
        let before = registers;
        let words = || fault_text(signal, address, code, error, &before);
        if let Some(exception) = for_the_image(signal, address, code, error)
            && exception::divert(&mut registers, eflags, &exception, words)
        {
            general[libc::REG_RIP as usize] = registers.rip as i64;
            general[libc::REG_RSP as usize] = registers.rsp() as i64;
            HANDLING.set(false);
            return;
        }
    }
    let what = if refused.is_empty() {
        fault_text(signal, address, code, error, &registers)
    } else {
        refused.to_owned()
    };
    let place = symbols::describe(registers.rip as usize);
    if in_image {
        STOPPED.set(Some(registers));
        verify::fault(format!("{what}, at {place}"));
    }
    let trace = std::backtrace::Backtrace::force_capture();
    if called_by_image() {
        let call = thunk::current().unwrap_or_default();
        verify::fault(format!(
            "{what}, while drydock served {call}: the image passed an address that cannot be used, or drydock is wrong\n{trace}"
        ));
    }
    verify::model_error(format!("{what}, at {place}\n{trace}"));
}

/// The exception that a fault is to the image, if the kernel would let it handle this one: not memory of the kernel that is
/// not there, which is a bug check.
fn for_the_image(signal: i32, address: usize, code: i32, error: i64) -> Option<Exception> {
    let (code, information) = match signal {
        libc::SIGFPE => (exception::DIVIDE_BY_ZERO, [0; 2]),
        libc::SIGILL => (exception::ILLEGAL_INSTRUCTION, [0; 2]),
        // An address that cannot exist; the processor does not say which.
        libc::SIGSEGV if code == SI_KERNEL => (exception::ACCESS_VIOLATION, [0, u64::MAX]),
        libc::SIGSEGV | libc::SIGBUS if is_user_address(address) => {
            let kind = if error & 16 != 0 {
                8
            } else {
                u64::from(error & 2 != 0)
            };
            (exception::ACCESS_VIOLATION, [kind, address as u64])
        }
        _ => return None,
    };
    Some(Exception { code, information })
}

static USER: OnceLock<Range<usize>> = OnceLock::new();

/// Says which addresses are those of programs. The first 64 KiB count as well: null pointers.
pub fn set_user_addresses(range: Range<usize>) {
    let _ = USER.set(range);
}

/// True for an address at which a program could have memory.
pub fn is_user_address(address: usize) -> bool {
    address < 0x1_0000 || USER.get().is_some_and(|range| range.contains(&address))
}

/// What the processor complained about, in words.
fn fault_text(signal: i32, address: usize, code: i32, error: i64, registers: &Registers) -> String {
    match signal {
        libc::SIGFPE => "division by zero or overflow of a quotient".to_owned(),
        libc::SIGILL => "illegal instruction (ud2 stands for unreachable code)".to_owned(),
        libc::SIGTRAP => "a breakpoint or single step, and there is no debugger".to_owned(),
        libc::SIGSEGV if code == SI_KERNEL => {
            let mut text = "general protection fault: a privileged instruction, an access through an address that \
                            cannot exist, or a misaligned vector access"
                .to_owned();
            for (name, value) in NAMES.iter().zip(registers.general) {
                if let Some(words) = describe_address(value as usize) {
                    text.push_str(&format!("; {name} holds {words}"));
                }
            }
            text
        }
        _ => {
            let verb = match error {
                bits if bits & 16 != 0 => "executing",
                bits if bits & 2 != 0 => "writing",
                _ => "reading",
            };
            let mut text = format!("access violation {verb} {address:#x}");
            if let Some(words) = describe_address(address) {
                text.push_str(&format!(" ({words})"));
            }
            text
        }
    }
}

fn describe_address(address: usize) -> Option<String> {
    if address < 0x1_0000 {
        return (address != 0).then(|| "an offset from a null pointer".to_owned());
    }
    if let Some(stack) = control::stack_around(address) {
        return (address < stack.start).then(|| {
            format!(
                "below the driver stack: its {} bytes are used up",
                layout::STACK_SIZE
            )
        });
    }
    if let Some((details, mapped)) = image::at(address) {
        let state = if mapped { "in" } else { "in unloaded" };
        let mut text = format!("{state} {}+{:#x}", details.name, address - details.base);
        if let Some(section) = details.section(address).filter(|s| s.is_initialization()) {
            text.push_str(&format!(
                ", in section {}, which is discarded when DriverEntry has returned",
                section.name.trim_end_matches('\0')
            ));
        }
        return Some(text);
    }
    if let Some(name) = image::near(address) {
        return Some(format!("beside the image {name}"));
    }
    let describers = DESCRIBERS.lock().clone();
    describers.iter().find_map(|describer| describer(address))
}

/// The frames of images on the calling thread, for reports.
fn image_stack() -> Vec<String> {
    const LIMIT: usize = 64;
    let steps = match STOPPED.get() {
        Some(registers) => backtrace::interrupted(registers, LIMIT),
        None => backtrace::steps(LIMIT),
    };
    steps.iter().map(Step::describe).collect()
}

/// The registers of image code that was stopped, for reports.
fn registers() -> Vec<String> {
    let Some(registers) = STOPPED.get() else {
        return Vec::new();
    };
    let values: Vec<_> = NAMES
        .iter()
        .zip(registers.general)
        .map(|(name, value)| format!("{name:>3}={value:016x}"))
        .collect();
    let mut lines: Vec<_> = values.chunks(4).map(|line| line.join(" ")).collect();
    lines.push(format!(
        "rip={:016x} thread {}",
        registers.rip,
        sched::current().0
    ));
    lines
}
