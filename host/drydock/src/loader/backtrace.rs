//! The calls that led to where a thread is, as far as they are in images.
#![expect(unsafe_code, reason = "reads the calling thread's driver stack")]

use super::control::{self, Exit};
use super::exception;
use super::layout;
use super::symbols::{describe, describe_return};
use super::thunk;
use super::unwind::{self, R12, RBP, RBX, RDI, RSI, RSP, Registers};
use std::ops::Range;

/// One step of a backtrace, innermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Image code is at this address: where it was stopped.
    At(usize),
    /// Image code will return to this address.
    ReturnTo(usize),
    /// The image called the model here: an index for the call's name.
    Call(u64),
}

impl Step {
    /// The step in words.
    pub fn describe(&self) -> String {
        match self {
            Self::At(address) => describe(*address),
            Self::ReturnTo(address) => describe_return(*address),
            Self::Call(index) => format!("calls {}", thunk::name(*index)),
        }
    }
}

/// The backtrace of the calling thread, which is in the model, called by an image; empty if it is not.
pub fn steps(limit: usize) -> Vec<Step> {
    let mut found = Vec::new();
    if let Some(control) = control::current() {
        // SAFETY: the record belongs to this thread.
        let exit = unsafe { (*control).exit };
        walk_calls(exit, limit, &mut found);
    }
    found
}

/// The return addresses in images that led to the present call, innermost first. Cheap enough to keep with what is
/// created.
pub fn return_addresses(limit: usize) -> Vec<usize> {
    let steps = steps(limit * 2);
    let addresses = steps.into_iter().filter_map(|step| match step {
        Step::At(address) | Step::ReturnTo(address) => Some(address),
        Step::Call(_) => None,
    });
    addresses.take(limit).collect()
}

/// The address in an image to which the innermost call of the model returns: who called.
pub fn caller() -> Option<usize> {
    let control = control::current()?;
    // SAFETY: the record belongs to this thread.
    let exit = unsafe { (*control).exit };
    if exit.is_null() {
        return None;
    }
    // SAFETY: while it is in the chain, the frame on the model's stack is live.
    let rsp = unsafe { (*exit).image_rsp };
    let stack = control::current_stack()?;
    usize::try_from(read(&stack, rsp)?).ok()
}

/// The backtrace of the calling thread, stopped in image code with these registers.
pub(super) fn interrupted(registers: Registers, limit: usize) -> Vec<Step> {
    let mut found = vec![Step::At(registers.rip as usize)];
    let Some(control) = control::current() else {
        return found;
    };
    let Some(stack) = control::current_stack() else {
        return found;
    };
    // SAFETY: the record belongs to this thread.
    let outer = unsafe { (*control).exit };
    let mut registers = registers;
    if unwind::unwind(&mut registers, true, &|at| read(&stack, at)).is_some() {
        walk_image(&stack, registers, limit, &mut found);
    }
    walk_calls(outer, limit, &mut found);
    found
}

/// Goes through the calls of the model that are in progress, and the image code that makes each.
fn walk_calls(mut exit: *const Exit, limit: usize, found: &mut Vec<Step>) {
    let Some(stack) = control::current_stack() else {
        return;
    };
    while !exit.is_null() && found.len() < limit {
        // SAFETY: while it is in the chain, the frame on the model's stack is live.
        let frame = unsafe { *exit };
        found.push(Step::Call(frame.index));
        let Some(registers) = at_call(&stack, &frame) else {
            return;
        };
        walk_image(&stack, registers, limit, found);
        exit = frame.previous;
    }
}

/// The state of the image right after a call that it is making.
fn at_call(stack: &Range<usize>, frame: &Exit) -> Option<Registers> {
    let mut registers = Registers {
        rip: read(stack, frame.image_rsp)?,
        general: [0; 16],
        xmm: [0; 16],
    };
    registers.general[RBX] = frame.rbx;
    registers.general[RBP] = frame.rbp;
    registers.general[RSI] = frame.rsi;
    registers.general[RDI] = frame.rdi;
    let high = [frame.r12, frame.r13, frame.r14, frame.r15];
    registers.general[R12..].copy_from_slice(&high);
    registers.general[RSP] = frame.image_rsp + 8;
    // The dispatch of an exception is called by a stub of ours: the image is where that happened.
    let raised = exception::raised_at(registers.rip, registers.rsp());
    Some(raised.unwrap_or(registers))
}

/// The innermost call an image is making on this thread, and the state of the image right after it.
pub(super) fn calling_image() -> Option<(*const Exit, Registers)> {
    let control = control::current()?;
    // SAFETY: the record belongs to this thread.
    let (host_rsp, exit) = unsafe { ((*control).host_rsp, (*control).exit) };
    if host_rsp != 0 || exit.is_null() {
        return None;
    }
    // SAFETY: while it is in the chain, the frame on the model's stack is live.
    let frame = unsafe { *exit };
    Some((exit, at_call(&control::current_stack()?, &frame)?))
}

/// Goes through the frames of image code up to where the model entered the image: the first return address outside.
fn walk_image(stack: &Range<usize>, mut registers: Registers, limit: usize, found: &mut Vec<Step>) {
    while found.len() < limit && layout::is_image_address(registers.rip as usize) {
        found.push(Step::ReturnTo(registers.rip as usize));
        if unwind::unwind(&mut registers, false, &|at| read(stack, at)).is_none() {
            return;
        }
    }
}

/// The 64-bit word at an address of a driver stack of the calling thread.
pub(super) fn read(stack: &Range<usize>, at: u64) -> Option<u64> {
    let at = usize::try_from(at).ok()?;
    if at < stack.start || at.checked_add(8)? > stack.end || !at.is_multiple_of(8) {
        return None;
    }
    // SAFETY: the word lies in the calling thread's driver stack, which stays mapped while the thread lives.
    Some(unsafe { (at as *const u64).read_volatile() })
}
