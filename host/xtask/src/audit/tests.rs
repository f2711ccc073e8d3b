//! Every check is shown to fail on an image damaged in exactly that way.

use super::{headers, imports::Allowed, *};

const IMPORTS: &str = r#"
floor = 19041
["ntoskrnl.exe"]
DbgPrint = { build = 10240, irql = "DIRQL", images = ["small"] }
"#;

const PE: usize = 0x40;
const OPTIONAL: usize = PE + 24;
const SECTIONS: usize = OPTIONAL + 240;
const TEXT: usize = 0x400;
const RDATA: usize = 0x600;

/// A file under construction.
struct Bytes(Vec<u8>);

impl Bytes {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }
    fn u16(&mut self, at: usize, value: u16) {
        self.put(at, &value.to_le_bytes());
    }
    fn u32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }
    fn directory(&mut self, index: usize, rva: u32, size: u32) {
        self.u32(OPTIONAL + 112 + index * 8, rva);
        self.u32(OPTIONAL + 116 + index * 8, size);
    }
    fn section(&mut self, index: usize, name: &[u8], flags: u32) {
        let at = SECTIONS + index * 40;
        let number = u32::try_from(index).expect("few sections");
        self.put(at, name);
        self.u32(at + 8, 0x200);
        self.u32(at + 12, 0x1000 * (number + 1));
        self.u32(at + 16, 0x200);
        self.u32(at + 20, 0x400 + 0x200 * number);
        self.u32(at + 36, flags);
    }
    /// States the right checksum, so that a test sees only the damage it did.
    fn seal(mut self) -> Vec<u8> {
        let sum = headers::compute_checksum(&self.0, OPTIONAL + 64);
        self.u32(OPTIONAL + 64, sum);
        self.0
    }
}

/// The smallest image that passes: one function that returns, one import.
fn small() -> Bytes {
    let mut b = Bytes(vec![0; 0xc00]);
    b.put(0, b"MZ");
    b.u32(0x3c, 0x40);
    b.put(PE, b"PE\0\0");
    b.u16(PE + 4, 0x8664);
    b.u16(PE + 6, 4); // sections
    b.u16(PE + 20, 240);
    b.u16(PE + 22, 0x22);
    b.u16(OPTIONAL, 0x20b);
    b.u32(OPTIONAL + 16, 0x1000); // entry
    b.put(OPTIONAL + 24, &0x1_4000_0000_u64.to_le_bytes());
    b.u32(OPTIONAL + 32, 0x1000);
    b.u32(OPTIONAL + 36, 0x200);
    b.u16(OPTIONAL + 48, 10);
    b.u32(OPTIONAL + 56, 0x5000);
    b.u32(OPTIONAL + 60, 0x400);
    b.u16(OPTIONAL + 68, 1);
    b.u16(OPTIONAL + 70, 0x20 | 0x40 | 0x80 | 0x100);
    b.u32(OPTIONAL + 108, 16);
    b.directory(1, 0x2000, 40);
    b.directory(3, 0x3000, 12);
    b.directory(5, 0x4000, 8);
    b.section(0, b".text", 0x6000_0020);
    b.section(1, b".rdata", 0x4000_0040);
    b.section(2, b".pdata", 0x4000_0040);
    b.section(3, b".reloc", 0x4200_0040);
    b.put(TEXT, &[0xcc; 0x200]);
    b.put(TEXT, &[0xc3]);
    // Import descriptor, its lookup table, its module's and function's names.
    b.u32(RDATA, 0x2080);
    b.u32(RDATA + 12, 0x20c0);
    b.u32(RDATA + 16, 0x2080);
    b.u32(RDATA + 0x80, 0x20e0);
    b.put(RDATA + 0xc0, b"ntoskrnl.exe\0");
    b.put(RDATA + 0xe2, b"DbgPrint\0");
    b.put(0x800, &[0x00, 0x10, 0, 0, 0x01, 0x10, 0, 0, 0, 0x20, 0, 0]);
    b.put(0xa00, &[0x00, 0x20, 0, 0, 8, 0, 0, 0]);
    b
}

/// The checks that fail on these bytes, by name, with what they say.
fn failures(bytes: &[u8], list: &str) -> Vec<(&'static str, String)> {
    let allowed = Allowed::parse(list).expect("the list");
    let all = findings("small", bytes, &allowed, &Project::here()).expect("an image");
    let failed = all
        .into_iter()
        .filter_map(|f| Some((f.check, f.result.err()?.join("; "))));
    failed.collect()
}

/// Damages a good image and expects exactly one check to fail, saying `text`.
fn damage(check: &str, text: &str, how: impl FnOnce(&mut Bytes)) {
    let mut image = small();
    how(&mut image);
    let failed = failures(&image.seal(), IMPORTS);
    assert!(
        matches!(failed.as_slice(), [(name, said)] if *name == check && said.contains(text)),
        "{failed:?}"
    );
}

/// x87 code in an ARM64 image is no x87 code: those bytes mean something else there.
#[test]
fn an_arm64_image_is_audited_without_the_checks_that_are_about_x86() {
    let mut image = small();
    image.u16(PE + 4, 0xaa64);
    image.put(TEXT, &[0xd9, 0xc0, 0xc3]);
    assert_eq!(failures(&image.seal(), IMPORTS), []);
}

#[test]
fn a_good_image_passes_every_check() {
    assert_eq!(failures(&small().seal(), IMPORTS), []);
}

#[test]
fn an_image_for_another_machine_is_refused() {
    damage("machine", "0x01c4, neither", |b| b.u16(PE + 4, 0x01c4));
}

#[test]
fn a_console_program_is_refused() {
    damage("subsystem", "not native", |b| b.u16(OPTIONAL + 68, 3));
}

#[test]
fn each_missing_characteristic_is_named() {
    for (bit, name) in [
        (0x100, "NX_COMPAT"),
        (0x40, "DYNAMIC_BASE"),
        (0x20, "HIGH_ENTROPY"),
        (0x80, "FORCE_INTEGRITY"),
    ] {
        damage("characteristics", name, |b| {
            b.u16(OPTIONAL + 70, 0x1e0 & !bit)
        });
    }
}

#[test]
fn control_flow_guard_without_a_table_is_refused() {
    damage("characteristics", "GUARD_CF", |b| {
        b.u16(OPTIONAL + 70, 0x41e0)
    });
}

#[test]
fn an_entry_point_in_data_is_refused() {
    damage("entry point", "0x2000", |b| b.u32(OPTIONAL + 16, 0x2000));
}

#[test]
fn a_changed_byte_breaks_the_checksum() {
    let mut bytes = small().seal();
    bytes[0xbff] = 1;
    let failed = failures(&bytes, IMPORTS);
    assert!(matches!(failed.as_slice(), [("checksum", _)]), "{failed:?}");
}

#[test]
fn a_writable_executable_section_is_refused() {
    damage("sections", ".text is writable and executable", |b| {
        b.u32(SECTIONS + 36, 0xe000_0020)
    });
}

#[test]
fn discardable_and_paged_code_are_refused() {
    damage("sections", "INIT", |b| b.put(SECTIONS, b"INIT\0"));
    damage("sections", "PAGE", |b| b.put(SECTIONS, b"PAGE\0"));
    damage("sections", "discardable", |b| {
        b.u32(SECTIONS + 36, 0x6200_0020)
    });
}

#[test]
fn sections_that_share_a_page_are_refused() {
    damage("sections", "4 KiB", |b| b.u32(OPTIONAL + 32, 0x200));
}

#[test]
fn an_image_without_unwind_information_or_relocations_is_refused() {
    damage("directories", ".pdata", |b| b.directory(3, 0, 0));
    damage("directories", ".reloc", |b| b.directory(5, 0, 0));
}

#[test]
fn an_import_that_is_not_listed_is_refused() {
    let failed = failures(&small().seal(), "floor = 19041\n");
    assert!(
        matches!(failed.as_slice(), [("imports", said)] if said.contains("ntoskrnl.exe!DbgPrint")),
        "{failed:?}"
    );
}

#[test]
fn a_listed_import_that_the_image_does_not_have_is_refused() {
    let list = format!(
        "{IMPORTS}ZwClose = {{ build = 10240, irql = \"PASSIVE_LEVEL\", images = [\"small\"] }}\n"
    );
    let failed = failures(&small().seal(), &list);
    assert!(
        matches!(failed.as_slice(), [("imports", said)] if said.contains("ZwClose")),
        "{failed:?}"
    );
}

#[test]
fn an_import_newer_than_the_floor_is_refused() {
    let failed = failures(&small().seal(), &IMPORTS.replace("10240", "22000"));
    assert!(
        matches!(failed.as_slice(), [("imports", said)] if said.contains("22000")),
        "{failed:?}"
    );
}

#[test]
fn an_import_listed_for_another_image_only_is_refused() {
    let list = format!(
        "{}memcpy = {{ build = 10240, irql = \"HIGH_LEVEL\", images = [\"small\"] }}\n",
        IMPORTS.replace("small", "other")
    );
    let failed = failures(&small().seal(), &list);
    assert!(
        matches!(failed.as_slice(), [("imports", said)] if said.contains("not for small")),
        "{failed:?}"
    );
}

#[test]
fn a_list_with_an_unknown_irql_is_refused() {
    assert!(Allowed::parse(&IMPORTS.replace("DIRQL", "LOW_LEVEL")).is_err());
}

#[test]
fn floating_point_and_wide_vector_instructions_are_refused() {
    let cases: [(&str, &[u8]); 4] = [
        ("x87", &[0xd9, 0xe8, 0xc3]),                          // fld1
        ("MMX", &[0x0f, 0x6f, 0xc1, 0xc3]),                    // movq mm0, mm1
        ("VEX", &[0xc5, 0xf8, 0x28, 0xc1, 0xc3]),              // vmovaps xmm0, xmm1
        ("EVEX", &[0x62, 0xf1, 0x7c, 0x48, 0x28, 0xc1, 0xc3]), // vmovaps zmm0, zmm1
    ];
    for (what, code) in cases {
        damage("instructions", what, |b| b.put(TEXT, code));
    }
}

#[test]
fn sse_moves_are_normal() {
    let mut image = small();
    image.put(TEXT, &[0x0f, 0x28, 0xc1, 0xc3]); // movaps xmm0, xmm1
    assert_eq!(failures(&image.seal(), IMPORTS), []);
}

#[test]
fn a_path_of_the_building_machine_is_found_narrow_and_wide() {
    damage("build paths", "/home/me/x.rs", |b| {
        b.put(0x7c0, b"/home/me/x.rs\0")
    });
    let wide: Vec<u8> = "/root/x"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    damage("build paths", "/root/x", |b| b.put(0x7c0, &wide));
}

#[test]
fn a_truncated_image_is_an_error_that_says_what_to_do() {
    let allowed = Allowed::parse(IMPORTS).expect("the list");
    let bytes = small().seal();
    for cut in [0, 1, 0x41, 0x100] {
        let error =
            findings("small", &bytes[..cut], &allowed, &Project::here()).expect_err("truncated");
        assert!(
            format!("{error:#}").contains("cargo xtask build"),
            "{error:#}"
        );
    }
}
