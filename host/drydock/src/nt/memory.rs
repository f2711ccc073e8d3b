//! User memory: what programs pass to drivers.
//!
//! The pages of a buffer are mapped twice: at the address the program knows, below [`USER_END`], and at the address a kernel
//! mapping of them has. Behind each buffer lies a page nobody may touch, at both addresses, and the buffer ends exactly there, so
//! an overrun faults at the byte. Linux has room for so many separate mappings only: with more than [`GUARDED`] buffers at a time, the
//! further ones lie side by side, without a page between them.
//!
//! At the program's address a buffer is there in the program's own context only (R-REQ-74): its pages become accessible when a
//! thread that is in the process touches them, and are closed again when that thread leaves the process or the buffer goes.
//! In between, a thread of another process that touches the same pages is not noticed.

#![expect(unsafe_code, reason = "maps memory")]

use super::abi::{read_bytes, write_bytes};
use super::pool::PAGE_SIZE;
use super::{process, thread};
use crate::loader::{self, Touch};
use crate::sched::{Lock, ThreadId};
use crate::verify;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where user addresses begin.
pub const USER_BASE: usize = 0x1000_0000_0000;
/// MmUserProbeAddress: the first address that is not a user address.
pub const USER_END: usize = 0x2000_0000_0000;
/// Where the kernel's mappings of user pages begin.
pub const SYSTEM_BASE: usize = 0x3000_0000_0000;
/// How much user memory there can be; pages are taken only as they are touched.
const SIZE: usize = 64 << 30;

/// Buffers with a guard page there can be. Each takes four of the process's mappings, of which Linux allows 65,530.
pub const GUARDED: usize = 10_000;
/// Where the buffers without one are, and how many pages are made accessible at a time for them.
const BULK: usize = SIZE / 2;
const BULK_STEP: usize = 4096 * PAGE_SIZE;

#[derive(Default)]
struct Arena {
    /// Where the next guarded slot begins, and how many there are.
    next: usize,
    guarded: usize,
    /// Where the next slot without a guard begins, and where accessible memory ends.
    bulk: usize,
    bulk_end: usize,
    /// Slots given back, by their pages; guarded ones are taken first.
    free: BTreeMap<usize, (Vec<usize>, Vec<usize>)>,
    /// Slots in use: first byte of the buffer, by offset, and which process it belongs to.
    live: BTreeMap<usize, (usize, u64)>,
    /// Slots that are accessible at the program's address, by their first byte: how many pages, and who has touched them.
    touched: BTreeMap<usize, (usize, ThreadId)>,
}

/// How many entries `touched` has: looked at without the lock.
static TOUCHED: AtomicUsize = AtomicUsize::new(0);

fn arena() -> &'static Lock<Arena> {
    static ARENA: OnceLock<Lock<Arena>> = OnceLock::new();
    ARENA.get_or_init(|| {
        map();
        loader::set_user_memory(touch);
        Lock::new(Arena {
            next: PAGE_SIZE,
            bulk: BULK,
            bulk_end: BULK,
            ..Arena::default()
        })
    })
}

fn map() {
    // SAFETY: plain system calls on a file of our own; the results are checked.
    let file = unsafe { libc::memfd_create(c"drydock-user-memory".as_ptr(), libc::MFD_CLOEXEC) };
    // SAFETY: as above.
    let sized = file >= 0 && unsafe { libc::ftruncate(file, SIZE as libc::off_t) } == 0;
    let mapped = sized
        && [USER_BASE, SYSTEM_BASE].into_iter().all(|base| {
            // SAFETY: a mapping at addresses nothing else of the process uses; `NOREPLACE` makes sure of it. Nothing is
            // accessible until a slot is opened.
            let at = unsafe {
                libc::mmap(
                    base as *mut libc::c_void,
                    SIZE,
                    libc::PROT_NONE,
                    libc::MAP_SHARED | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE,
                    file,
                    0,
                )
            };
            at as usize == base
        });
    if !mapped {
        verify::model_error(format!(
            "user memory cannot have its addresses: {}",
            std::io::Error::last_os_error()
        ));
    }
    // SAFETY: the descriptor is ours and not used again; the mappings keep the file.
    unsafe { libc::close(file) };
}

/// Makes pages accessible at the kernel's address; at the program's they are opened when they are touched.
fn open_pages(offset: usize, pages: usize) {
    protect(
        SYSTEM_BASE + offset,
        pages,
        libc::PROT_READ | libc::PROT_WRITE,
    );
}

fn protect(address: usize, pages: usize, access: i32) {
    // SAFETY: the pages lie in the arena's own mappings.
    let result = unsafe { libc::mprotect(address as *mut libc::c_void, pages * PAGE_SIZE, access) };
    if result != 0 {
        verify::model_error(format!(
            "mprotect of user memory: {}",
            std::io::Error::last_os_error()
        ));
    }
}

/// A thread has touched an address it has no access to. Runs in a signal handler: the thread is in an image, or in a copy the
/// model makes for one, and holds no lock.
fn touch(address: usize) -> Touch {
    let Some(offset) = address.checked_sub(USER_BASE).filter(|at| *at < SIZE) else {
        return Touch::Elsewhere;
    };
    let mut arena = arena().lock();
    let Some((first, (len, owner))) = arena.live.range(..=offset | (PAGE_SIZE - 1)).next_back()
    else {
        return Touch::Elsewhere;
    };
    let (first, len, owner) = (*first, *len, *owner);
    let pages = pages_of(len);
    let start = (first + len).next_multiple_of(PAGE_SIZE) - pages * PAGE_SIZE;
    if !(start..start + pages * PAGE_SIZE).contains(&offset) {
        return Touch::Elsewhere; // a guard page
    }
    let here = process::current_id();
    if here != owner {
        return Touch::Refused(format!(
            "{address:#x} is memory of process {owner} and is touched in process {here}, where it does not mean that"
        ));
    }
    arena.touched.insert(start, (pages, thread::current().id()));
    TOUCHED.store(arena.touched.len(), Ordering::Release);
    protect(USER_BASE + start, pages, libc::PROT_READ | libc::PROT_WRITE);
    Touch::Opened
}

/// The calling thread leaves its process: what it has touched of the process's memory is out of its reach.
pub(super) fn leave_process() {
    if TOUCHED.load(Ordering::Acquire) == 0 {
        return;
    }
    let me = thread::current().id();
    let mut arena = arena().lock();
    arena.touched.retain(|start, (pages, by)| {
        let keep = *by != me;
        if !keep {
            protect(USER_BASE + *start, *pages, libc::PROT_NONE);
        }
        keep
    });
    TOUCHED.store(arena.touched.len(), Ordering::Release);
}

/// How many pages a buffer of `len` bytes takes.
fn pages_of(len: usize) -> usize {
    len.div_ceil(PAGE_SIZE).max(1).next_power_of_two()
}

impl Arena {
    /// The first page of a slot of this many.
    fn take(&mut self, pages: usize) -> usize {
        let reused = self
            .free
            .get_mut(&pages)
            .and_then(|(guarded, bulk)| guarded.pop().or_else(|| bulk.pop()));
        if let Some(start) = reused {
            return start;
        }
        let size = pages * PAGE_SIZE;
        if self.guarded < GUARDED && self.next + size + PAGE_SIZE <= BULK {
            let start = self.next;
            self.next += size + PAGE_SIZE;
            self.guarded += 1;
            open_pages(start, pages);
            return start;
        }
        let start = self.bulk;
        self.bulk += size;
        if self.bulk > SIZE {
            verify::model_error("programs have more than 32 GiB of buffers in use");
        }
        if self.bulk > self.bulk_end {
            let more = (self.bulk - self.bulk_end)
                .next_multiple_of(BULK_STEP)
                .min(SIZE - self.bulk_end);
            open_pages(self.bulk_end, more / PAGE_SIZE);
            self.bulk_end += more;
        }
        start
    }
}

/// A buffer of a program. Dropping it gives the pages back.
#[derive(Debug)]
pub struct UserBuffer {
    /// Offset of its first byte in the arena.
    offset: usize,
    len: usize,
    start: usize,
    pages: usize,
}

impl UserBuffer {
    /// A buffer of `len` bytes of the process with this id; it ends at a page boundary.
    pub fn new(len: usize, process: u64) -> Self {
        let arena = arena();
        let pages = pages_of(len);
        let start = arena.lock().take(pages);
        let offset = start + pages * PAGE_SIZE - len;
        arena.lock().live.insert(offset, (len, process));
        Self {
            offset,
            len,
            start,
            pages,
        }
    }

    /// A buffer with this content.
    pub fn with(data: &[u8], process: u64) -> Self {
        let buffer = Self::new(data.len(), process);
        buffer.write(data);
        buffer
    }

    /// Its address in its process.
    pub fn user_address(&self) -> *mut u8 {
        (USER_BASE + self.offset) as *mut u8
    }

    /// Its length.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True for a buffer of no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its first `len` bytes.
    pub fn read(&self, len: usize) -> Vec<u8> {
        read_bytes((SYSTEM_BASE + self.offset) as *const u8, len.min(self.len))
    }

    /// Writes its first bytes.
    pub fn write(&self, data: &[u8]) {
        let data = &data[..data.len().min(self.len)];
        write_bytes((SYSTEM_BASE + self.offset) as *mut u8, data);
    }
}

impl Drop for UserBuffer {
    fn drop(&mut self) {
        let mut arena = arena().lock();
        arena.live.remove(&self.offset);
        if let Some((pages, _)) = arena.touched.remove(&self.start) {
            protect(USER_BASE + self.start, pages, libc::PROT_NONE);
            TOUCHED.store(arena.touched.len(), Ordering::Release);
        }
        let (guarded, bulk) = arena.free.entry(self.pages).or_default();
        let list = if self.start < BULK { guarded } else { bulk };
        list.push(self.start);
    }
}

/// True for an address below MmUserProbeAddress that could be a program's.
pub fn is_user_address(address: *const u8) -> bool {
    (address as usize) < USER_END
}

/// The kernel mapping of a user address; other addresses are what they are.
pub fn system_address(address: *mut u8) -> *mut u8 {
    let value = address as usize;
    if (USER_BASE..USER_BASE + SIZE).contains(&value) {
        (value - USER_BASE + SYSTEM_BASE) as *mut u8
    } else {
        address
    }
}

/// The process whose buffer is at a user address.
pub(super) fn owner(address: usize) -> Option<u64> {
    let offset = address.checked_sub(USER_BASE)?;
    let arena = arena().lock();
    let (start, (size, owner)) = arena.live.range(..=offset).next_back()?;
    (offset < start + size).then_some(*owner)
}

/// True if all of the range lies in one buffer of the process with this id: what a probe finds out page by page.
pub fn is_accessible(address: *const u8, len: usize, process: u64) -> bool {
    if len == 0 {
        return true;
    }
    let value = address as usize;
    let Some(offset) = value.checked_sub(USER_BASE) else {
        return false;
    };
    let arena = arena().lock();
    let Some((start, (size, owner))) = arena.live.range(..=offset).next_back() else {
        return false;
    };
    *owner == process && offset + len <= start + size
}

/// What was in the buffers of programs at one moment, for an explored machine that is put back to it.
pub struct Saved {
    /// First byte of each slot, as an offset, and its content.
    slots: Vec<(usize, Vec<u8>)>,
    /// Where the next guarded slot began.
    next: usize,
}

impl Arena {
    /// All slots that were ever opened: first byte and size.
    fn slots(&self) -> Vec<(usize, usize)> {
        let live = self.live.iter().map(|(offset, (len, _))| {
            let size = pages_of(*len) * PAGE_SIZE;
            ((offset + len).next_multiple_of(PAGE_SIZE) - size, size)
        });
        let free = self.free.iter().flat_map(|(pages, (guarded, bulk))| {
            let starts = guarded.iter().chain(bulk);
            starts.map(move |start| (*start, pages * PAGE_SIZE))
        });
        live.chain(free).collect()
    }
}

/// Copies what is in the buffers of programs.
pub fn save() -> Saved {
    let arena = arena().lock();
    let read = |(start, size)| {
        let content = read_bytes((SYSTEM_BASE + start) as *const u8, size);
        (start, content)
    };
    Saved {
        slots: arena.slots().into_iter().map(read).collect(),
        next: arena.next,
    }
}

/// The machine is about to be put back: closes what programs' threads have touched, and gives where the next slot begins now;
/// none while the machine stands in the middle of a change of it.
pub fn extent() -> Option<usize> {
    let arena = arena().try_lock()?;
    for (start, (pages, _)) in &arena.touched {
        protect(USER_BASE + *start, *pages, libc::PROT_NONE);
    }
    Some(arena.next)
}

/// Puts the content of all buffers back, and closes the slots that were opened since: up to `extent`. What the model keeps of
/// the slots has been put back already.
pub fn restore(saved: &Saved, extent: Option<usize>) {
    for (start, content) in &saved.slots {
        write_bytes((SYSTEM_BASE + start) as *mut u8, content);
    }
    if let Some(extent) = extent
        && extent > saved.next
    {
        for base in [USER_BASE, SYSTEM_BASE] {
            protect(
                base + saved.next,
                (extent - saved.next) / PAGE_SIZE,
                libc::PROT_NONE,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusty_fork::rusty_fork_test;

    rusty_fork_test! {
        #[test]
        fn a_buffer_ends_where_the_guard_page_begins() {
            let buffer = UserBuffer::with(b"hello", 4);
            assert_eq!((buffer.user_address() as usize + 5) % PAGE_SIZE, 0);
            assert_eq!(buffer.read(9), b"hello");
            assert!(is_accessible(buffer.user_address(), 5, 4));
            assert!(!is_accessible(buffer.user_address(), 6, 4), "it reaches the guard page");
            assert!(!is_accessible(buffer.user_address(), 5, 8), "it is another process's");
        }

        #[test]
        fn there_may_be_more_buffers_than_guard_pages() {
            let buffers: Vec<UserBuffer> =
                (0..3 * GUARDED).map(|number| UserBuffer::with(&number.to_le_bytes(), 4)).collect();
            for (number, buffer) in buffers.iter().enumerate() {
                assert_eq!(buffer.read(8), number.to_le_bytes());
            }
        }

        #[test]
        fn the_kernel_mapping_shows_the_same_bytes() {
            let buffer = UserBuffer::with(b"abc", 4);
            write_bytes(buffer.user_address(), b"x");
            assert_eq!(read_bytes(system_address(buffer.user_address()), 3), b"xbc");
        }
    }
}
