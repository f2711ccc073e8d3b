//! What can be said of an image without running it.

use object::pe;
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader, PeFile64};
use object::{LittleEndian as LE, Object};

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

/// Whether the image binds to the framework.
pub(super) fn is_kmdf(imports: &[String]) -> bool {
    imports.iter().any(|import| {
        import.split_once('!').is_some_and(|(module, symbol)| {
            module.eq_ignore_ascii_case("wdfldr.sys") && symbol.starts_with("WdfVersionBind")
        })
    })
}
