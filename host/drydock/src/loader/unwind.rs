//! Unwinding image code by its `.pdata` and `.xdata`, as the x64 ABI of Windows defines them (unwind version 1; the
//! epilog codes of version 2 are skipped).

use super::image::{self, Details};
use std::ops::Range;

/// The registers that unwinding needs and restores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Registers {
    pub(super) rip: u64,
    /// By their number in instructions: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 to r15.
    pub(super) general: [u64; 16],
    /// Of these, xmm6 to xmm15 are restored; where the state comes from a call in progress they are not known.
    pub(super) xmm: [u128; 16],
}

pub(super) const RBX: usize = 3;
pub(super) const RSP: usize = 4;
pub(super) const RBP: usize = 5;
pub(super) const RSI: usize = 6;
pub(super) const RDI: usize = 7;
pub(super) const R12: usize = 12;

/// Reads the 64-bit word at an address of the stack; none if it lies outside.
pub(super) type ReadStack<'a> = &'a dyn Fn(u64) -> Option<u64>;

impl Registers {
    pub(super) fn rsp(&self) -> u64 {
        self.general[RSP]
    }

    fn pop(&mut self, read: ReadStack<'_>) -> Option<u64> {
        let value = read(self.rsp())?;
        self.general[RSP] = self.rsp().checked_add(8)?;
        Some(value)
    }

    fn leave(&mut self, read: ReadStack<'_>) -> Option<()> {
        self.rip = self.pop(read)?;
        Some(())
    }
}

/// Goes from the state inside a function to the state its caller sees after the return. `interrupted`: the function was
/// stopped anywhere, not at a call, so it may be in an epilog.
pub(super) fn unwind(
    registers: &mut Registers,
    interrupted: bool,
    read: ReadStack<'_>,
) -> Option<()> {
    let Some((details, _)) = usize::try_from(registers.rip).ok().and_then(image::at) else {
        // Not in an image: a jump through a bad pointer. The caller's address lies on top.
        return registers.leave(read);
    };
    let offset = u32::try_from(registers.rip - details.base as u64).ok()?;
    let Some(mut function) = find(&details, offset) else {
        return registers.leave(read); // a leaf function
    };
    if interrupted && finish_epilog(registers, &details, offset, read) {
        return Some(());
    }
    // Functions may be split: a chained entry continues with the codes of the primary one.
    for depth in 0..32 {
        let info = Info::parse(&details, function.unwind)?;
        let at = (depth == 0 && function.range.contains(&offset))
            .then(|| offset - function.range.start)
            .filter(|at| *at < u32::from(info.prolog));
        info.apply(registers, at, read)?;
        match info.chained {
            Some(primary) => function = primary,
            None => break,
        }
    }
    registers.leave(read)
}

#[derive(Debug)]
struct Function {
    /// Where its entry in the table lies.
    entry: u32,
    range: Range<u32>,
    unwind: u32,
}

fn word(details: &Details, at: u32) -> Option<u32> {
    let at = at as usize;
    let bytes = details.contents.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn byte(details: &Details, at: u32) -> Option<u8> {
    details.contents.get(at as usize).copied()
}

fn function_at(details: &Details, at: u32) -> Option<Function> {
    Some(Function {
        entry: at,
        range: word(details, at)?..word(details, at.checked_add(4)?)?,
        unwind: word(details, at.checked_add(8)?)?,
    })
}

fn find(details: &Details, offset: u32) -> Option<Function> {
    let (mut low, mut high) = (0, (details.exceptions.len() / 12) as u32);
    while low < high {
        let middle = low + (high - low) / 2;
        let function = function_at(details, details.exceptions.start + middle * 12)?;
        if offset < function.range.start {
            high = middle;
        } else if offset >= function.range.end {
            low = middle + 1;
        } else {
            return Some(function);
        }
    }
    None
}

/// The extent of the function at an offset, if the image has it in its table.
pub(super) fn extent(details: &Details, offset: u32) -> Option<Range<u32>> {
    find(details, offset).map(|function| function.range)
}

/// The language handler of a function, and what it needs to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handled {
    /// The address of the image; the other members are offsets in it.
    pub(super) base: u64,
    /// The function's entry in the table of runtime functions.
    pub(super) function: u32,
    /// The handler.
    pub(super) handler: u32,
    /// The handler's data: a scope table, for C.
    pub(super) data: u32,
    /// The address of the function's frame.
    pub(super) establisher: u64,
}

/// The language handler of the function in which the state is, if it has one and its prolog is over.
pub(super) fn handled(registers: &Registers) -> Option<Handled> {
    let (details, _) = image::at(usize::try_from(registers.rip).ok()?)?;
    let offset = u32::try_from(registers.rip - details.base as u64).ok()?;
    let mut function = find(&details, offset)?;
    let entry = function.entry;
    let mut establisher = None;
    for depth in 0..32 {
        let info = Info::parse(&details, function.unwind)?;
        if depth == 0 && offset - function.range.start < u32::from(info.prolog) {
            return None;
        }
        establisher = establisher.or_else(|| info.frame_base(registers));
        match (info.chained, info.handler) {
            (Some(primary), _) => function = primary,
            (None, Some((handler, data))) => {
                return Some(Handled {
                    base: details.base as u64,
                    function: entry,
                    handler,
                    data,
                    establisher: establisher.unwrap_or(registers.rsp()),
                });
            }
            (None, None) => return None,
        }
    }
    None
}

struct Info {
    prolog: u8,
    frame_register: usize,
    frame_offset: u64,
    /// The code slots, in pairs of bytes as they lie in the image: offset in the prolog, and operation.
    slots: Vec<[u8; 2]>,
    chained: Option<Function>,
    /// The language handler and its data.
    handler: Option<(u32, u32)>,
}

impl Info {
    /// Where the fixed part of the frame begins, if a register says so.
    fn frame_base(&self, registers: &Registers) -> Option<u64> {
        (self.frame_register != 0)
            .then(|| registers.general[self.frame_register].wrapping_sub(self.frame_offset))
    }

    fn parse(details: &Details, at: u32) -> Option<Self> {
        const HANDLERS: u8 = 1 | 2;
        const CHAINED: u8 = 4;
        let first = byte(details, at)?;
        let (version, flags) = (first & 7, first >> 3);
        if version == 0 || version > 2 {
            return None;
        }
        let count = u32::from(byte(details, at.checked_add(2)?)?);
        let frame = byte(details, at.checked_add(3)?)?;
        let codes = at.checked_add(4)?;
        let mut slots = Vec::new();
        for index in 0..count {
            let at = codes.checked_add(index * 2)?;
            slots.push([byte(details, at)?, byte(details, at.checked_add(1)?)?]);
        }
        let behind = codes.checked_add(count.next_multiple_of(2) * 2)?;
        let (mut chained, mut handler) = (None, None);
        if flags & CHAINED != 0 {
            chained = Some(function_at(details, behind)?);
        } else if flags & HANDLERS != 0 {
            handler = Some((word(details, behind)?, behind.checked_add(4)?));
        }
        Some(Self {
            prolog: byte(details, at + 1)?,
            frame_register: usize::from(frame & 15),
            frame_offset: u64::from(frame >> 4) * 16,
            slots,
            chained,
            handler,
        })
    }

    /// Undoes the prolog, or the part of it before `at`.
    fn apply(&self, registers: &mut Registers, at: Option<u32>, read: ReadStack<'_>) -> Option<()> {
        // What was saved lies at an offset from the fixed part of the frame, wherever the stack pointer is now.
        let base = at.is_none().then(|| self.frame_base(registers)).flatten();
        let mut index = 0;
        while let Some([offset, code]) = self.slots.get(index).copied() {
            let done = at.is_none_or(|at| u32::from(offset) <= at);
            let operand = u64::from(code >> 4);
            let slot = |ahead: usize| {
                let pair = self.slots.get(index + ahead).copied()?;
                Some(u64::from(u16::from_le_bytes(pair)))
            };
            let long = || Some(slot(1)? | slot(2)? << 16);
            // How many slots the operation takes, and what it did to the stack.
            let (length, allocated, saved) = match code & 15 {
                0 => (1, None, Some((operand, None))),
                1 if operand == 0 => (2, Some(slot(1)? * 8), None),
                1 => (3, Some(long()?), None),
                2 => (1, Some(operand * 8 + 8), None),
                3 => {
                    if done {
                        let frame = registers.general[self.frame_register];
                        registers.general[RSP] = frame.wrapping_sub(self.frame_offset);
                    }
                    (1, None, None)
                }
                4 => (2, None, Some((operand, Some(slot(1)? * 8)))),
                5 => (3, None, Some((operand, Some(long()?)))),
                6 => (2, None, None), // an epilog of version 2
                8 | 9 => {
                    let near = code & 15 == 8;
                    if done {
                        let offset = if near { slot(1)? * 16 } else { long()? };
                        let place = base.unwrap_or(registers.rsp()).wrapping_add(offset);
                        let low = read(place)?;
                        let high = read(place.wrapping_add(8))?;
                        registers.xmm[operand as usize] = u128::from(high) << 64 | u128::from(low);
                    }
                    (if near { 2 } else { 3 }, None, None)
                }
                7 => (3, None, None),
                10 => {
                    if done {
                        let error_code = operand * 8;
                        let rsp = registers.rsp().wrapping_add(error_code);
                        registers.rip = read(rsp)?;
                        registers.general[RSP] = read(rsp.wrapping_add(24))?;
                    }
                    (1, None, None)
                }
                _ => return None,
            };
            if done {
                if let Some(size) = allocated {
                    registers.general[RSP] = registers.rsp().wrapping_add(size);
                }
                match saved {
                    Some((register, None)) => {
                        registers.general[register as usize] = registers.pop(read)?;
                    }
                    Some((register, Some(offset))) => {
                        let place = base.unwrap_or(registers.rsp()).wrapping_add(offset);
                        registers.general[register as usize] = read(place)?;
                    }
                    None => {}
                }
            }
            index += length;
        }
        Some(())
    }
}

/// If the function was stopped in an epilog (stack freed, registers popped, return), carries it out.
fn finish_epilog(
    registers: &mut Registers,
    details: &Details,
    offset: u32,
    read: ReadStack<'_>,
) -> bool {
    let mut copy = *registers;
    let mut at = offset as usize;
    let mut freed = false;
    loop {
        let Some(code) = details.contents.get(at..) else {
            return false;
        };
        let length = match code {
            [0xC3, ..] | [0xF3, 0xC3, ..] => {
                if copy.leave(read).is_none() {
                    return false;
                }
                *registers = copy;
                return true;
            }
            [0x48, 0x83, 0xC4, size, ..] if !freed => {
                freed = true;
                copy.general[RSP] = copy.rsp().wrapping_add(i64::from(*size as i8) as u64);
                4
            }
            [0x48, 0x81, 0xC4, a, b, c, d, ..] if !freed => {
                freed = true;
                let size = u32::from_le_bytes([*a, *b, *c, *d]);
                copy.general[RSP] = copy.rsp().wrapping_add(u64::from(size));
                7
            }
            [register @ 0x58..=0x5F, ..] => {
                let Some(value) = copy.pop(read) else {
                    return false;
                };
                copy.general[usize::from(register - 0x58)] = value;
                1
            }
            [0x41, register @ 0x58..=0x5F, ..] => {
                let Some(value) = copy.pop(read) else {
                    return false;
                };
                copy.general[usize::from(register - 0x58) + 8] = value;
                2
            }
            _ => return false,
        };
        at += length;
    }
}
