//! The KMDF version an image asks for, read from its `WDF_BIND_INFO`.
//!
//! The structure (48 bytes, x64 and ARM64): Size at 0, address of `L"KmdfLibrary"` at 8, Major at 16,
//! Minor at 20. It is found by what it says, because no symbol or directory of the image leads to it.

use object::LittleEndian as LE;
use object::read::pe::{ImageNtHeaders, PeFile64};
use object::{Object, ObjectSection};

const SIZE: usize = 48;

/// Major and minor KMDF version of the 64-bit image `bytes`; `None` if it is no KMDF image.
pub fn kmdf_version(bytes: &[u8]) -> Option<(u32, u32)> {
    let image = PeFile64::parse(bytes).ok()?;
    let base = image.nt_headers().optional_header().image_base.get(LE);
    let component: Vec<u8> = "KmdfLibrary\0"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let holds_component = |address: u64| {
        address > base
            && image.sections().any(|section| {
                let at = address
                    .checked_sub(section.address())
                    .and_then(|at| usize::try_from(at).ok());
                let data = section.data().unwrap_or_default();
                at.and_then(|at| data.get(at..))
                    .is_some_and(|data| data.starts_with(&component))
            })
    };
    for section in image.sections() {
        let data = section.data().unwrap_or_default();
        for at in (0..data.len().saturating_sub(SIZE - 1)).step_by(8) {
            let info = &data[at..at + SIZE];
            let word =
                |offset: usize| u32::from_le_bytes(std::array::from_fn(|i| info[offset + i]));
            let pointer = u64::from_le_bytes(std::array::from_fn(|i| info[8 + i]));
            if word(0) == 48 && holds_component(pointer) {
                return Some((word(16), word(20)));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0x1_4000_0000;
    const DATA: usize = 0x200;

    fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
        file[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// A 64-bit PE with one section at RVA 0x1000 that holds a bind info for KMDF 1.`minor`.
    fn image(component: &str, minor: u32) -> Vec<u8> {
        let mut file = vec![0; 0x400];
        put(&mut file, 0, b"MZ");
        put(&mut file, 0x3C, &0x40u32.to_le_bytes());
        put(&mut file, 0x40, b"PE\0\0");
        put(&mut file, 0x44, &0x8664u16.to_le_bytes()); // Machine
        put(&mut file, 0x46, &1u16.to_le_bytes()); // NumberOfSections
        put(&mut file, 0x54, &240u16.to_le_bytes()); // SizeOfOptionalHeader
        put(&mut file, 0x58, &0x20Bu16.to_le_bytes()); // PE32+
        put(&mut file, 0x70, &BASE.to_le_bytes()); // ImageBase
        put(&mut file, 0x94, &0x200u32.to_le_bytes()); // SizeOfHeaders
        put(&mut file, 0xC4, &16u32.to_le_bytes()); // NumberOfRvaAndSizes
        let section = 0x58 + 240;
        put(&mut file, section, b".data\0\0\0");
        put(&mut file, section + 8, &0x200u32.to_le_bytes()); // VirtualSize
        put(&mut file, section + 12, &0x1000u32.to_le_bytes()); // VirtualAddress
        put(&mut file, section + 16, &0x200u32.to_le_bytes()); // SizeOfRawData
        put(&mut file, section + 20, &(DATA as u32).to_le_bytes()); // PointerToRawData
        let name: Vec<u8> = component
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        put(&mut file, DATA + 0x80, &name);
        put(&mut file, DATA + 0x10, &48u32.to_le_bytes());
        put(&mut file, DATA + 0x18, &(BASE + 0x1080).to_le_bytes());
        put(&mut file, DATA + 0x20, &1u32.to_le_bytes());
        put(&mut file, DATA + 0x24, &minor.to_le_bytes());
        file
    }

    /// abi-facts, WDF_BIND_INFO: component name at 8, major and minor at 16 and 20.
    #[test]
    fn the_version_an_image_asks_for_is_read_from_its_bind_info() {
        assert_eq!(kmdf_version(&image("KmdfLibrary\0", 31)), Some((1, 31)));
    }

    /// A UMDF image, a text file and half an image have no KMDF version; none of them is an error.
    #[test]
    fn what_is_no_kmdf_image_has_no_version() {
        assert_eq!(kmdf_version(&image("UmdfLibrary\0", 31)), None);
        assert_eq!(kmdf_version(b"[Version]"), None);
        assert_eq!(kmdf_version(&image("KmdfLibrary\0", 31)[..0x300]), None);
    }
}
