//! Places inside image code where threads change, for exploring: before each instruction of chosen functions that touches memory
//! other threads may touch.
//!
//! The first byte of such an instruction becomes a breakpoint, and the instruction itself, moved to where it means the same, a
//! *detour*: it is followed by a jump back. The handler of the breakpoint makes the image call [`before_access`], where another
//! thread may run, and then goes on at the detour. (The processor's trap flag would stop at every instruction, wanted or not, and a
//! stop costs some 25 us where a hypervisor watches for it; a breakpoint costs 1 to 3.)
//!
//! An instruction that reads and writes without a lock is two accesses to every other processor. What it is about to read is
//! kept, other threads run, and it is given to the instruction again: a write in between is lost, as it would be.
#![expect(
    unsafe_code,
    reason = "changes code of images, reads and writes what it is about to touch"
)]

mod accesses;
mod select;

use super::control;
use super::emulate;
use super::image;
use super::layout;
use super::memory::{self, Access, Region};
use super::symbols;
use super::thunk;
use super::unwind::{RSP, Registers};
use crate::sched::{self, world};
use accesses::Operand;
use iced_x86::{BlockEncoder, BlockEncoderOptions, Instruction, InstructionBlock};
use std::arch::global_asm;
use std::sync::OnceLock;

/// The space of one detour: an instruction has at most 15 bytes, the jump 5.
const DETOUR: usize = 32;
const BREAKPOINT: [u8; 1] = [0xCC];

/// What was chosen, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preempted {
    /// The functions, as `image!name`.
    pub functions: Vec<String>,
    /// The instructions before which threads change.
    pub accesses: usize,
    /// Those of them that are two accesses.
    pub halves: usize,
    /// Functions with an indirect jump whose targets are not known: what is behind it is not covered.
    pub incomplete: Vec<String>,
}

/// An instruction that is a breakpoint now.
struct Site {
    address: usize,
    instruction: Instruction,
    operand: Operand,
    halves: Option<usize>,
    /// The address of the stub of [`before_access`].
    call: usize,
}

/// All sites by address; the detour of each has its index.
///
/// Invariant: every site's first byte is a breakpoint, and its detour does what the instruction did and goes on behind it.
struct Planted {
    sites: Vec<Site>,
    summary: Preempted,
    _detours: Region,
}

static PLANTED: OnceLock<Planted> = OnceLock::new();

global_asm!(
    // On the image's stack: the index of the site, the address accessed, the function to call, where to go on. Keeps
    // every register and the flags.
    ".globl drydock_before_access",
    ".hidden drydock_before_access",
    "drydock_before_access:",
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
    "mov rdx, [rbp + 0x50]",
    "mov rax, [rbp + 0x58]",
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
    "lea rsp, [rsp + 24]",
    "ret",
);

unsafe extern "C" {
    fn drydock_before_access();
}

/// Makes the functions chosen by `selectors` ones in which threads change: `[IMAGE!]NAME` or `IMAGE+0xFROM..0xTO`, of the images
/// that are loaded. Once per process, while no image code runs.
///
/// # Errors
/// A name nobody has, with those near it; code that cannot be changed.
pub fn preempt(selectors: &[String]) -> Result<(), String> {
    let images = image::mapped();
    let mut summary = Preempted::default();
    let mut found = Vec::new();
    for selector in selectors {
        for function in select::select(&images, selector)? {
            if summary.functions.contains(&function.name) {
                continue;
            }
            let code = accesses::of_function(&function.image, &function.range)
                .map_err(|reason| format!("{}: {reason}", function.name))?;
            if code.incomplete {
                summary.incomplete.push(function.name.clone());
            }
            found.extend(code.accesses);
            summary.functions.push(function.name);
        }
    }
    found.sort_by_key(|access| access.instruction.ip());
    found.dedup_by_key(|access| access.instruction.ip());
    if found.is_empty() {
        return Err(format!(
            "{} touches no memory but the stack and constants: there is nothing to preempt",
            summary.functions.join(", ")
        ));
    }
    summary.accesses = found.len();
    summary.halves = found
        .iter()
        .filter(|access| access.halves.is_some())
        .count();
    let call = thunk::thunk(
        "(another thread may run)",
        before_access as *const () as usize,
    );
    let mut sites = Vec::new();
    let mut code = Vec::new();
    for (index, access) in found.into_iter().enumerate() {
        let moved = detour(&access.instruction, layout::DETOURS + index * DETOUR)?;
        code.extend(moved);
        code.resize((index + 1) * DETOUR, 0xCC);
        sites.push(Site {
            address: access.instruction.ip() as usize,
            instruction: access.instruction,
            operand: access.operand,
            halves: access.halves,
            call,
        });
    }
    let failed = |error: std::io::Error| format!("the system gave no memory for detours: {error}");
    let size = code.len().next_multiple_of(0x1000);
    let detours = Region::reserve(layout::DETOURS, size).map_err(failed)?;
    detours
        .protect(0, size, Access::ReadWrite)
        .map_err(failed)?;
    detours.write(0, &code);
    detours
        .protect(0, size, Access::ReadExecute)
        .map_err(failed)?;
    let addresses: Vec<_> = sites.iter().map(|site| site.address).collect();
    let planted = Planted {
        sites,
        summary,
        _detours: detours,
    };
    if PLANTED.set(planted).is_err() {
        return Err("functions have been chosen before".to_owned());
    }
    for address in addresses {
        memory::patch_code(address, &BREAKPOINT)
            .map_err(|error| format!("the code at {address:#x} cannot be changed: {error}"))?;
    }
    Ok(())
}

/// What was chosen, if anything was.
pub fn preempted() -> Option<Preempted> {
    PLANTED.get().map(|planted| planted.summary.clone())
}

/// The instruction at an address as people write it, with its place.
pub fn describe_access(address: usize) -> String {
    let place = symbols::describe(address);
    match site_at(address) {
        Some((_, site)) => {
            let mut text = String::new();
            let mut formatter = iced_x86::FastFormatter::new();
            formatter.format(&site.instruction, &mut text);
            format!("{text}  at {place}")
        }
        None => place,
    }
}

/// The instruction, and a jump to the one behind it, as they are at `detour`.
fn detour(instruction: &Instruction, detour: usize) -> Result<Vec<u8>, String> {
    let back = accesses::jump_to(instruction.next_ip())?;
    let moved = [*instruction, back];
    let block = InstructionBlock::new(&moved, detour as u64);
    let encoded = BlockEncoder::encode(64, block, BlockEncoderOptions::NONE).map_err(|error| {
        format!(
            "{instruction:?} at {:#x} cannot be moved: {error}",
            instruction.ip()
        )
    })?;
    if encoded.code_buffer.len() > DETOUR {
        return Err(format!("{instruction:?} is too long to be moved"));
    }
    Ok(encoded.code_buffer)
}

fn site_at(address: usize) -> Option<(usize, &'static Site)> {
    let sites = &PLANTED.get()?.sites;
    let index = sites
        .binary_search_by_key(&address, |site| site.address)
        .ok()?;
    Some((index, &sites[index]))
}

/// What became of a thread that has met a breakpoint.
pub(super) fn arrive(registers: &mut Registers) -> bool {
    let Some((index, site)) = site_at(registers.rip as usize) else {
        return false;
    };
    let detour = (layout::DETOURS + index * DETOUR) as u64;
    let address = site.operand.address(&registers.general);
    let own = control::current_stack().is_some_and(|stack| stack.contains(&address));
    let words = [index as u64, address as u64, site.call as u64, detour];
    let rsp = registers.rsp() - size_of_val(&words) as u64;
    if own || !world::is_exploring() || !emulate::put(rsp, words) {
        registers.rip = detour;
        return true;
    }
    registers.general[RSP] = rsp;
    registers.rip = drydock_before_access as *const () as u64;
    true
}

/// Where an address in a detour is in the image's own code.
pub(super) fn original(address: u64) -> u64 {
    let found = (address as usize)
        .checked_sub(layout::DETOURS)
        .and_then(|offset| {
            let site = PLANTED.get()?.sites.get(offset / DETOUR)?;
            Some(match offset % DETOUR {
                0 => site.address as u64,
                _ => site.instruction.next_ip(),
            })
        });
    found.unwrap_or(address)
}

/// A thread is about to touch memory: others may run.
extern "win64" fn before_access(index: u64, address: u64) {
    let sites = PLANTED.get().map(|planted| planted.sites.as_slice());
    let Some(site) = sites.and_then(|sites| sites.get(index as usize)) else {
        return;
    };
    world::observe(world::What::Access(site.address));
    sched::point();
    let Some(size) = site.halves else {
        return;
    };
    // A fault is the instruction's own affair.
    let Some(read) = memory::peek(address as usize, size) else {
        return;
    };
    world::observe(world::What::Access(site.address));
    sched::point();
    if memory::peek(address as usize, size).is_some_and(|now| now != read) {
        memory::poke(address as usize, size, read);
    }
}
