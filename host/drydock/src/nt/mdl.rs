//! Memory descriptor lists.

use super::abi::{Irp, Mdl, at, mdl_flags, write_out};
use super::pool::{self, PAGE_SIZE, Tag};
use super::status::NtStatus;
use super::{memory, process, thread};
use crate::verify;
use std::sync::atomic::{AtomicI64, Ordering};

const TAG: Tag = Tag::new(b"Mdl ");
static LIVE: AtomicI64 = AtomicI64::new(0);
static LOCKED: AtomicI64 = AtomicI64::new(0);

/// MDLs that are allocated now, and how many of them have locked pages.
pub fn live() -> (i64, i64) {
    (LIVE.load(Ordering::Relaxed), LOCKED.load(Ordering::Relaxed))
}

fn pages(address: *mut u8, len: usize) -> usize {
    (address as usize % PAGE_SIZE + len).div_ceil(PAGE_SIZE)
}

/// MmSizeOfMdl.
pub fn size_of_mdl(address: *mut u8, len: usize) -> usize {
    size_of::<Mdl>() + pages(address, len) * 8
}

/// MmInitializeMdl.
pub fn initialize(mdl: *mut Mdl, address: *mut u8, len: u32) {
    let view = at(mdl);
    view.next.set(std::ptr::null_mut());
    view.size
        .set(size_of_mdl(address, len as usize).min(i16::MAX as usize) as i16);
    view.mdl_flags.set(0);
    view.start_va
        .set((address as usize & !(PAGE_SIZE - 1)) as *mut u8);
    view.byte_offset.set((address as usize % PAGE_SIZE) as u32);
    view.byte_count.set(len);
}

/// IoAllocateMdl: describes `len` bytes at `address`. With an IRP, it becomes the IRP's MDL or, if `secondary`, the last of its chain.
pub fn allocate(address: *mut u8, len: u32, secondary: bool, irp: Option<*mut Irp>) -> *mut Mdl {
    let mdl = pool::allocate_internal(size_of_mdl(address, len as usize), TAG).cast::<Mdl>();
    initialize(mdl, address, len);
    LIVE.fetch_add(1, Ordering::Relaxed);
    if let Some(irp) = irp {
        let irp = at(irp);
        let mut last = irp.mdl_address.get();
        if !secondary || last.is_null() {
            irp.mdl_address.set(mdl);
        } else {
            while !at(last).next.get().is_null() {
                last = at(last).next.get();
            }
            at(last).next.set(mdl);
        }
    }
    mdl
}

/// IoFreeMdl.
pub fn free(mdl: *mut Mdl) {
    let flags = at(mdl).mdl_flags.get();
    if flags & mdl_flags::PAGES_LOCKED != 0 {
        verify::violation(
            "NT-MDL-01",
            "IoFreeMdl of an MDL whose pages are still locked",
        );
    }
    pool::free(mdl.cast(), Some(TAG));
    LIVE.fetch_sub(1, Ordering::Relaxed);
}

/// The address an MDL describes, as it was given.
pub fn virtual_address(mdl: *mut Mdl) -> *mut u8 {
    let view = at(mdl);
    view.start_va
        .get()
        .wrapping_add(view.byte_offset.get() as usize)
}

fn fill_pages(mdl: *mut Mdl) {
    let view = at(mdl);
    let first = memory::system_address(view.start_va.get()) as u64 / PAGE_SIZE as u64;
    let count = pages(virtual_address(mdl), view.byte_count.get() as usize);
    let array = mdl
        .cast::<u8>()
        .wrapping_add(size_of::<Mdl>())
        .cast::<u64>();
    for page in 0..count {
        write_out(array.wrapping_add(page), first + page as u64);
    }
}

/// MmBuildMdlForNonPagedPool.
pub fn build_for_nonpaged(mdl: *mut Mdl) {
    let view = at(mdl);
    view.process.set(std::ptr::null_mut());
    view.mapped_system_va.set(virtual_address(mdl));
    view.mdl_flags
        .update(|flags| flags | mdl_flags::SOURCE_IS_NONPAGED_POOL);
    fill_pages(mdl);
}

/// MmProbeAndLockPages: `user` says whose address it is, `write` what will be done with the pages.
pub fn probe_and_lock(mdl: *mut Mdl, user: bool, write: bool) -> Result<(), NtStatus> {
    let view = at(mdl);
    let address = virtual_address(mdl);
    let len = view.byte_count.get() as usize;
    if view.mdl_flags.get()
        & (mdl_flags::PAGES_LOCKED | mdl_flags::SOURCE_IS_NONPAGED_POOL | mdl_flags::PARTIAL)
        != 0
    {
        verify::violation(
            "NT-MDL-02",
            "MmProbeAndLockPages of an MDL that is locked or built already",
        );
    }
    if memory::is_user_address(address) {
        thread::require_at_most(thread::APC_LEVEL, "MmProbeAndLockPages of user memory");
        if !memory::is_accessible(address, len, process::current_id()) {
            return Err(NtStatus::ACCESS_VIOLATION);
        }
        view.process.set(process::current_eprocess());
    } else if user {
        return Err(NtStatus::ACCESS_VIOLATION);
    }
    let mut flags = mdl_flags::PAGES_LOCKED;
    if write {
        flags |= mdl_flags::WRITE_OPERATION;
    }
    view.mdl_flags.update(|old| old | flags);
    fill_pages(mdl);
    LOCKED.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// MmUnlockPages.
pub fn unlock(mdl: *mut Mdl) {
    let view = at(mdl);
    if view.mdl_flags.get() & mdl_flags::PAGES_LOCKED == 0 {
        verify::violation(
            "NT-MDL-03",
            "MmUnlockPages of an MDL whose pages are not locked",
        );
    }
    view.mdl_flags.update(|flags| {
        flags
            & !(mdl_flags::PAGES_LOCKED
                | mdl_flags::MAPPED_TO_SYSTEM_VA
                | mdl_flags::WRITE_OPERATION)
    });
    LOCKED.fetch_sub(1, Ordering::Relaxed);
}

/// MmGetSystemAddressForMdlSafe and MmMapLockedPagesSpecifyCache for kernel mode. Null: there is no room for the mapping.
pub fn system_address(mdl: *mut Mdl) -> *mut u8 {
    let view = at(mdl);
    let flags = view.mdl_flags.get();
    if flags & (mdl_flags::MAPPED_TO_SYSTEM_VA | mdl_flags::SOURCE_IS_NONPAGED_POOL) != 0 {
        return view.mapped_system_va.get();
    }
    if flags & (mdl_flags::PAGES_LOCKED | mdl_flags::PARTIAL) == 0 {
        verify::violation("NT-MDL-04", "an MDL is mapped whose pages are not locked");
    }
    if verify::failable("a mapping of locked pages") {
        return std::ptr::null_mut();
    }
    let mapped = memory::system_address(virtual_address(mdl));
    view.mapped_system_va.set(mapped);
    let mut new = mdl_flags::MAPPED_TO_SYSTEM_VA;
    if flags & mdl_flags::PARTIAL != 0 {
        new |= mdl_flags::PARTIAL_HAS_BEEN_MAPPED;
    }
    view.mdl_flags.set(flags | new);
    mapped
}

/// MmUnmapLockedPages.
pub fn unmap(mdl: *mut Mdl) {
    at(mdl).mdl_flags.update(|flags| {
        flags & !(mdl_flags::MAPPED_TO_SYSTEM_VA | mdl_flags::PARTIAL_HAS_BEEN_MAPPED)
    });
}

/// IoBuildPartialMdl: `target` describes `len` bytes (0: all that is left) at `address`, which lies in what `source` describes.
pub fn build_partial(source: *mut Mdl, target: *mut Mdl, address: *mut u8, len: u32) {
    let from = at(source);
    let start = virtual_address(source) as usize;
    let offset = (address as usize).wrapping_sub(start);
    let count = from.byte_count.get() as usize;
    if offset > count || offset + len as usize > count {
        verify::violation(
            "NT-MDL-05",
            format!("IoBuildPartialMdl of {len} bytes at byte {offset} of an MDL of {count} bytes"),
        );
    }
    let len = if len == 0 {
        (count - offset) as u32
    } else {
        len
    };
    let view = at(target);
    if (view.size.get() as usize) < size_of_mdl(address, len as usize).min(i16::MAX as usize) {
        verify::violation(
            "NT-MDL-06",
            "IoBuildPartialMdl into an MDL that has too few pages",
        );
    }
    view.start_va
        .set((address as usize & !(PAGE_SIZE - 1)) as *mut u8);
    view.byte_offset.set((address as usize % PAGE_SIZE) as u32);
    view.byte_count.set(len);
    view.process.set(from.process.get());
    let source_flags = from.mdl_flags.get();
    let mut flags = mdl_flags::PARTIAL
        | (source_flags & (mdl_flags::SOURCE_IS_NONPAGED_POOL | mdl_flags::MAPPED_TO_SYSTEM_VA));
    if flags & (mdl_flags::SOURCE_IS_NONPAGED_POOL | mdl_flags::MAPPED_TO_SYSTEM_VA) != 0 {
        view.mapped_system_va
            .set(from.mapped_system_va.get().wrapping_add(offset));
    }
    flags |= view.mdl_flags.get() & mdl_flags::ALLOCATED_FIXED_SIZE;
    view.mdl_flags.set(flags);
    fill_pages(target);
}

/// MmPrepareMdlForReuse.
pub fn prepare_for_reuse(mdl: *mut Mdl) {
    let flags = at(mdl).mdl_flags.get();
    if flags & mdl_flags::PARTIAL_HAS_BEEN_MAPPED != 0 {
        unmap(mdl);
    }
}
