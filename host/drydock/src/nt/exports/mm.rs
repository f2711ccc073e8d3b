//! Mm: MDLs, addresses, contiguous memory.

use super::{exports, raise};
use crate::loader;
use crate::nt::abi::{Mdl, UnicodeString, text_at};
use crate::nt::pool::{self, PAGE_SIZE, PoolKind, Tag};
use crate::nt::{mdl, memory};

const CONTIGUOUS: Tag = Tag::new(b"MmCm");

exports! {
    DISPATCH fn MmBuildMdlForNonPagedPool(mdl: *mut Mdl) {
        mdl::build_for_nonpaged(mdl);
    }
    DISPATCH fn MmInitializeMdl(mdl: *mut Mdl, address: *mut u8, length: u64) {
        mdl::initialize(mdl, address, length as u32);
    }
    DISPATCH fn MmProbeAndLockPages(mdl: *mut Mdl, mode: i8, operation: u32) {
        if let Err(status) = mdl::probe_and_lock(mdl, mode != 0, operation != 0) {
            raise::raise("MmProbeAndLockPages", status);
        }
    }
    DISPATCH fn MmUnlockPages(mdl: *mut Mdl) {
        mdl::unlock(mdl);
    }
    DISPATCH fn MmMapLockedPagesSpecifyCache(mdl: *mut Mdl, mode: i8, _cache: u32, _address: *mut u8, _bug_check: u32, _priority: u32) -> *mut u8 {
        if mode != 0 {
            crate::verify::unimplemented("MmMapLockedPagesSpecifyCache for user mode");
        }
        mdl::system_address(mdl)
    }
    DISPATCH fn MmMapLockedPages(mdl: *mut Mdl, mode: i8) -> *mut u8 {
        if mode != 0 {
            crate::verify::unimplemented("MmMapLockedPages for user mode");
        }
        mdl::system_address(mdl)
    }
    DISPATCH fn MmUnmapLockedPages(_address: *mut u8, mdl: *mut Mdl) {
        mdl::unmap(mdl);
    }
    DISPATCH fn MmProtectMdlSystemAddress(_mdl: *mut Mdl, _protection: u32) -> i32 {
        0
    }
    ANY fn MmSizeOfMdl(address: *mut u8, length: u64) -> u64 {
        mdl::size_of_mdl(address, length as usize) as u64
    }
    DISPATCH fn MmAllocateContiguousMemory(size: u64, _highest: u64) -> *mut u8 {
        pool::allocate(PoolKind::NonPaged, (size as usize).max(PAGE_SIZE), CONTIGUOUS, false)
    }
    DISPATCH fn MmFreeContiguousMemory(address: *mut u8) {
        pool::free(address, Some(CONTIGUOUS));
    }
    PASSIVE fn MmGetSystemRoutineAddress(name: *mut UnicodeString) -> usize {
        let name = text_at(name);
        match super::lookup("ntoskrnl.exe", &name) {
            Some(address) => loader::thunk(&format!("ntoskrnl.exe!{name}"), address),
            None => 0,
        }
    }
    ANY fn MmIsAddressValid(address: *const u8) -> u8 {
        (!address.is_null()).into()
    }
    ANY fn MmIsDriverVerifying(_driver: *mut u8) -> u32 {
        0
    }
    ANY fn MmIsVerifierEnabled(flags: *mut u32) -> i32 {
        crate::nt::abi::write_out(flags, 0);
        0
    }
    ANY fn MmIsNonPagedSystemAddressValid(address: *const u8) -> u8 {
        (!memory::is_user_address(address)).into()
    }
    APC fn MmLockPagableDataSection(address: *mut u8) -> *mut u8 {
        address
    }
    APC fn MmUnlockPagableImageSection(_section: *mut u8) {}
    APC fn MmPageEntireDriver(address: *mut u8) -> *mut u8 {
        address
    }
    APC fn MmResetDriverPaging(_address: *mut u8) {}
    PASSIVE fn MmQuerySystemSize() -> u32 {
        2
    }
}
