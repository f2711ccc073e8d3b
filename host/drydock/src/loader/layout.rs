//! Where things lie in the process: fixed addresses, so that two runs of one scenario are alike to the byte.
//!
//! Linux gives out addresses from the top of the user half downwards and loads position-independent programs at
//! `0x55..`; the range from `0x6000_0000_0000` on is free in an ordinary process. User mode of the simulated machine
//! and pool lie elsewhere (layer `nt`).

/// Instructions moved out of images ([`super::preempt()`]): near enough to the first thirty images for what they reach by distance.
pub const DETOURS: usize = IMAGES - 0x1000_0000;

/// The first image slot. Slot `n` begins at `IMAGES + n * IMAGE_SLOT`.
pub const IMAGES: usize = 0x6000_0000_0000;
/// The space reserved for one image, guard pages included. Nothing else is ever mapped inside a slot.
pub const IMAGE_SLOT: usize = 0x400_0000;
/// How many images can be mapped at a time.
pub const IMAGE_SLOTS: usize = 0x4000;
/// The unmapped space at the beginning of a slot; there is at least as much behind the image.
pub const IMAGE_GUARD: usize = 0x1_0000;
/// The largest image: the rest of a slot.
pub const IMAGE_LIMIT: usize = IMAGE_SLOT - 2 * IMAGE_GUARD;
/// The end of the image slots.
pub const IMAGES_END: usize = IMAGES + IMAGE_SLOTS * IMAGE_SLOT;

/// The first stack slot: a guard, a driver stack, a guard, and the thread's processor control region.
pub const STACKS: usize = 0x6200_0000_0000;
/// The space of one stack slot.
pub const STACK_SLOT: usize = 0x8_0000;
/// How many threads can be inside images at a time.
pub const STACK_SLOTS: usize = 0x1_0000;
/// Unmapped space below a stack: the largest frame that cannot jump over it without probing.
pub const STACK_GUARD: usize = 0x1_0000;
/// The size of a kernel stack of x64 Windows.
pub const STACK_SIZE: usize = 24 * 1024;

/// The entry stubs of imported functions, executable.
pub const THUNKS: usize = 0x6300_0000_0000;
/// The space for entry stubs.
pub const THUNKS_SIZE: usize = 0x20_0000;

/// True if `address` lies in an image slot.
pub fn is_image_address(address: usize) -> bool {
    (IMAGES..IMAGES_END).contains(&address)
}

/// True if `address` is that of an entry stub.
pub fn is_stub_address(address: usize) -> bool {
    (THUNKS..THUNKS + THUNKS_SIZE).contains(&address)
}

// The three ranges follow each other.
const _: () = assert!(IMAGES_END <= STACKS);
const _: () = assert!(STACKS + STACK_SLOTS * STACK_SLOT <= THUNKS);
