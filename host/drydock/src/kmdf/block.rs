//! Blocks of pool the framework allocates for itself and lets drivers look at: contexts, strings, globals.

use crate::nt::pool::{self, Tag};
use crate::verify;

/// A zero-filled block of `size` bytes; `None` if there is no memory.
pub(super) fn allocate(size: usize, tag: u32) -> Option<u64> {
    if verify::failable("memory of the framework") {
        return None;
    }
    let block = pool::allocate_internal(size, Tag(tag));
    (!block.is_null()).then_some(block as u64)
}

/// Gives a block back.
pub(super) fn free(block: u64) {
    pool::free(block as *mut u8, None);
}
