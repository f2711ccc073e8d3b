//! GUIDs, as `{8-4-4-4-12}` fields.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Layout of the Windows `GUID` structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Guid {
    /// First group.
    pub data1: u32,
    /// Second group.
    pub data2: u16,
    /// Third group.
    pub data3: u16,
    /// Fourth and fifth group.
    pub data4: [u8; 8],
}
const _: () = assert!(size_of::<Guid>() == 16);

/// Device interface of pier: `{9065a56c-841a-492d-93a6-993f24911b36}`.
pub const PIER_INTERFACE: Guid = Guid {
    data1: 0x9065_a56c,
    data2: 0x841a,
    data3: 0x492d,
    data4: [0x93, 0xa6, 0x99, 0x3f, 0x24, 0x91, 0x1b, 0x36],
};
/// Setup class of pier's device: System `{4d36e97d-e325-11ce-bfc1-08002be10318}`.
pub const CLASS_SYSTEM: Guid = Guid {
    data1: 0x4d36_e97d,
    data2: 0xe325,
    data3: 0x11ce,
    data4: [0xbf, 0xc1, 0x08, 0x00, 0x2b, 0xe1, 0x03, 0x18],
};
