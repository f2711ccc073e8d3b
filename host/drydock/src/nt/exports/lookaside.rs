//! Lookaside lists and sequenced singly linked lists.
//!
//! The inline functions of the headers take blocks from the list's own stock and fall back on its allocator. The stock stays empty here, so every
//! block is one of pool, with all that pool watches.

use super::exports;
use crate::loader;
use crate::nt::abi::{Field, at, fill_bytes, layout, read_in, write_out};
use crate::sched::Lock;

/// GENERAL_LOOKASIDE.
#[repr(C)]
struct Lookaside {
    list: [Field<u64>; 2],
    depth: Field<u16>,
    maximum_depth: Field<u16>,
    total_allocates: Field<u32>,
    allocate_misses: Field<u32>,
    total_frees: Field<u32>,
    free_misses: Field<u32>,
    kind: Field<u32>,
    tag: Field<u32>,
    size: Field<u32>,
    allocate: Field<usize>,
    free: Field<usize>,
}
layout!(Lookaside, "lookaside list", 0x40, {
    depth: 0x10, total_allocates: 0x14, kind: 0x24, tag: 0x28, size: 0x2c, allocate: 0x30, free: 0x38,
});

fn export(name: &str) -> usize {
    super::lookup("ntoskrnl.exe", name).map_or(0, |address| {
        loader::thunk(&format!("ntoskrnl.exe!{name}"), address)
    })
}

fn initialize(list: *mut Lookaside, kind: u32, allocate: usize, free: usize, size: u64, tag: u32) {
    fill_bytes(list.cast(), 0, 0x60);
    let view = at(list);
    view.kind.set(kind);
    view.tag.set(tag);
    view.size.set(size as u32);
    view.allocate.set(if allocate == 0 {
        export("ExAllocatePoolWithTag")
    } else {
        allocate
    });
    view.free.set(if free == 0 {
        export("ExFreePool")
    } else {
        free
    });
}

/// Guards every SLIST_HEADER: depth in the low 16 bits of its first word, the first entry in its second.
static LISTS: Lock<()> = Lock::new(());

exports! {
    DISPATCH fn ExInitializeNPagedLookasideList(list: *mut Lookaside, allocate: usize, free: usize, flags: u32, size: u64, tag: u32, _depth: u16) {
        initialize(list, flags & !1, allocate, free, size, tag);
    }
    APC fn ExInitializePagedLookasideList(list: *mut Lookaside, allocate: usize, free: usize, _flags: u32, size: u64, tag: u32, _depth: u16) {
        initialize(list, 1, allocate, free, size, tag);
    }
    DISPATCH fn ExDeleteNPagedLookasideList(_list: *mut Lookaside) {}
    APC fn ExDeletePagedLookasideList(_list: *mut Lookaside) {}
    ANY fn InitializeSListHead(header: *mut u64) {
        write_out(header, 0);
        write_out(header.wrapping_add(1), 0);
    }
    ANY fn ExpInterlockedPushEntrySList(header: *mut u64, entry: *mut u64) -> *mut u64 {
        let _guard = LISTS.lock();
        let first = read_in(header.wrapping_add(1));
        write_out(entry, first);
        write_out(header.wrapping_add(1), entry as u64);
        let word = read_in(header);
        write_out(header, (word & !0xffff).wrapping_add(0x1_0000) | (word.wrapping_add(1) & 0xffff));
        first as *mut u64
    }
    ANY fn ExpInterlockedPopEntrySList(header: *mut u64) -> *mut u64 {
        let _guard = LISTS.lock();
        let first = read_in(header.wrapping_add(1)) as *mut u64;
        if first.is_null() {
            return first;
        }
        write_out(header.wrapping_add(1), read_in(first));
        let word = read_in(header);
        write_out(header, (word & !0xffff).wrapping_add(0x1_0000) | (word.wrapping_sub(1) & 0xffff));
        first
    }
    ANY fn ExpInterlockedFlushSList(header: *mut u64) -> *mut u64 {
        let _guard = LISTS.lock();
        let first = read_in(header.wrapping_add(1)) as *mut u64;
        write_out(header.wrapping_add(1), 0);
        write_out(header, read_in(header) & !0xffff);
        first
    }
    ANY fn ExQueryDepthSList(header: *mut u64) -> u16 {
        read_in(header) as u16
    }
}
