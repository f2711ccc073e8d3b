//! The instructions of a function that touch memory other threads may touch.

use super::super::image::Details;
use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfo,
    InstructionInfoFactory, Mnemonic, OpAccess, Register, UsedMemory,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Where an instruction finds its operand: all of it is in registers and in the instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Operand {
    base: Option<usize>,
    index: Option<usize>,
    scale: u64,
    displacement: u64,
}

impl Operand {
    fn of(memory: &UsedMemory) -> Self {
        let number = |register: Register| {
            register
                .is_gpr64()
                .then(|| register.number())
                .filter(|_| register != Register::None)
        };
        Self {
            base: number(memory.base()),
            index: number(memory.index()),
            scale: u64::from(memory.scale()),
            displacement: memory.displacement(),
        }
    }

    /// Its address, with these general registers.
    pub(super) fn address(&self, general: &[u64; 16]) -> usize {
        let base = self.base.map_or(0, |register| general[register]);
        let index = self.index.map_or(0, |register| general[register]);
        base.wrapping_add(index.wrapping_mul(self.scale))
            .wrapping_add(self.displacement) as usize
    }
}

/// An instruction that touches memory.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) instruction: Instruction,
    pub(super) operand: Operand,
    /// Reads and writes so many bytes without a lock: another processor can come in between.
    pub(super) halves: Option<usize>,
}

/// What was found in a function.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By address.
    pub(super) accesses: Vec<Access>,
    /// It has an indirect jump whose targets are not known: there may be more.
    pub(super) incomplete: bool,
}

/// Follows the code of a function from its first instruction. `range` is its extent, by offset in the image.
///
/// What is no instruction (a jump table between functions) is never taken for one: only what can be reached is looked at.
pub(super) fn of_function(details: &Details, range: &Range<u32>) -> Result<Found, String> {
    let base = details.base as u64;
    let extent = base + u64::from(range.start)..base + u64::from(range.end);
    let mut seen: BTreeMap<u64, Instruction> = BTreeMap::new();
    let mut tables: BTreeSet<u64> = BTreeSet::new();
    let mut work = vec![extent.start];
    let mut indirect = false;
    loop {
        while let Some(at) = work.pop() {
            if !extent.contains(&at) || seen.contains_key(&at) {
                continue;
            }
            let instruction = decode(details, at)?;
            seen.insert(at, instruction);
            if instruction.mnemonic() == Mnemonic::Lea && instruction.is_ip_rel_memory_operand() {
                tables.insert(instruction.ip_rel_memory_address());
            }
            let next = instruction.next_ip();
            match instruction.flow_control() {
                FlowControl::ConditionalBranch => {
                    work.extend([instruction.near_branch_target(), next]);
                }
                FlowControl::UnconditionalBranch => work.push(instruction.near_branch_target()),
                FlowControl::IndirectBranch => indirect = true,
                FlowControl::Return | FlowControl::Exception => {}
                // __fastfail does not return.
                FlowControl::Interrupt if instruction.immediate8() == 0x29 => {}
                _ => work.push(next),
            }
        }
        if !indirect {
            break;
        }
        let more: Vec<u64> = tables
            .iter()
            .flat_map(|table| jump_table(details, *table, &extent))
            .filter(|target| !seen.contains_key(target))
            .collect();
        if more.is_empty() {
            break;
        }
        work.extend(more);
    }
    let incomplete = indirect
        && !tables
            .iter()
            .any(|table| !jump_table(details, *table, &extent).is_empty());
    let mut end = 0;
    for instruction in seen.values() {
        if instruction.ip() < end {
            return Err(format!(
                "the code at {:#x} of {} can be read in two ways",
                instruction.ip() - base,
                details.name
            ));
        }
        end = instruction.next_ip();
    }
    let mut info = InstructionInfoFactory::new();
    let accesses = seen
        .into_values()
        .filter_map(|instruction| access(details, instruction, info.info(&instruction)))
        .collect();
    Ok(Found {
        accesses,
        incomplete,
    })
}

fn decode(details: &Details, at: u64) -> Result<Instruction, String> {
    let offset = (at - details.base as u64) as usize;
    let bytes = details.contents.get(offset..).unwrap_or_default();
    let mut decoder = Decoder::with_ip(64, bytes, at, DecoderOptions::NONE);
    let instruction = decoder.decode();
    if instruction.is_invalid() {
        return Err(format!("{}+{offset:#x} is no instruction", details.name));
    }
    Ok(instruction)
}

/// The targets of a table of 32-bit distances from itself, in read-only data, as LLVM makes for a switch.
fn jump_table(details: &Details, table: u64, extent: &Range<u64>) -> Vec<u64> {
    let Some(mut at) = table
        .checked_sub(details.base as u64)
        .and_then(|offset| usize::try_from(offset).ok())
    else {
        return Vec::new();
    };
    let mut targets = Vec::new();
    while details.is_read_only(at as u32)
        && let Some(bytes) = details.contents.get(at..at + 4)
        && let Ok(bytes) = bytes.try_into()
    {
        let target = table.wrapping_add_signed(i64::from(i32::from_le_bytes(bytes)));
        if !extent.contains(&target) {
            break;
        }
        targets.push(target);
        at += 4;
    }
    targets
}

/// The access an instruction makes to memory that is not its thread's own by the look of it: through the stack pointer, or to the
/// processor's control region.
fn access(details: &Details, instruction: Instruction, info: &InstructionInfo) -> Option<Access> {
    if instruction.flow_control() != FlowControl::Next {
        return None;
    }
    let shared = info.used_memory().iter().find(|memory| {
        let constant = instruction.is_ip_rel_memory_operand()
            && memory
                .displacement()
                .checked_sub(details.base as u64)
                .is_some_and(|offset| details.is_read_only(offset as u32));
        memory.access() != OpAccess::NoMemAccess
            && memory.base().full_register() != Register::RSP
            && !matches!(memory.segment(), Register::FS | Register::GS)
            && !constant
    })?;
    let both = matches!(
        shared.access(),
        OpAccess::ReadWrite | OpAccess::ReadCondWrite
    );
    // An exchange with memory locks without being told.
    let locked = instruction.has_lock_prefix() || instruction.mnemonic() == Mnemonic::Xchg;
    let size = shared.memory_size().size();
    Some(Access {
        instruction,
        operand: Operand::of(shared),
        halves: (both && !locked && matches!(size, 1 | 2 | 4 | 8)).then_some(size),
    })
}

/// A jump to an address, for the end of a detour.
pub(super) fn jump_to(address: u64) -> Result<Instruction, String> {
    Instruction::with_branch(Code::Jmp_rel32_64, address).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::super::image::Details;
    use super::super::super::symbols::Symbols;
    use super::*;

    /// Code at 0x1000, a table or a constant at 0x2000.
    fn image(code: &[u8], data: &[i32]) -> Details {
        let mut contents = vec![0xCC; 0x3000];
        contents[0x1000..0x1000 + code.len()].copy_from_slice(code);
        for (index, word) in data.iter().enumerate() {
            let at = 0x2000 + index * 4;
            contents[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        Details {
            name: "test".to_owned(),
            base: 0x10_0000,
            contents,
            exceptions: 0..0,
            symbols: Symbols::default(),
            code: std::iter::once(0x1000..0x2000).collect(),
            sections: Vec::new(),
            read_only: std::iter::once(0x2000..0x3000).collect(),
        }
    }

    fn found(code: &[u8], data: &[i32]) -> (Vec<u64>, Found) {
        let range = 0x1000..0x1000 + code.len() as u32;
        match of_function(&image(code, data), &range) {
            Ok(found) => {
                let at = found
                    .accesses
                    .iter()
                    .map(|a| a.instruction.ip() - 0x10_1000);
                (at.collect(), found)
            }
            Err(reason) => panic!("{reason}"),
        }
    }

    #[test]
    fn stack_constants_and_calls_are_no_accesses() {
        let (at, _) = found(
            &[
                0x48, 0x89, 0x4C, 0x24, 0x08, // 0: mov [rsp+8], rcx
                0x48, 0x8B, 0x05, 0xF4, 0x0F, 0x00, 0x00, // 5: mov rax, [rip+0xFF4] = 0x2000
                0xFF, 0x15, 0x00, 0x00, 0x00, 0x00, // 12: call [rip]
                0x48, 0x8D, 0x41, 0x10, // 18: lea rax, [rcx+16]
                0x65, 0x48, 0x8B, 0x04, 0x25, 0x88, 0x01, 0, 0, // 22: mov rax, gs:[188h]
                0x8B, 0x41, 0x10, // 31: mov eax, [rcx+16]
                0xC3, // 34: ret
            ],
            &[],
        );
        assert_eq!(at, [31]);
    }

    #[test]
    fn an_update_without_a_lock_has_two_halves() {
        let (at, found) = found(
            &[
                0xFF, 0x01, // 0: inc dword [rcx]
                0xF0, 0xFF, 0x01, // 2: lock inc dword [rcx]
                0x87, 0x01, // 5: xchg [rcx], eax
                0x89, 0x01, // 7: mov [rcx], eax
                0xC3,
            ],
            &[],
        );
        assert_eq!(at, [0, 2, 5, 7]);
        let halves: Vec<_> = found.accesses.iter().map(|access| access.halves).collect();
        assert_eq!(halves, [Some(4), None, None, None]);
    }

    #[test]
    fn only_what_can_be_reached_is_looked_at() {
        let (at, found) = found(
            &[
                0x75, 0x05, // 0: jne 7
                0xEB, 0x02, // 2: jmp 6
                0x8B, 0x01, // 4: never reached
                0xC3, // 6: ret
                0x8B, 0x01, // 7: mov eax, [rcx]
                0xC3,
            ],
            &[],
        );
        assert_eq!(at, [7]);
        assert!(!found.incomplete);
    }

    #[test]
    fn the_cases_of_a_switch_are_found_through_its_table() {
        let code = [
            0x48, 0x8D, 0x05, 0xF9, 0x0F, 0x00, 0x00, // 0: lea rax, [rip+0xFF9] = 0x2000
            0xFF, 0xE1, // 7: jmp rcx
            0x8B, 0x01, 0xC3, // 9: mov eax, [rcx]; ret
            0x8B, 0x02, 0xC3, // 12: mov eax, [rdx]; ret
        ];
        let (at, with_table) = found(&code, &[-0x1000 + 9, -0x1000 + 12, 0x7000]);
        assert_eq!(at, [9, 12]);
        assert!(!with_table.incomplete);
        let (at, without) = found(&code, &[0x7000]);
        assert!(at.is_empty() && without.incomplete);
    }

    #[test]
    fn an_operand_is_where_the_registers_say() {
        let (_, found) = found(&[0x8B, 0x44, 0xD1, 0xF8, 0xC3], &[]); // mov eax, [rcx+rdx*8-8]
        let mut general = [0; 16];
        (general[1], general[2]) = (0x5000, 3);
        assert_eq!(found.accesses[0].operand.address(&general), 0x5010);
    }
}
