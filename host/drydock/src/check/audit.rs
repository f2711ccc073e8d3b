//! What can be said of an image without running it.

use object::pe;
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile64};
use object::{LittleEndian as LE, Object, ObjectSection};
use std::collections::BTreeSet;

/// Functions that are documented as deprecated or unsafe, with what to use.
const DEPRECATED: &[(&str, &str)] = &[
    (
        "ExAllocatePool",
        "ExAllocatePool2 (a tag is needed to find leaks)",
    ),
    (
        "ExAllocatePoolWithTag",
        "ExAllocatePool2 or ExAllocatePoolZero (the memory is not zeroed)",
    ),
    (
        "ExAllocatePoolWithQuotaTag",
        "ExAllocatePool2 with POOL_FLAG_USE_QUOTA",
    ),
    ("ExFreePool", "ExFreePoolWithTag"),
    ("IoAttachDevice", "IoAttachDeviceToDeviceStack"),
    ("strcpy", "RtlStringCbCopy"),
    ("sprintf", "RtlStringCbPrintf"),
    ("_vsnprintf", "RtlStringCbVPrintf"),
];

/// Remarks about the file: not one of them is a violation.
pub(super) fn remarks(file: &[u8], imports: &[String], missing: &[String]) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Ok(parsed) = PeFile64::parse(file) {
        let nt = parsed.nt_headers();
        let optional = nt.optional_header();
        let bits = optional.dll_characteristics();
        for (bit, lacks) in [
            (
                pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
                "is not marked NX compatible",
            ),
            (
                pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE,
                "is not marked relocatable (DYNAMIC_BASE)",
            ),
            (
                pe::IMAGE_DLLCHARACTERISTICS_GUARD_CF,
                "has no control flow guard (/guard:cf)",
            ),
        ] {
            if !bits.contains(bit) {
                remarks.push(format!("the image {lacks}"));
            }
        }
        for section in parsed.section_table().iter() {
            let flags = section.characteristics.get(LE);
            let name = String::from_utf8_lossy(section.raw_name()).into_owned();
            let name = name.trim_end_matches('\0');
            if flags.contains(pe::IMAGE_SCN_MEM_WRITE) && flags.contains(pe::IMAGE_SCN_MEM_EXECUTE)
            {
                remarks.push(format!("section {name} is writable and executable"));
            }
        }
        if let Ok(Some(info)) = parsed.pdb_info() {
            let path = String::from_utf8_lossy(info.path()).into_owned();
            if path.contains(['\\', '/']) {
                remarks.push(format!(
                    "the image names a file of the machine it was built on: {path}"
                ));
            }
        }
    }
    for import in imports {
        let symbol = import.rsplit('!').next().unwrap_or(import);
        if let Some((_, instead)) = DEPRECATED.iter().find(|(name, _)| *name == symbol) {
            remarks.push(format!("{import} is deprecated: {instead}"));
        }
    }
    for import in missing {
        remarks.push(format!(
            "imports {import}, which drydock does not have: a call ends the phase"
        ));
    }
    remarks
}

/// Numbers in the code that could be control codes: what a comparison, a subtraction or a move names, with a device type and a
/// function that codes have. Most are none; they are where the search for codes begins.
pub(super) fn control_codes(file: &[u8]) -> Vec<u32> {
    let mut codes = BTreeSet::new();
    let Ok(parsed) = PeFile64::parse(file) else {
        return Vec::new();
    };
    for section in parsed.sections() {
        let executable = section.kind() == object::SectionKind::Text;
        let Some(data) = section.data().ok().filter(|_| executable) else {
            continue;
        };
        for window in data.windows(6) {
            let [first, second, ..] = *window else {
                continue;
            };
            let number = |at: usize| {
                let bytes = window.get(at..at + 4)?;
                Some(u32::from_le_bytes(bytes.try_into().ok()?))
            };
            let found = match (first, second) {
                // cmp eax / sub eax / mov r32, number
                (0x3d | 0x2d | 0xb8..=0xbf, _) => number(1),
                // add eax, minus the number
                (0x05, _) => number(1).map(u32::wrapping_neg),
                // cmp or sub of another register
                (0x81, 0xe8..=0xef | 0xf8..=0xff) => number(2),
                // add or lea, minus the number
                (0x81, 0xc0..=0xc7) | (0x8d, 0x80..=0xbf) => number(2).map(u32::wrapping_neg),
                _ => None,
            };
            codes.extend(found.filter(|code| is_plausible(*code)));
        }
    }
    codes.into_iter().take(512).collect()
}

fn is_plausible(code: u32) -> bool {
    let kind = code >> 16;
    (0x1..0x60).contains(&kind) || (0x8000..0xffff).contains(&kind)
}

/// Whether the image binds to the framework.
pub(super) fn is_kmdf(imports: &[String]) -> bool {
    imports.iter().any(|import| {
        import.split_once('!').is_some_and(|(module, symbol)| {
            module.eq_ignore_ascii_case("wdfldr.sys") && symbol.starts_with("WdfVersionBind")
        })
    })
}
