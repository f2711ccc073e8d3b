//! What a thread needs to be inside an image: a driver stack, a processor control region under GS, and the record of
//! how it got in and out.
//!
//! Image code runs on a stack of the size Windows gives it, with guards on both sides; the model runs on the thread's
//! ordinary stack. The two change places at every call into an image ([`super::call`]) and at every call an image makes
//! ([`super::thunk`]). The model's own frames therefore do not count towards the 24 KiB, and those of the image do, over
//! all levels of nesting.
#![expect(
    unsafe_code,
    reason = "sets the GS base and the alternate signal stack of a thread"
)]

use super::layout;
use super::memory::{Access, Region};
use crate::sched::world::{Hooks, set_switch_hooks};
use crate::sched::{self, Lock, Mode};
use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::io;
use std::mem::offset_of;
use std::ops::Range;

/// Where the control region lies in a stack slot.
const REGION: usize = 0x4_0000;
const REGION_SIZE: usize = 0x1_0000;
/// Where the signal stack lies in a stack slot.
const SIGNAL_STACK: usize = 0x5_4000;
const SIGNAL_STACK_SIZE: usize = 0x2_8000;
/// Where the control region holds the address of the thread's [`Control`]: beyond anything Windows defines.
pub(super) const CONTROL_POINTER: usize = 0xF000;
/// Where the [`Control`] itself lies in the region.
const CONTROL: usize = 0xF010;
/// Left free at the top of a driver stack: stubs copy a fixed number of stack arguments, and read this far at most.
const STACK_SLACK: usize = 0x200;

/// How a thread is inside and outside images, as the assembly stubs keep it.
///
/// Invariant: only the thread it belongs to (and a signal handler on it) reads or writes it.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Control {
    /// In image code: the stack pointer of the model, to go back to. In the model: 0.
    pub(super) host_rsp: usize,
    /// In the model: where the free part of the driver stack begins.
    pub(super) image_rsp: usize,
    /// The innermost call an image is making.
    pub(super) exit: *const Exit,
    /// Used by the stubs while they have no register left.
    pub(super) scratch: u64,
}

/// A call made by an image, on the model's stack: what the image's registers were.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Exit {
    pub(super) r15: u64,
    pub(super) r14: u64,
    pub(super) r13: u64,
    pub(super) r12: u64,
    pub(super) rdi: u64,
    pub(super) rsi: u64,
    pub(super) rbp: u64,
    pub(super) rbx: u64,
    /// Which stub it passed: an index for [`super::thunk::name`].
    pub(super) index: u64,
    /// The call the image was making when it was entered again, if any.
    pub(super) previous: *const Exit,
    /// What `image_rsp` of the control record was before; the stubs restore it.
    pub(super) previous_image_rsp: u64,
    /// The driver stack pointer; the return address lies there.
    pub(super) image_rsp: u64,
}

pub(super) const HOST_RSP: usize = offset_of!(Control, host_rsp);
pub(super) const IMAGE_RSP: usize = offset_of!(Control, image_rsp);
pub(super) const EXIT: usize = offset_of!(Control, exit);
pub(super) const SCRATCH: usize = offset_of!(Control, scratch);

/// A stack slot, kept when its thread ends and used again.
struct Slot {
    region: Region,
    index: usize,
}

impl Slot {
    fn stack(&self) -> Range<usize> {
        let low = self.region.range().start + layout::STACK_GUARD;
        low..low + layout::STACK_SIZE
    }

    /// The most that was ever used of this stack.
    fn high_water(&self) -> usize {
        let untouched = self.region.zeroes(layout::STACK_GUARD, layout::STACK_SIZE);
        (layout::STACK_SIZE - untouched).saturating_sub(STACK_SLACK)
    }
}

#[derive(Default)]
struct Slots {
    made: usize,
    free: BTreeMap<usize, Slot>,
    high_water: usize,
    /// Of threads that share an OS thread ([`Mode::Explore`]): their slots, by the address of the control record.
    shared: BTreeMap<usize, Slot>,
}

impl Slots {
    fn take_back(&mut self, slot: Slot) {
        self.high_water = self.high_water.max(slot.high_water());
        self.free.insert(slot.index, slot);
    }
}

static SLOTS: Lock<Option<Slots>> = Lock::new(None);

/// A thread's hold on its slot; gives it back when the thread ends.
struct Attachment(Option<Slot>);

impl Drop for Attachment {
    fn drop(&mut self) {
        CURRENT.with(|current| current.set(std::ptr::null_mut()));
        if let Some(slot) = self.0.take() {
            disable_signal_stack();
            let mut slots = SLOTS.lock();
            let slots = slots.get_or_insert_default();
            slots.take_back(slot);
        }
    }
}

thread_local! {
    static CURRENT: Cell<*mut Control> = const { Cell::new(std::ptr::null_mut()) };
    static ATTACHED: OnceCell<Attachment> = const { OnceCell::new() };
}

/// The calling thread's control record, if it was ever inside an image.
pub(super) fn current() -> Option<*mut Control> {
    let control = CURRENT.try_with(Cell::get).ok()?;
    (!control.is_null()).then_some(control)
}

/// The calling thread's control record; made at the thread's first call into an image.
pub(super) fn attach() -> *mut Control {
    current().unwrap_or_else(attach_first)
}

#[cold]
fn attach_first() -> *mut Control {
    super::fault::install();
    let slot = match take_slot() {
        Ok(slot) => slot,
        Err(error) => panic!("the system gave no memory for a driver stack: {error}"),
    };
    let start = slot.region.range().start;
    let region = start + REGION;
    let control = (region + CONTROL) as *mut Control;
    let quad = |offset: usize, value: usize| {
        slot.region
            .write(REGION + offset, &(value as u64).to_le_bytes());
    };
    quad(0x18, region); // Self
    quad(0x20, region + 0x180); // CurrentPrcb
    quad(CONTROL_POINTER, control as usize);
    quad(CONTROL + HOST_RSP, 0);
    quad(CONTROL + IMAGE_RSP, slot.stack().end - STACK_SLACK);
    quad(CONTROL + EXIT, 0);
    if sched::mode() == Mode::Explore {
        let mut slots = SLOTS.lock();
        let slots = slots.get_or_insert_default();
        slots.shared.insert(control as usize, slot);
    } else {
        enable_signal_stack(start + SIGNAL_STACK);
        ATTACHED.with(|attached| {
            let _ = attached.set(Attachment(Some(slot)));
        });
    }
    set_gs(region);
    CURRENT.with(|current| current.set(control));
    control
}

fn set_gs(region: usize) {
    const ARCH_SET_GS: i32 = 0x1001;
    const FSGSBASE: u64 = 2;
    if sched::mode() == Mode::Explore
        // SAFETY: no preconditions.
        && unsafe { libc::getauxval(libc::AT_HWCAP2) } & FSGSBASE != 0
    {
        // SAFETY: nothing of Linux user mode on x86-64 uses GS, and the system lets user mode write its base.
        unsafe {
            std::arch::asm!("wrgsbase {}", in(reg) region, options(nostack, preserves_flags))
        };
        return;
    }
    // SAFETY: as above; `region` stays mapped as long as the thread lives.
    let set = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, region) };
    assert!(set == 0, "the system does not let a thread set its GS base");
}

/// Prepares for driver threads that share the calling OS thread, as in [`Mode::Explore`]: each gets a driver stack and a
/// control region of its own, and they change at every switch. There are `threads` to begin with; more are made as needed.
///
/// # Panics
/// If the system gives no memory.
pub fn share_os_thread(threads: usize) {
    let slots: Vec<_> = (0..threads).map(|_| take_slot()).collect();
    for slot in slots {
        match slot {
            Ok(slot) => SLOTS.lock().get_or_insert_default().take_back(slot),
            Err(error) => panic!("the system gave no memory for a driver stack: {error}"),
        }
    }
    set_switch_hooks(Hooks {
        save: || CURRENT.with(Cell::get) as usize,
        load: |control| {
            CURRENT.with(|current| current.set(control as *mut Control));
            if control != 0 {
                set_gs(control - CONTROL);
            }
        },
        end: |control| {
            CURRENT.with(|current| current.set(std::ptr::null_mut()));
            let mut slots = SLOTS.lock();
            let slots = slots.get_or_insert_default();
            if let Some(slot) = slots.shared.remove(&control) {
                slots.take_back(slot);
            }
        },
    });
}

fn take_slot() -> io::Result<Slot> {
    let index = {
        let mut slots = SLOTS.lock();
        let slots = slots.get_or_insert_default();
        if let Some((_, slot)) = slots.free.pop_first() {
            return Ok(slot);
        }
        slots.made += 1;
        slots.made - 1
    };
    if index >= layout::STACK_SLOTS {
        return Err(io::Error::other(format!(
            "{index} threads are inside images already"
        )));
    }
    let start = layout::STACKS + index * layout::STACK_SLOT;
    let region = Region::reserve(start, layout::STACK_SLOT)?;
    region.protect(layout::STACK_GUARD, layout::STACK_SIZE, Access::ReadWrite)?;
    region.protect(REGION, REGION_SIZE, Access::ReadWrite)?;
    if sched::mode() != Mode::Explore {
        region.protect(SIGNAL_STACK, SIGNAL_STACK_SIZE, Access::ReadWrite)?;
    }
    Ok(Slot { region, index })
}

fn enable_signal_stack(start: usize) {
    let stack = libc::stack_t {
        ss_sp: start as *mut _,
        ss_flags: 0,
        ss_size: SIGNAL_STACK_SIZE,
    };
    // SAFETY: the range is mapped, used for nothing else, and lives as long as the thread.
    unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
}

fn disable_signal_stack() {
    let stack = libc::stack_t {
        ss_sp: std::ptr::null_mut(),
        ss_flags: libc::SS_DISABLE,
        ss_size: 0,
    };
    // SAFETY: the thread is ending and not on its signal stack.
    unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
}

/// The driver stack in which `address` lies, guards included, and the stack proper.
pub(super) fn stack_around(address: usize) -> Option<Range<usize>> {
    let offset = address.checked_sub(layout::STACKS)?;
    let index = offset / layout::STACK_SLOT;
    if index >= layout::STACK_SLOTS || offset % layout::STACK_SLOT >= REGION {
        return None;
    }
    let low = layout::STACKS + index * layout::STACK_SLOT + layout::STACK_GUARD;
    Some(low..low + layout::STACK_SIZE)
}

/// The driver stack of the calling thread.
pub(super) fn current_stack() -> Option<Range<usize>> {
    stack_around(current()? as usize - CONTROL - REGION)
}

/// The most that image code ever used of a driver stack, in bytes: of threads that have ended, and of the calling one.
pub fn stack_high_water() -> usize {
    let ended = SLOTS.lock().as_ref().map_or(0, |slots| {
        let known = slots.free.values().chain(slots.shared.values());
        let most = known.map(Slot::high_water).max();
        slots.high_water.max(most.unwrap_or(0))
    });
    let own = ATTACHED.try_with(|attached| {
        let slot = attached.get().and_then(|attachment| attachment.0.as_ref());
        slot.map_or(0, Slot::high_water)
    });
    ended.max(own.unwrap_or(0))
}

/// Says which kernel thread the calling thread is: what image code reads from `gs:[188h]`.
pub fn set_kernel_thread(thread: usize) {
    let region = attach() as usize - CONTROL;
    let current_thread = (region + 0x188) as *mut usize;
    // SAFETY: the control region of the calling thread is mapped and writable, and only this thread's.
    unsafe { current_thread.write_volatile(thread) };
}
