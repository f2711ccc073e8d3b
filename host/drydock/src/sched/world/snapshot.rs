//! The memory of a world as it was at one moment, and the way back to it.
//!
//! Pages are read-only from that moment on. The first write to each faults, and is noted; a rewind copies the noted pages
//! back. As one schedule writes to much the same pages as the next, faults end after a few schedules, and a rewind is a copy
//! of some dozen pages.
#![expect(unsafe_code, reason = "copies and protects memory by address")]

use std::ffi::c_void;
use std::ops::Range;
use std::sync::atomic::{AtomicPtr, Ordering};

const PAGE: usize = 4096;

/// One range of a snapshot.
struct Area {
    start: usize,
    end: usize,
    copy: Vec<u8>,
    /// Per page: it was written to since the snapshot was taken, in some schedule.
    written: Vec<bool>,
    /// The numbers of these pages. Never grows beyond its capacity: it is filled in a signal handler.
    list: Vec<u32>,
}

/// The memory of a world at one moment.
pub(super) struct Snapshot {
    areas: Vec<Area>,
}

/// What the handler looks at.
static WATCHED: AtomicPtr<Snapshot> = AtomicPtr::new(std::ptr::null_mut());
static PREVIOUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(std::ptr::null_mut());

const SIGNAL_STACK: usize = 0x2_8000;

impl Snapshot {
    /// Takes a snapshot of ranges of readable and writable memory, and watches them from now on. They are whole pages, and do not
    /// overlap. The snapshot stays for the rest of the process: the memory remains watched.
    pub(super) fn take(ranges: &[Range<usize>]) -> &'static mut Self {
        let mut areas: Vec<_> = ranges
            .iter()
            .filter(|range| !range.is_empty())
            .map(|range| {
                let pages = (range.end - range.start) / PAGE;
                Area {
                    start: range.start,
                    end: range.end,
                    copy: vec![0; range.end - range.start],
                    written: vec![false; pages],
                    list: Vec::with_capacity(pages),
                }
            })
            .collect();
        areas.sort_by_key(|area| area.start);
        let snapshot = Box::leak(Box::new(Self { areas }));
        let previous = install();
        PREVIOUS.store(Box::into_raw(Box::new(previous)), Ordering::SeqCst);
        WATCHED.store(snapshot, Ordering::SeqCst);
        // Last, so that nothing above is undone by a rewind.
        for area in &mut snapshot.areas {
            let from = area.start as *const u8;
            // SAFETY: the range is readable, and the copy is as long.
            unsafe { std::ptr::copy_nonoverlapping(from, area.copy.as_mut_ptr(), area.copy.len()) };
            protect(area.start, area.copy.len(), libc::PROT_READ);
        }
        snapshot
    }

    /// Puts everything back.
    pub(super) fn rewind(&self) {
        for area in &self.areas {
            for page in &area.list {
                let offset = *page as usize * PAGE;
                let from = area.copy[offset..offset + PAGE].as_ptr();
                let to = (area.start + offset) as *mut u8;
                // SAFETY: a page of the range, made writable when it was first written to.
                unsafe { std::ptr::copy_nonoverlapping(from, to, PAGE) };
            }
        }
    }

    /// Makes what lies in a range accessible again, which somebody has closed.
    pub(super) fn reopen(&mut self, range: &Range<usize>) {
        for area in &mut self.areas {
            if range.contains(&area.start) {
                protect(
                    area.start,
                    area.end - area.start,
                    libc::PROT_READ | libc::PROT_WRITE,
                );
                for (page, written) in area.written.iter_mut().enumerate() {
                    if !std::mem::replace(written, true) {
                        area.list.push(page as u32);
                    }
                }
            }
        }
    }

    /// Pages that schedules write to.
    pub(super) fn written_pages(&self) -> usize {
        self.areas.iter().map(|area| area.list.len()).sum()
    }

    /// Bytes remembered.
    pub(super) fn bytes(&self) -> usize {
        self.areas.iter().map(|area| area.copy.len()).sum()
    }

    /// Makes the page at `address` writable, and notes it. False: it is not watched.
    fn note(&mut self, address: usize) -> bool {
        let found = self.areas.partition_point(|area| area.end <= address);
        let Some(area) = self.areas.get_mut(found) else {
            return false;
        };
        if address < area.start {
            return false;
        }
        let page = (address - area.start) / PAGE;
        if area.written[page] {
            return false; // writable already: the fault is about something else
        }
        area.written[page] = true;
        area.list.push(page as u32);
        protect(
            area.start + page * PAGE,
            PAGE,
            libc::PROT_READ | libc::PROT_WRITE,
        );
        true
    }
}

pub(super) fn protect(start: usize, size: usize, access: i32) {
    // SAFETY: the range is one of the world, which was readable and writable.
    let done = unsafe { libc::mprotect(start as *mut _, size, access) };
    assert!(
        done == 0,
        "the memory of an explored machine cannot be protected: {}",
        std::io::Error::last_os_error()
    );
}

/// Gives the calling thread a signal stack outside the world.
pub(super) fn use_own_signal_stack() {
    let memory = Box::leak(vec![0u8; SIGNAL_STACK].into_boxed_slice());
    let stack = libc::stack_t {
        ss_sp: memory.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: SIGNAL_STACK,
    };
    // SAFETY: the memory was leaked for this.
    unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
}

fn install() -> libc::sigaction {
    // SAFETY: an all-zero sigaction is a valid value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_fault as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    // SAFETY: as above.
    let mut previous: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the handler has the signature that SA_SIGINFO asks for.
    unsafe { libc::sigaction(libc::SIGSEGV, &raw const action, &raw mut previous) };
    previous
}

extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    const WRITE: i64 = 2;
    const SEGV_ACCERR: i32 = 2;
    // SAFETY: with SA_SIGINFO the kernel passes the signal's information.
    let (address, code) = unsafe { ((*info).si_addr() as usize, (*info).si_code) };
    // SAFETY: with SA_SIGINFO the kernel passes a context.
    let error = unsafe {
        (&(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs)[libc::REG_ERR as usize]
    };
    if code == SEGV_ACCERR && error & WRITE != 0 {
        // SAFETY: the snapshot lives as long as the process, and its thread is stopped here.
        let snapshot = unsafe { WATCHED.load(Ordering::Relaxed).as_mut() };
        if snapshot.is_some_and(|snapshot| snapshot.note(address)) {
            return;
        }
    }
    // SAFETY: stored once, and never freed.
    let previous = unsafe { &*PREVIOUS.load(Ordering::Relaxed) };
    if previous.sa_sigaction > libc::SIG_IGN {
        // SAFETY: a handler that was installed for this signal; drydock installs no other kind than with SA_SIGINFO.
        let handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut c_void) =
            unsafe { std::mem::transmute(previous.sa_sigaction) };
        handler(signal, info, context);
    } else {
        // SAFETY: the default action ends the process when the instruction faults again.
        unsafe { libc::signal(libc::SIGSEGV, libc::SIG_DFL) };
    }
}

/// The writable data of this program: every static of drydock and of the crates in it.
pub(super) fn statics() -> Range<usize> {
    extern "C" fn visit(info: *mut libc::dl_phdr_info, _size: usize, out: *mut c_void) -> i32 {
        // SAFETY: `out` is the local below, and the information is valid during the call.
        let (info, out) = unsafe { (&*info, &mut *out.cast::<Range<usize>>()) };
        // SAFETY: the loader vouches for the program headers.
        let headers =
            unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        let base = info.dlpi_addr as usize;
        for header in headers {
            let start = base + header.p_vaddr as usize;
            let end = start + header.p_memsz as usize;
            if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_W != 0 {
                *out = start..end;
            }
        }
        for header in headers {
            let end = base + header.p_vaddr as usize + header.p_memsz as usize;
            if header.p_type == libc::PT_GNU_RELRO && out.contains(&(end - 1)) {
                out.start = end;
            }
        }
        1 // the program itself comes first; the libraries keep their state
    }
    let mut range = 0..0;
    // SAFETY: the callback has the signature asked for, and gets the address of a local that outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut range).cast()) };
    range.start / PAGE * PAGE..range.end.next_multiple_of(PAGE)
}
