//! Ranges of address space.
#![expect(unsafe_code, reason = "mapping memory at chosen addresses")]

use crate::sched::{self, Mode, world};
use std::io;
use std::ops::Range;

/// A range of the address space that belongs to this value.
///
/// Invariant: the range was mapped by [`Region::reserve`] or [`Region::share`], and nothing else unmaps it.
#[derive(Debug)]
pub(super) struct Region {
    start: usize,
    size: usize,
}

/// What may be done with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    None,
    Read,
    ReadWrite,
    ReadExecute,
    ReadWriteExecute,
}

impl Access {
    fn bits(self) -> i32 {
        match self {
            Self::None => libc::PROT_NONE,
            Self::Read => libc::PROT_READ,
            Self::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
            Self::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
            Self::ReadWriteExecute => libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC,
        }
    }
}

fn map(start: usize, size: usize, access: Access, flags: i32, file: i32) -> io::Result<usize> {
    // SAFETY: a mapping at an address of our choice replaces nothing (MAP_FIXED_NOREPLACE).
    let mapped = unsafe { libc::mmap(start as *mut _, size, access.bits(), flags, file, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(mapped as usize)
}

impl Region {
    /// Takes the range `start..start + size`, inaccessible at first. `start` 0: anywhere.
    pub(super) fn reserve(start: usize, size: usize) -> io::Result<Self> {
        let fixed = if start == 0 {
            0
        } else if sched::mode() == Mode::Explore {
            // A mapping of an earlier schedule may be there still.
            if world::is_needed_again(&(start..start + size)) {
                return Err(io::Error::other(
                    "an explored race that unloads a driver cannot load another one",
                ));
            }
            libc::MAP_FIXED
        } else {
            libc::MAP_FIXED_NOREPLACE
        };
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | fixed;
        let start = map(start, size, Access::None, flags, -1)?;
        Ok(Self { start, size })
    }

    /// Maps the same new memory twice: at `start` with `access`, and anywhere to be written.
    pub(super) fn share(start: usize, size: usize, access: Access) -> io::Result<(Self, Self)> {
        // SAFETY: the name is a terminated string.
        let file = unsafe { libc::memfd_create(c"drydock".as_ptr(), libc::MFD_CLOEXEC) };
        if file < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `file` is open.
        let resized = unsafe { libc::ftruncate(file, i64::try_from(size).unwrap_or(i64::MAX)) };
        let mapped = if resized != 0 {
            Err(io::Error::last_os_error())
        } else {
            let fixed = libc::MAP_SHARED | libc::MAP_FIXED_NOREPLACE;
            map(start, size, access, fixed, file).and_then(|start| {
                let seen = Self { start, size };
                let written = map(0, size, Access::ReadWrite, libc::MAP_SHARED, file)?;
                let written = Self {
                    start: written,
                    size,
                };
                Ok((seen, written))
            })
        };
        // SAFETY: `file` is open, and nobody else has its number.
        unsafe { libc::close(file) };
        mapped
    }

    /// Where it lies.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.size
    }

    fn check(&self, offset: usize, size: usize) {
        assert!(
            offset.checked_add(size).is_some_and(|end| end <= self.size),
            "{offset:#x} + {size:#x} is outside a region of {:#x} bytes",
            self.size
        );
    }

    /// Changes what may be done with a part of it, in whole pages.
    pub(super) fn protect(&self, offset: usize, size: usize, access: Access) -> io::Result<()> {
        self.check(offset, size);
        // SAFETY: by the invariant the range is a mapping of our own.
        let done = unsafe { libc::mprotect((self.start + offset) as *mut _, size, access.bits()) };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Writes to a part of it that was made writable.
    pub(super) fn write(&self, offset: usize, bytes: &[u8]) {
        self.check(offset, bytes.len());
        let target = (self.start + offset) as *mut u8;
        // SAFETY: the target lies in our mapping, which is writable as the caller arranged; no Rust reference is ever
        // made to it.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
    }

    /// How many bytes at the beginning of a readable part are still zero, in units of eight bytes.
    pub(super) fn zeroes(&self, offset: usize, size: usize) -> usize {
        self.check(offset, size);
        let first = (self.start + offset) as *const u64;
        let words = size / 8;
        for index in 0..words {
            // SAFETY: the word lies in our mapping, readable as the caller arranged; it may change at any time.
            let word = unsafe { first.add(index).read_volatile() };
            if word != 0 {
                return index * 8;
            }
        }
        words * 8
    }
}

/// Writes to code of an image, which can be executed and not written. Nobody runs there meanwhile.
pub(super) fn patch_code(address: usize, bytes: &[u8]) -> io::Result<()> {
    const PAGE: usize = 0x1000;
    let first = address / PAGE * PAGE;
    let size = (address + bytes.len()).next_multiple_of(PAGE) - first;
    let protect = |access: Access| {
        // SAFETY: the caller names code of an image, which stays mapped with the access it had.
        let done = unsafe { libc::mprotect(first as *mut _, size, access.bits()) };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    protect(Access::ReadWriteExecute)?;
    // SAFETY: writable now, and no Rust reference is ever made to it.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) };
    protect(Access::ReadExecute)
}

/// Up to eight bytes at an address that may not be one.
pub(super) fn peek(address: usize, size: usize) -> Option<u64> {
    let mut bytes = [0_u8; 8];
    let size = size.min(bytes.len());
    let local = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: size,
    };
    let remote = libc::iovec {
        iov_base: address as *mut _,
        iov_len: size,
    };
    // SAFETY: one buffer each; the system looks whether there is memory at the other address.
    let read = unsafe {
        libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0)
    };
    (read == size as isize).then(|| u64::from_le_bytes(bytes))
}

/// Writes the low bytes of a value to where [`peek`] has read as many, and where somebody has written since.
pub(super) fn poke(address: usize, size: usize, value: u64) {
    let bytes = value.to_le_bytes();
    let size = size.min(bytes.len());
    // SAFETY: readable as the caller has seen, and written to in this schedule; no Rust reference is made to it.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, size) };
}

impl Drop for Region {
    fn drop(&mut self) {
        if sched::mode() == Mode::Explore {
            // The next schedule may need what is there.
            let closed = self.protect(0, self.size, Access::None);
            if closed.is_ok() {
                world::mapping_closed(self.range());
            }
            return;
        }
        // SAFETY: by the invariant the range is ours, and it is not used after this.
        unsafe { libc::munmap(self.start as *mut _, self.size) };
    }
}
