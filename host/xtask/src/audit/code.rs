//! Decodes every instruction: a driver must not touch the x87, MMX or wide vector state, which nobody saves for it.

use anyhow::{Context, Result};
use iced_x86::{
    CpuidFeature, Decoder, DecoderOptions, EncodingKind, Instruction, InstructionInfoFactory,
};
use object::{
    LittleEndian as LE, pe,
    read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile64},
};

use super::Finding;

/// As many as help to find the cause.
const SHOWN: usize = 5;

/// Checks all executable sections.
pub fn check(pe: &PeFile64<'_>) -> Result<Finding> {
    let starts = function_starts(pe)?;
    let base = pe.nt_headers().optional_header().image_base();
    let mut info = InstructionInfoFactory::new();
    let (mut count, mut bad) = (0_usize, Vec::new());
    for section in pe.section_table().iter() {
        if section.characteristics.get(LE).0 & pe::IMAGE_SCN_MEM_EXECUTE.0 == 0 {
            continue;
        }
        let data = section.pe_data(pe.data()).context("section data")?;
        let start = section.virtual_address.get(LE);
        let size = data.len().min(section.virtual_size.get(LE) as usize);
        let code = data.get(..size).context("section data")?;
        let mut decoder = Decoder::with_ip(64, code, base + u64::from(start), DecoderOptions::NONE);
        while decoder.can_decode() {
            let instruction = decoder.decode();
            count += 1;
            let rva = u32::try_from(instruction.ip() - base).unwrap_or(u32::MAX);
            // Between functions lies padding; a function always starts in step.
            if let Some(next) = starts
                .iter()
                .find(|s| **s > rva && u64::from(**s) < decoder.ip() - base)
            {
                decoder.set_position((next - start) as usize)?;
                decoder.set_ip(base + u64::from(*next));
                continue;
            }
            if let Some(what) = forbidden(&instruction, &mut info) {
                bad.push(format!("{what} at {rva:#x}"));
            }
        }
    }
    let more = bad.len().saturating_sub(SHOWN);
    bad.truncate(SHOWN);
    if more > 0 {
        bad.push(format!("and {more} more"));
    }
    Ok(Finding::new(
        "instructions",
        bad,
        format!("{count} decoded: no x87, MMX, VEX, EVEX"),
    ))
}

fn forbidden(instruction: &Instruction, info: &mut InstructionInfoFactory) -> Option<&'static str> {
    if instruction.is_invalid() {
        return Some("bytes that are no instruction");
    }
    match instruction.encoding() {
        EncodingKind::Legacy => {}
        EncodingKind::VEX => return Some("VEX instruction"),
        EncodingKind::EVEX => return Some("EVEX instruction"),
        _ => return Some("vendor vector instruction"),
    }
    let features = instruction.cpuid_features();
    let has = |f: CpuidFeature| features.contains(&f);
    if has(CpuidFeature::FPU) || has(CpuidFeature::FPU287) || has(CpuidFeature::FPU387) {
        return Some("x87 instruction");
    }
    let mut registers = info.info(instruction).used_registers().iter();
    (has(CpuidFeature::MMX) || registers.any(|r| r.register().is_mm())).then_some("MMX instruction")
}

/// The first byte of every function that has unwind information, ascending.
fn function_starts(pe: &PeFile64<'_>) -> Result<Vec<u32>> {
    let Some(directory) = pe.data_directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION) else {
        return Ok(Vec::new());
    };
    let data = directory
        .data(pe.data(), &pe.section_table())
        .unwrap_or_default();
    let begin = |entry: &[u8]| entry.first_chunk::<4>().map(|b| u32::from_le_bytes(*b));
    let mut starts: Vec<u32> = data.chunks_exact(12).filter_map(begin).collect();
    starts.sort_unstable();
    Ok(starts)
}
