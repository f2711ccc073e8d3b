//! Exported variables, and the functions a driver compares nothing with but expects to be there.

use crate::nt::abi::write_out;
use crate::nt::memory;
use crate::nt::pool::{self, Tag};
use crate::nt::process;

/// The build this kernel says it is: Windows 10 2004.
pub(super) const BUILD: u16 = 19041;

/// Names and addresses of variables, in driver memory.
pub(super) fn table() -> Vec<(&'static str, usize)> {
    let values: [(&str, u64); 14] = [
        ("MmUserProbeAddress", memory::USER_END as u64),
        ("MmHighestUserAddress", memory::USER_END as u64 - 1),
        ("MmSystemRangeStart", memory::USER_END as u64),
        ("MmSectionObjectType", object_type()),
        ("IoFileObjectType", object_type()),
        ("IoDeviceObjectType", object_type()),
        ("IoDriverObjectType", object_type()),
        ("PsThreadType", object_type()),
        ("PsProcessType", object_type()),
        ("ExEventObjectType", object_type()),
        ("ExSemaphoreObjectType", object_type()),
        ("PsInitialSystemProcess", process::system() as u64),
        ("NtBuildNumber", u64::from(BUILD) | 0xf000_0000),
        // The high byte of two flags: no debugger is there.
        ("KdDebuggerEnabled", 0),
    ];
    let mut table: Vec<(&'static str, usize)> = values
        .into_iter()
        .map(|(name, value)| (name, variable(value)))
        .collect();
    table.push(("KdDebuggerNotPresent", variable(1)));
    table.push(("InitSafeBootMode", variable(0)));
    table
}

fn variable(value: u64) -> usize {
    let block = pool::allocate_internal(8, Tag::new(b"Vari"));
    write_out(block.cast::<u64>(), value);
    block as usize
}

/// An OBJECT_TYPE: opaque, only compared.
fn object_type() -> u64 {
    pool::allocate_internal(16, Tag::new(b"ObjT")) as u64
}
