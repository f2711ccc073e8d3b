//! The heap of an explored machine: what the machine allocates lies in one range at a fixed address, so that it can be put
//! back as it was, and so that addresses repeat from schedule to schedule and from process to process.
//!
//! While the calling OS thread is *inside* a world ([`enter`]), allocations come from here; otherwise, and in every other mode,
//! from the system. What the explorer itself keeps (the decisions so far, the findings) is allocated outside and
//! survives a rewind.
#![expect(unsafe_code, reason = "an allocator: it makes memory out of addresses")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where the heap lies: above pool, below the images (`nt::pool`, `loader::layout`).
pub const HEAP: usize = 0x5000_0000_0000;
/// How much address space it has; memory is taken only as it is touched.
pub const HEAP_SIZE: usize = 64 << 30;

/// Blocks of one size are kept together; four sizes per power of two.
const CLASSES: usize = 160;
const ALIGN: usize = 16;
const PAGE: usize = 4096;

/// True once a world was made: the other modes then never look at [`INSIDE`].
static ACTIVE: AtomicBool = AtomicBool::new(false);

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// True while the calling OS thread runs a world.
#[inline]
pub fn inside() -> bool {
    ACTIVE.load(Ordering::Relaxed) && INSIDE.with(Cell::get)
}

/// Says whether the calling OS thread runs a world from now on; gives what it was before.
pub fn set_inside(inside: bool) -> bool {
    INSIDE.with(|cell| cell.replace(inside))
}

/// Runs `f` outside the world: what it allocates survives a rewind.
pub fn outside<R>(f: impl FnOnce() -> R) -> R {
    let before = set_inside(false);
    let result = f();
    set_inside(before);
    result
}

/// The blocks of a world.
///
/// Invariant: used by the one OS thread that is inside the world only; `next` and all blocks in `free` lie in the heap's
/// mapping, and a free block's first word is the address of the next one, or 0.
struct Arena(UnsafeCell<State>);

struct State {
    next: usize,
    free: [usize; CLASSES],
}

// SAFETY: by the invariant one OS thread uses it.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena(UnsafeCell::new(State {
    next: HEAP,
    free: [0; CLASSES],
}));

fn is_ours(address: usize) -> bool {
    address.wrapping_sub(HEAP) < HEAP_SIZE
}

/// The class of a block of `size` bytes, and how large its blocks are.
fn class_of(size: usize) -> (usize, usize) {
    let size = size.max(64);
    let power = (size - 1).ilog2() as usize;
    let step = 1 << (power - 2);
    let steps = (size - (1 << power)).div_ceil(step);
    ((power - 5) * 4 + steps - 1, (1 << power) + steps * step)
}

fn allocate(layout: Layout) -> *mut u8 {
    // SAFETY: only called inside the world, so by the invariant nobody else uses the state.
    let state = unsafe { &mut *ARENA.0.get() };
    let (class, size) = class_of(layout.size());
    let reusable = layout.align() <= ALIGN && class < CLASSES;
    if reusable && state.free[class] != 0 {
        let block = state.free[class];
        // SAFETY: by the invariant a free block's first word is the address of the next one.
        state.free[class] = unsafe { *(block as *const usize) };
        return block as *mut u8;
    }
    let start = state.next.next_multiple_of(layout.align().max(ALIGN));
    if start + size > HEAP + HEAP_SIZE {
        return std::ptr::null_mut();
    }
    state.next = start + size;
    start as *mut u8
}

fn free(block: *mut u8, layout: Layout) {
    let (class, _) = class_of(layout.size());
    if layout.align() > ALIGN || class >= CLASSES {
        return; // rare; a rewind takes it back
    }
    // SAFETY: as in `allocate`.
    let state = unsafe { &mut *ARENA.0.get() };
    // SAFETY: the caller gives the block up, and blocks are at least 64 bytes long.
    unsafe { *block.cast::<usize>() = state.free[class] };
    state.free[class] = block as usize;
}

/// Makes the address range of the heap usable.
pub(super) fn map() {
    // SAFETY: a fresh private mapping at an address nothing else uses; `NOREPLACE` makes sure of it.
    let mapped = unsafe {
        libc::mmap(
            HEAP as *mut _,
            HEAP_SIZE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE
                | libc::MAP_ANONYMOUS
                | libc::MAP_NORESERVE
                | libc::MAP_FIXED_NOREPLACE,
            -1,
            0,
        )
    };
    assert!(
        mapped as usize == HEAP,
        "the explored heap cannot have its addresses: {}",
        std::io::Error::last_os_error()
    );
    ACTIVE.store(true, Ordering::SeqCst);
}

/// The part of the heap that was used so far, in whole pages.
pub(super) fn used() -> Range<usize> {
    // SAFETY: called while the world stands still.
    let next = unsafe { (*ARENA.0.get()).next };
    HEAP..next.next_multiple_of(PAGE)
}

/// The allocator of every program that contains drydock.
pub struct Heap;

#[global_allocator]
static ALLOCATOR: Heap = Heap;

// SAFETY: a block comes from the system or from the arena, never from both, and its address says which.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if inside() {
            return allocate(layout);
        }
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_ours(block as usize) {
            // Outside, it is left to the next rewind: the explorer does not change the world.
            if inside() {
                free(block, layout);
            }
            return;
        }
        // Inside, a block of the system may be needed again after a rewind.
        if !inside() {
            // SAFETY: the caller's promise is the one asked for.
            unsafe { System.dealloc(block, layout) };
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if inside() {
            let block = allocate(layout);
            if !block.is_null() {
                // SAFETY: the block has this size. It may have been used before, even if it is the first of its class.
                unsafe { block.write_bytes(0, layout.size()) };
            }
            return block;
        }
        // SAFETY: the caller's promise is the one asked for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !inside() && !is_ours(block as usize) {
            // SAFETY: the caller's promise is the one asked for.
            return unsafe { System.realloc(block, layout, size) };
        }
        if is_ours(block as usize)
            && layout.align() <= ALIGN
            && class_of(layout.size()) == class_of(size)
        {
            return block;
        }
        // SAFETY: the caller promises that the new size is a valid one with this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: as in the trait: the layout is valid and not empty.
        let moved = unsafe { self.alloc(wanted) };
        if !moved.is_null() {
            let kept = layout.size().min(size);
            // SAFETY: two blocks of at least this many bytes, one of them fresh.
            unsafe { std::ptr::copy_nonoverlapping(block, moved, kept) };
            // SAFETY: the caller gives the old block up.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_never_smaller_than_its_blocks() {
        for size in 1..100_000 {
            let (class, rounded) = class_of(size);
            assert!(rounded >= size && rounded % ALIGN == 0, "{size}: {rounded}");
            assert_eq!(class_of(rounded), (class, rounded));
        }
    }
}
