//! Pool: the memory drivers and the framework allocate.
//!
//! Blocks lie in one arena at a fixed address, so that addresses repeat from run to run. Every block has a header (tag, size,
//! state) and a guard behind its last byte; a freed block is filled with a poison and rests in a quarantine before it is used again. So
//! an overrun, a double free, a write after free, and a leak are each found and named.

#![expect(unsafe_code, reason = "an allocator: it makes memory out of addresses")]

use super::abi::{Field, at, layout};
use super::thread::{self, APC_LEVEL, DISPATCH_LEVEL};
use crate::loader;
use crate::sched::Lock;
use crate::verify::{self, Leak};
use std::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Where the arena begins: above all user addresses of the model (see `nt::memory`).
pub const ARENA_BASE: usize = 0x4000_0000_0000;
/// How much address space the arena has; memory is taken only as it is touched.
pub const ARENA_SIZE: usize = 64 << 30;

/// Pages of the model.
pub const PAGE_SIZE: usize = 0x1000;

/// What a block of pool may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// Usable at any level.
    NonPaged,
    /// Usable below DISPATCH_LEVEL only.
    Paged,
}

/// Four characters that name the allocator of a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(pub u32);

impl Tag {
    /// The tag of these characters, in the order a debugger shows them.
    pub const fn new(characters: &[u8; 4]) -> Self {
        Self(u32::from_le_bytes(*characters))
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in self.0.to_le_bytes() {
            let shown = if (0x20..0x7f).contains(&byte) {
                byte as char
            } else {
                '.'
            };
            write!(f, "{shown}")?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Stands in front of every block.
#[repr(C)]
struct Header {
    state: Field<u32>,
    tag: Field<u32>,
    size: Field<u64>,
    /// Who owns it: 0 the model itself, 1 a driver (counted as a leak).
    owner: Field<u32>,
    class: Field<u32>,
    serial: Field<u64>,
}
layout!(Header, "pool block", 32, { state: 0, tag: 4, size: 8, owner: 16, class: 20, serial: 24 });

const HEADER: usize = size_of::<Header>();
const LIVE: u32 = 0x6576_694c; // "Live"
const FREED: u32 = 0x6565_7246; // "Free"
/// What a driver finds in a fresh block it did not ask to be zeroed.
const FRESH: u8 = 0xcd;
/// What a block is filled with when it is freed. As an address it is not canonical, so following it faults.
pub const POISON: u8 = 0xdd;
const GUARD: u8 = 0xfd;
const GUARD_BYTES: usize = 16;
/// The front of a freed block, as far as it is compared.
static POISONED: [u8; 256] = [POISON; 256];

/// Blocks of one size. `blocks` are free; the front ones have rested longest.
#[derive(Default)]
struct Class {
    free: VecDeque<usize>,
    spans: Vec<(usize, usize)>,
}

/// Freed blocks of a class that must be there before one is used again.
const QUARANTINE: usize = 256;
const CLASSES: usize = 96;

struct Pool {
    classes: Vec<Lock<Class>>,
    next: AtomicUsize,
    serial: AtomicU64,
    live_bytes: AtomicU64,
    live_blocks: AtomicU64,
    /// Where a driver's blocks were allocated; by address.
    created: Lock<BTreeMap<usize, Vec<usize>>>,
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| {
        reserve();
        verify::register_leaks("pool", leaks);
        loader::register_address_describer(describe);
        Pool {
            classes: (0..CLASSES).map(|_| Lock::default()).collect(),
            next: AtomicUsize::new(ARENA_BASE),
            serial: AtomicU64::new(0),
            live_bytes: AtomicU64::new(0),
            live_blocks: AtomicU64::new(0),
            created: Lock::new(BTreeMap::new()),
        }
    })
}

fn reserve() {
    // SAFETY: a fresh private mapping at an address nothing else of the process uses; `NOREPLACE` makes sure of it.
    let mapped = unsafe {
        libc::mmap(
            ARENA_BASE as *mut libc::c_void,
            ARENA_SIZE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE
                | libc::MAP_ANONYMOUS
                | libc::MAP_NORESERVE
                | libc::MAP_FIXED_NOREPLACE,
            -1,
            0,
        )
    };
    if mapped as usize != ARENA_BASE {
        verify::model_error(format!(
            "the pool cannot have its addresses {ARENA_BASE:#x}..{:#x}: {}",
            ARENA_BASE + ARENA_SIZE,
            std::io::Error::last_os_error()
        ));
    }
}

/// The part of the arena that was used so far, in whole pages. What lies behind it never matters: a block that is taken for the
/// first time is written from end to end.
pub fn used() -> std::ops::Range<usize> {
    let next = pool().next.load(Ordering::Relaxed);
    ARENA_BASE..next.next_multiple_of(PAGE_SIZE)
}

/// The class of a block of `bytes` in all, and the class's size: four steps per power of two.
fn class_of(bytes: usize) -> (usize, usize) {
    let bytes = bytes.max(64);
    let power = (bytes - 1).ilog2() as usize; // bytes lies in (2^power, 2^(power+1)]
    let step = 1 << (power - 2);
    let steps = (bytes - (1 << power)).div_ceil(step); // 1..=4
    ((power - 5) * 4 + steps - 1, (1 << power) + steps * step)
}

/// Small blocks are aligned to 16 bytes; blocks of a page or more begin on a page.
fn lead(size: usize) -> usize {
    if size >= PAGE_SIZE { PAGE_SIZE } else { HEADER }
}

/// Allocates for the model itself: zeroed, not counted as a leak of a driver.
pub fn allocate_internal(size: usize, tag: Tag) -> *mut u8 {
    let block = take(size, tag, 0);
    super::abi::fill_bytes(block, 0, size);
    block
}

/// ExAllocatePoolWithTag and its kin: memory of a driver, filled with a pattern or with zeros. Null: there is none.
pub fn allocate(kind: PoolKind, size: usize, tag: Tag, zero: bool) -> *mut u8 {
    let limit = match kind {
        PoolKind::NonPaged => DISPATCH_LEVEL,
        PoolKind::Paged => APC_LEVEL,
    };
    thread::require_at_most(limit, "an allocation of pool");
    if size > ARENA_SIZE / 16 {
        return std::ptr::null_mut();
    }
    if verify::failable("an allocation of pool") {
        return std::ptr::null_mut();
    }
    let block = take(size, tag, 1);
    super::abi::fill_bytes(block, if zero { 0 } else { FRESH }, size);
    pool()
        .created
        .lock()
        .insert(block as usize, loader::return_addresses(12));
    block
}

fn take(size: usize, tag: Tag, owner: u32) -> *mut u8 {
    let pool = pool();
    let lead = lead(size);
    let (class, block_size) = class_of(lead + size + GUARD_BYTES);
    let Some(lock) = pool.classes.get(class) else {
        verify::model_error(format!("a pool block of {size} bytes"));
    };
    let reused = {
        let mut class = lock.lock();
        if class.free.len() > QUARANTINE {
            class.free.pop_front()
        } else {
            None
        }
    };
    let block = reused.map_or_else(
        || fresh(pool, lock, block_size, lead),
        |block| {
            check_poison(block);
            block
        },
    );
    let header = header(block);
    header.state.set(LIVE);
    header.tag.set(tag.0);
    header.size.set(size as u64);
    header.owner.set(owner);
    header.class.set(class as u32);
    header
        .serial
        .set(pool.serial.fetch_add(1, Ordering::Relaxed));
    super::abi::fill_bytes((block + size) as *mut u8, GUARD, GUARD_BYTES);
    if owner != 0 {
        pool.live_bytes.fetch_add(size as u64, Ordering::Relaxed);
        pool.live_blocks.fetch_add(1, Ordering::Relaxed);
    }
    block as *mut u8
}

/// Takes a block that was never used; gives the address behind its header.
fn fresh(pool: &Pool, class: &Lock<Class>, block_size: usize, lead: usize) -> usize {
    let stride = if lead == PAGE_SIZE {
        block_size.next_multiple_of(PAGE_SIZE)
    } else {
        block_size
    };
    let align = if lead == PAGE_SIZE { PAGE_SIZE } else { 16 };
    let mut start = pool.next.load(Ordering::Relaxed);
    loop {
        let base = start.next_multiple_of(align);
        if base + stride > ARENA_BASE + ARENA_SIZE {
            verify::model_error("the pool is full: drivers and drydock have allocated 64 GiB");
        }
        match pool.next.compare_exchange_weak(
            start,
            base + stride,
            Ordering::Relaxed,
            Ordering::Relaxed,
        ) {
            Ok(_) => {
                start = base;
                break;
            }
            Err(now) => start = now,
        }
    }
    class.lock().spans.push((start + lead, 1));
    start + lead
}

fn header(block: usize) -> &'static Header {
    at((block - HEADER) as *mut Header)
}

/// ExFreePoolWithTag; a tag of none is not compared.
pub fn free(block: *mut u8, tag: Option<Tag>) {
    let address = block as usize;
    if !(ARENA_BASE + HEADER..ARENA_BASE + ARENA_SIZE).contains(&address)
        || !address.is_multiple_of(16)
    {
        verify::violation(
            "NT-POOL-01",
            format!("{address:#x}, which is freed, is not a block of pool"),
        );
    }
    let pool = pool();
    let header = header(address);
    let own = Tag(header.tag.get());
    match header.state.get() {
        LIVE => {}
        FREED => verify::violation(
            "NT-POOL-02",
            format!("a block of pool tagged {own} is freed twice"),
        ),
        _ => verify::violation(
            "NT-POOL-01",
            format!("{address:#x}, which is freed, is not the start of a block of pool"),
        ),
    }
    if tag.is_some_and(|tag| tag != own && tag.0 != 0) {
        let given = tag.unwrap_or(own);
        verify::violation(
            "NT-POOL-03",
            format!("a block of pool tagged {own} is freed as {given}"),
        );
    }
    let size = header.size.get() as usize;
    check_guard(address, size, own);
    if header.owner.get() != 0 {
        pool.live_bytes.fetch_sub(size as u64, Ordering::Relaxed);
        pool.live_blocks.fetch_sub(1, Ordering::Relaxed);
        pool.created.lock().remove(&address);
    }
    super::lock_order::forget(address..address + size);
    super::abi::fill_bytes(block, POISON, size);
    header.state.set(FREED);
    if let Some(class) = pool.classes.get(header.class.get() as usize) {
        class.lock().free.push_back(address);
    }
}

fn check_guard(block: usize, size: usize, tag: Tag) {
    let guard = super::abi::read_in((block + size) as *const [u8; GUARD_BYTES]);
    if guard == [GUARD; GUARD_BYTES] {
        return;
    }
    if let Some(offset) = guard.iter().position(|byte| *byte != GUARD) {
        verify::violation(
            "NT-POOL-04",
            format!(
                "a block of pool tagged {tag}, {size} bytes long, was written at byte {}",
                size + offset
            ),
        );
    }
}

/// A block that rested in the quarantine must still be as it was freed.
fn check_poison(block: usize) {
    let header = header(block);
    let size = header.size.get() as usize;
    // The front is where pointers and list links of a stale owner would be.
    let shown = size.min(POISONED.len());
    // SAFETY: the block is free and ours; its first `size` bytes are mapped.
    let bytes = unsafe { std::slice::from_raw_parts(block as *const u8, shown) };
    // The common case by whole words, the search for the byte only when there is one.
    if *bytes == POISONED[..shown] {
        return;
    }
    if let Some(offset) = bytes.iter().position(|byte| *byte != POISON) {
        verify::violation(
            "NT-POOL-05",
            format!(
                "a block of pool tagged {}, {size} bytes long, was written at byte {offset} after it was freed",
                Tag(header.tag.get())
            ),
        );
    }
}

/// Checks every freed block that nobody uses again: called when a driver goes, and its code is still there to be named.
pub fn check_freed() {
    for class in &pool().classes {
        let resting: Vec<usize> = class.lock().free.iter().copied().collect();
        resting.into_iter().for_each(check_poison);
    }
}

/// True if the address lies in a live block of pool.
pub fn is_live(block: *mut u8) -> bool {
    let address = block as usize;
    (ARENA_BASE + HEADER..ARENA_BASE + ARENA_SIZE).contains(&address)
        && header(address).state.get() == LIVE
}

/// What an address that a driver followed says about where it was read from.
pub(super) fn describe_pattern(address: usize) -> Option<String> {
    // What is added to a pointer before it is followed changes its low half only.
    let upper = (address >> 32) as u32;
    let words = |pattern: u8| upper == u32::from_le_bytes([pattern; 4]);
    if words(POISON) {
        Some("an address read from freed pool".to_owned())
    } else if words(FRESH) {
        Some("an address read from pool that was never written".to_owned())
    } else {
        None
    }
}

/// Bytes and blocks drivers have allocated and not freed.
pub fn usage() -> (u64, u64) {
    let pool = pool();
    (
        pool.live_bytes.load(Ordering::Relaxed),
        pool.live_blocks.load(Ordering::Relaxed),
    )
}

/// Says of a bad address what pool has to do with it.
fn describe(address: usize) -> Option<String> {
    const FILLING: usize = usize::from_ne_bytes([POISON; 8]);
    if address.abs_diff(FILLING) < PAGE_SIZE {
        return Some("what freed pool is filled with".to_owned());
    }
    const UNSET: usize = usize::from_ne_bytes([FRESH; 8]);
    if address.abs_diff(UNSET) < PAGE_SIZE {
        return Some("what fresh pool is filled with: it was never set".to_owned());
    }
    None
}

fn leaks() -> Vec<Leak> {
    let pool = pool();
    let created: Vec<(usize, Vec<usize>)> = pool
        .created
        .lock()
        .iter()
        .map(|(block, frames)| (*block, frames.clone()))
        .collect();
    created
        .into_iter()
        .map(|(block, frames)| {
            let header = header(block);
            Leak {
                tag: Tag(header.tag.get()).to_string(),
                bytes: header.size.get(),
                created: frames.into_iter().map(loader::describe_return).collect(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusty_fork::rusty_fork_test;

    const TAG: Tag = Tag::new(b"Test");

    #[test]
    fn every_size_fits_its_class_and_wastes_at_most_a_quarter() {
        for bytes in 65..100_000 {
            let (class, size) = class_of(bytes);
            assert!(
                size >= bytes && size <= bytes + bytes / 4 + 1,
                "{bytes} in {size}"
            );
            assert!(
                class < CLASSES && class_of(size) == (class, size),
                "{bytes}"
            );
        }
    }

    rusty_fork_test! {
        #[test]
        fn a_block_of_a_page_or_more_begins_on_a_page() {
            for size in [PAGE_SIZE, PAGE_SIZE + 1, 5 * PAGE_SIZE] {
                let block = allocate(PoolKind::NonPaged, size, TAG, true);
                assert_eq!(block as usize % PAGE_SIZE, 0);
                free(block, Some(TAG));
            }
            assert_eq!(usage(), (0, 0));
        }

        #[test]
        fn what_a_driver_does_not_free_is_a_leak_under_its_tag() {
            let block = allocate(PoolKind::NonPaged, 100, TAG, false);
            let report = verify::leak_report().to_string();
            assert!(report.contains("pool Test: 1 left, 100 bytes"), "{report}");
            free(block, None);
            assert!(verify::leak_report().is_empty());
        }

        #[test]
        fn a_double_free_names_the_tag() {
            let block = allocate(PoolKind::NonPaged, 100, TAG, false);
            free(block, Some(TAG));
            verify::on_end(|report| {
                assert_eq!(report.statement, Some("NT-POOL-02"));
                assert!(report.text.contains("Test"));
                0
            });
            free(block, Some(TAG));
        }

        #[test]
        fn a_write_past_the_end_is_found_when_the_block_is_freed() {
            let block = allocate(PoolKind::NonPaged, 100, TAG, false);
            super::super::abi::write_bytes((block as usize + 101) as *mut u8, &[1]);
            verify::on_end(|report| {
                assert_eq!(report.statement, Some("NT-POOL-04"));
                assert!(report.text.ends_with("at byte 101"), "{}", report.text);
                0
            });
            free(block, Some(TAG));
        }

        #[test]
        fn a_write_after_free_is_found_before_the_block_is_used_again() {
            let stale = allocate(PoolKind::NonPaged, 100, TAG, false);
            free(stale, Some(TAG));
            super::super::abi::write_bytes(stale, &[1]);
            verify::on_end(|report| {
                assert_eq!(report.statement, Some("NT-POOL-05"));
                0
            });
            for _ in 0..=QUARANTINE {
                free(allocate(PoolKind::NonPaged, 100, TAG, false), None);
            }
            allocate(PoolKind::NonPaged, 100, TAG, false);
            panic!("the write was not found");
        }
    }
}
