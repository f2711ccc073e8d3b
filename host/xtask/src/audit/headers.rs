//! Checks on the headers, the checksum and the sections.

use object::{
    LittleEndian as LE,
    pe::{self, ImageSectionHeader},
    read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile64},
};

use super::Finding;
use crate::arch::Arch;

/// Every check that needs no more than headers and section contents.
pub fn check(pe: &PeFile64<'_>, bytes: &[u8]) -> Vec<Finding> {
    vec![
        machine(pe),
        subsystem(pe),
        characteristics(pe),
        entry_point(pe),
        checksum(pe, bytes),
        sections(pe),
        directories(pe),
    ]
}

/// The architecture in the file header, if it is one of ours.
pub fn arch(pe: &PeFile64<'_>) -> Option<Arch> {
    match pe.nt_headers().file_header().machine.get(LE) {
        pe::IMAGE_FILE_MACHINE_AMD64 => Some(Arch::Amd64),
        pe::IMAGE_FILE_MACHINE_ARM64 => Some(Arch::Arm64),
        _ => None,
    }
}

fn machine(pe: &PeFile64<'_>) -> Finding {
    let machine = pe.nt_headers().file_header().machine.get(LE);
    let arch = arch(pe);
    let bad = arch
        .is_none()
        .then(|| format!("{machine:#06x}, neither x86_64 (0x8664) nor ARM64 (0xaa64)"));
    let good = arch.map_or_else(String::new, |a| a.to_string());
    Finding::new("machine", bad.into_iter().collect(), good)
}

fn subsystem(pe: &PeFile64<'_>) -> Finding {
    let header = pe.nt_headers().optional_header();
    let version = (
        header.major_subsystem_version(),
        header.minor_subsystem_version(),
    );
    let mut bad = Vec::new();
    if header.subsystem() != pe::IMAGE_SUBSYSTEM_NATIVE {
        bad.push(format!("{}, not native (1)", header.subsystem()));
    }
    if version != (10, 0) {
        bad.push(format!("version {}.{:02}, not 10.00", version.0, version.1));
    }
    Finding::new("subsystem", bad, "native 10.00")
}

fn characteristics(pe: &PeFile64<'_>) -> Finding {
    let has = pe.nt_headers().optional_header().dll_characteristics();
    let wanted = [
        (pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT, "NX_COMPAT"),
        (pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE, "DYNAMIC_BASE"),
        (
            pe::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA,
            "HIGH_ENTROPY_VA",
        ),
        (
            pe::IMAGE_DLLCHARACTERISTICS_FORCE_INTEGRITY,
            "FORCE_INTEGRITY",
        ),
    ];
    let missing = wanted.iter().filter(|(bit, _)| has.0 & bit.0 == 0);
    let mut bad: Vec<String> = missing
        .map(|(_, name)| format!("{name} is not set"))
        .collect();
    let guarded = has.0 & pe::IMAGE_DLLCHARACTERISTICS_GUARD_CF.0 != 0;
    if guarded && !has_guard_table(pe) {
        bad.push("GUARD_CF is set, but no load configuration has a table of functions".into());
    }
    Finding::new(
        "characteristics",
        bad,
        "NX, ASLR, high entropy, force integrity",
    )
}

/// Whether the load configuration names control-flow-guard functions.
fn has_guard_table(pe: &PeFile64<'_>) -> bool {
    const GUARD_CF_FUNCTION_COUNT: usize = 0x88;
    let directory = pe.data_directory(pe::IMAGE_DIRECTORY_ENTRY_LOAD_CONFIG);
    let data = directory.and_then(|d| d.data(pe.data(), &pe.section_table()).ok());
    let count = data.and_then(|d| {
        d.get(GUARD_CF_FUNCTION_COUNT..)?
            .first_chunk::<8>()
            .copied()
    });
    count.is_some_and(|c| u64::from_le_bytes(c) != 0)
}

fn entry_point(pe: &PeFile64<'_>) -> Finding {
    let entry = pe.nt_headers().optional_header().address_of_entry_point();
    let inside = pe.section_table().iter().find(|s| {
        let start = s.virtual_address.get(LE);
        (start..start.saturating_add(s.virtual_size.get(LE))).contains(&entry)
    });
    let executable =
        inside.is_some_and(|s| s.characteristics.get(LE).0 & pe::IMAGE_SCN_MEM_EXECUTE.0 != 0);
    let bad = (!executable).then(|| format!("{entry:#x} is not in an executable section"));
    Finding::new(
        "entry point",
        bad.into_iter().collect(),
        format!("{entry:#x}"),
    )
}

fn checksum(pe: &PeFile64<'_>, bytes: &[u8]) -> Finding {
    let stated = pe.nt_headers().optional_header().check_sum();
    let computed = compute_checksum(bytes, checksum_offset(pe));
    let bad =
        (stated != computed).then(|| format!("{stated:#x} is stated, {computed:#x} computed"));
    Finding::new(
        "checksum",
        bad.into_iter().collect(),
        format!("{stated:#x}"),
    )
}

/// Where the CheckSum field lies in the file.
pub fn checksum_offset(pe: &PeFile64<'_>) -> usize {
    const SIGNATURE_AND_FILE_HEADER: usize = 24;
    const CHECKSUM_IN_OPTIONAL_HEADER: usize = 64;
    pe.dos_header().nt_headers_offset() as usize
        + SIGNATURE_AND_FILE_HEADER
        + CHECKSUM_IN_OPTIONAL_HEADER
}

/// The one's complement sum of all 16-bit words but the field itself, plus the length.
pub fn compute_checksum(bytes: &[u8], field: usize) -> u32 {
    let mut sum: u64 = 0;
    for (index, word) in bytes.chunks(2).enumerate() {
        let at = index * 2;
        if at == field || at == field + 2 {
            continue;
        }
        let low = word.first().copied().unwrap_or(0);
        let high = word.get(1).copied().unwrap_or(0);
        sum += u64::from(u16::from_le_bytes([low, high]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u32::try_from(sum)
        .unwrap_or(0)
        .wrapping_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX))
}

fn sections(pe: &PeFile64<'_>) -> Finding {
    const PAGE: u32 = 0x1000;
    let mut bad = Vec::new();
    let alignment = pe.nt_headers().optional_header().section_alignment();
    if alignment != PAGE {
        bad.push(format!("aligned to {alignment:#x}, not to 4 KiB"));
    }
    let table = pe.section_table();
    for section in table.iter() {
        let name = name(section);
        let flags = section.characteristics.get(LE);
        let is = |bit: pe::SectionFlags| flags.0 & bit.0 != 0;
        if !section.virtual_address.get(LE).is_multiple_of(PAGE) {
            bad.push(format!("{name} does not start on a page"));
        }
        if is(pe::IMAGE_SCN_MEM_WRITE) && is(pe::IMAGE_SCN_MEM_EXECUTE) {
            bad.push(format!("{name} is writable and executable"));
        }
        if name == "INIT" || name.starts_with("PAGE") {
            bad.push(format!(
                "{name}: discardable and paged code are not used here"
            ));
        } else if is(pe::IMAGE_SCN_MEM_DISCARDABLE) && name != ".reloc" {
            bad.push(format!("{name} is discardable"));
        }
    }
    let names: Vec<String> = table.iter().map(name).collect();
    Finding::new("sections", bad, names.join(" "))
}

fn name(section: &ImageSectionHeader) -> String {
    String::from_utf8_lossy(section.raw_name()).into_owned()
}

fn directories(pe: &PeFile64<'_>) -> Finding {
    let wanted = [
        (
            pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION,
            "no unwind information (.pdata)",
        ),
        (
            pe::IMAGE_DIRECTORY_ENTRY_BASERELOC,
            "no base relocations (.reloc)",
        ),
    ];
    let missing = wanted.iter().filter(|(index, _)| {
        let data = pe
            .data_directory(*index)
            .and_then(|d| d.data(pe.data(), &pe.section_table()).ok());
        data.is_none_or(<[u8]>::is_empty)
    });
    Finding::new(
        "directories",
        missing.map(|(_, m)| (*m).into()).collect(),
        ".pdata .reloc",
    )
}
