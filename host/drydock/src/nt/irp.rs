//! I/O request packets: allocation, the walk down and up a device stack, cancellation.
//!
//! An IRP has one owner at any instant: the driver whose stack location is current. [`call_driver`] passes it down, [`complete`]
//! passes it up, a completion routine that answers STATUS_MORE_PROCESSING_REQUIRED takes it back, and the originator
//! owns it before the first and after the last.

#![expect(
    unsafe_code,
    reason = "the originator of an IRP is kept behind a field of the IRP, as a raw pointer"
)]

use super::abi::{
    Address, Cancel, Completion, DeviceObject, IO_TYPE_IRP, IoStackLocation, Irp, at,
    cancel_routine_address, irp_flags, mj, sl,
};
use super::callout;
use super::force_pending;
use super::in_flight;
use super::pool::{self, Tag};
use super::spinlock::{self, KspinLock};
use super::status::NtStatus;
use super::thread::{self, DISPATCH_LEVEL};
use crate::sched::Event;
use crate::verify;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const TAG: Tag = Tag::new(b"Irp ");
const LOCATION: usize = size_of::<IoStackLocation>();
const HEAD: usize = size_of::<Irp>();

/// Whoever made an IRP and gets it back when every driver is done with it.
pub trait Originator: Send + Sync {
    /// The IRP came back: the originator owns it from here on. Called at any level up to DISPATCH_LEVEL, in any thread.
    fn done(&self, irp: *mut Irp);
}

static LIVE: AtomicI64 = AtomicI64::new(0);

/// IRPs that are allocated now.
pub fn live() -> i64 {
    LIVE.load(Ordering::Relaxed)
}

/// IoSizeOfIrp.
pub const fn size_of_irp(stack_size: i8) -> usize {
    HEAD + stack_size as usize * LOCATION
}

/// IoAllocateIrp: an IRP for a stack of `stack_size` devices, owned by the caller.
pub fn allocate(stack_size: i8) -> *mut Irp {
    if stack_size < 1 {
        verify::violation(
            "NT-IRP-01",
            format!("an IRP with {stack_size} stack locations is allocated"),
        );
    }
    let irp = pool::allocate_internal(size_of_irp(stack_size), TAG).cast::<Irp>();
    initialize(irp, stack_size);
    in_flight::begin(irp);
    LIVE.fetch_add(1, Ordering::Relaxed);
    irp
}

/// IoInitializeIrp: `irp` is memory of at least [`size_of_irp`] bytes.
pub fn initialize(irp: *mut Irp, stack_size: i8) {
    let size = size_of_irp(stack_size);
    super::abi::fill_bytes(irp.cast(), 0, size);
    let view = at(irp);
    view.kind.set(IO_TYPE_IRP);
    view.size.set(size as u16);
    view.stack_count.set(stack_size);
    view.current_location.set(stack_size + 1);
    view.current_stack_location.set(location(irp, stack_size));
    view.thread_list_entry.make_empty();
}

/// IoReuseIrp: makes a finished IRP ready to be sent again.
pub fn reuse(irp: *mut Irp, status: NtStatus) {
    let stack_size = at(irp).stack_count.get();
    let flags = at(irp).allocation_flags.get();
    initialize(irp, stack_size);
    at(irp).allocation_flags.set(flags);
    at(irp).io_status.status.set(status);
}

/// IoPriorityNormal, what an IRP has that nobody has set a priority of.
const PRIORITY_NORMAL: u32 = 2;
/// IoPriorityCritical, the highest.
const PRIORITY_CRITICAL: u32 = 4;
const PRIORITY_SHIFT: u32 = irp_flags::PRIORITY_HINT.trailing_zeros();

/// IoGetIoPriorityHint.
pub fn priority_hint(irp: *mut Irp) -> u32 {
    match (at(irp).flags.get() & irp_flags::PRIORITY_HINT) >> PRIORITY_SHIFT {
        0 => PRIORITY_NORMAL,
        set => set - 1,
    }
}

/// IoSetIoPriorityHint.
pub fn set_priority_hint(irp: *mut Irp, hint: u32) -> NtStatus {
    if hint > PRIORITY_CRITICAL {
        return NtStatus::INVALID_PARAMETER;
    }
    let bits = (hint + 1) << PRIORITY_SHIFT;
    at(irp)
        .flags
        .update(|flags| flags & !irp_flags::PRIORITY_HINT | bits);
    NtStatus::SUCCESS
}

fn location(irp: *mut Irp, index: i8) -> *mut IoStackLocation {
    irp.cast::<u8>()
        .wrapping_add(HEAD + index as usize * LOCATION)
        .cast()
}

/// IoFreeIrp: the owner gives the memory back.
pub fn free(irp: *mut Irp) {
    let view = at(irp);
    if view.kind.get() != IO_TYPE_IRP {
        verify::bug_check(
            0x44,
            [irp as u64, 0, 0, 0],
            "IoFreeIrp of an IRP that was freed before",
        );
    }
    if view.cancel_routine.load(Ordering::Acquire) != 0 {
        verify::violation("NT-IRP-02", "an IRP is freed while a cancel routine is set");
    }
    take_originator(irp);
    in_flight::end(irp);
    view.kind.set(0);
    pool::free(irp.cast(), Some(TAG));
    LIVE.fetch_sub(1, Ordering::Relaxed);
}

/// Says who gets the IRP back.
pub fn set_originator(irp: *mut Irp, originator: Arc<dyn Originator>) {
    take_originator(irp);
    at(irp)
        .irp_extension
        .set(Box::into_raw(Box::new(originator)).cast());
}

fn take_originator(irp: *mut Irp) -> Option<Arc<dyn Originator>> {
    let view = at(irp);
    let pointer = view.irp_extension.get().cast::<Arc<dyn Originator>>();
    if pointer.is_null() {
        return None;
    }
    view.irp_extension.set(std::ptr::null_mut());
    // SAFETY: only `set_originator` stores there, a box made by it; the field was cleared, so it is taken once. Drivers
    // do not know the field.
    Some(*unsafe { Box::from_raw(pointer) })
}

/// IoGetCurrentIrpStackLocation.
#[inline]
pub fn current(irp: *mut Irp) -> &'static IoStackLocation {
    at(at(irp).current_stack_location.get())
}

/// IoGetNextIrpStackLocation.
#[inline]
pub fn next(irp: *mut Irp) -> &'static IoStackLocation {
    at(at(irp).current_stack_location.get().wrapping_sub(1))
}

/// IoSkipCurrentIrpStackLocation.
pub fn skip_current(irp: *mut Irp) {
    let view = at(irp);
    view.current_location.update(|location| location + 1);
    view.current_stack_location
        .update(|location| location.wrapping_add(1));
}

/// IoSetNextIrpStackLocation.
pub fn set_next(irp: *mut Irp) {
    let view = at(irp);
    view.current_location.update(|location| location - 1);
    view.current_stack_location
        .update(|location| location.wrapping_sub(1));
}

/// IoCopyCurrentIrpStackLocationToNext: all but the completion routine.
pub fn copy_current_to_next(irp: *mut Irp) {
    let from = current(irp);
    let to = next(irp);
    to.major_function.set(from.major_function.get());
    to.minor_function.set(from.minor_function.get());
    to.flags.set(from.flags.get());
    to.control.set(0);
    for (to, from) in to.parameters.iter().zip(&from.parameters) {
        to.set(from.get());
    }
    to.device_object.set(from.device_object.get());
    to.file_object.set(from.file_object.get());
}

/// IoSetCompletionRoutine: `on` says whether to call it on success, on error, and on cancel.
pub fn set_completion_routine(
    irp: *mut Irp,
    routine: Completion,
    context: *mut u8,
    on_success: bool,
    on_error: bool,
    on_cancel: bool,
) {
    let next = next(irp);
    next.completion_routine.set(Some(routine));
    next.context.set(context);
    let mut control = 0;
    for (wanted, bit) in [
        (on_success, sl::INVOKE_ON_SUCCESS),
        (on_error, sl::INVOKE_ON_ERROR),
        (on_cancel, sl::INVOKE_ON_CANCEL),
    ] {
        if wanted {
            control |= bit;
        }
    }
    next.control.set(control);
}

/// IoMarkIrpPending.
pub fn mark_pending(irp: *mut Irp) {
    current(irp)
        .control
        .update(|control| control | sl::PENDING_RETURNED);
}

/// IoCallDriver: passes the IRP to `device`, whose driver owns it from here on.
pub fn call_driver(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    if verify::settings().force_pending {
        return force_pending::around(irp, || send(device, irp));
    }
    send(device, irp)
}

/// Passes the IRP to the driver of `device`, for a driver or for the I/O manager itself.
pub(super) fn send(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    let view = at(irp);
    if view.kind.get() != IO_TYPE_IRP {
        verify::violation("NT-IRP-03", "IoCallDriver with an IRP that was freed");
    }
    let index = view.current_location.get() - 1;
    if index <= 0 {
        verify::bug_check(
            0x35,
            [irp as u64, 0, 0, 0],
            "NO_MORE_IRP_STACK_LOCATIONS: the IRP has fewer stack locations than the stack has devices",
        );
    }
    set_next(irp);
    let location = current(irp);
    location.device_object.set(device);
    let major = location.major_function.get();
    let driver = at(at(device).driver_object.get());
    match driver
        .major_function
        .get(usize::from(major))
        .and_then(super::abi::Field::get)
    {
        Some(routine) => callout::dispatch(routine, device, irp),
        None => verify::violation(
            "NT-IRP-05",
            format!(
                "the driver {} has no dispatch routine for major function {major:#x}",
                driver.driver_name.text()
            ),
        ),
    }
}

/// IoCompleteRequest: gives the IRP back to the driver above, and on until somebody keeps it.
pub fn complete(irp: *mut Irp, boost: i8) {
    let view = at(irp);
    let stack_count = view.stack_count.get();
    if view.kind.get() != IO_TYPE_IRP || view.current_location.get() > stack_count + 1 {
        verify::bug_check(
            0x44,
            [irp as u64, 0, 0, 0],
            "MULTIPLE_IRP_COMPLETE_REQUESTS: IoCompleteRequest of an IRP that was completed before",
        );
    }
    check_completion(irp);
    // The I/O manager's own byte, as good as any to carry the boost to the originator's end: the last driver to complete decides.
    view.apc_environment.set(boost);
    go_on_completing(irp);
}

/// The way up of a completed IRP, from its present location.
pub(super) fn go_on_completing(irp: *mut Irp) {
    let view = at(irp);
    let stack_count = view.stack_count.get();
    let stops = verify::settings().force_pending;
    loop {
        if stops && force_pending::stops(irp) {
            return;
        }
        let location = current(irp);
        skip_current(irp);
        let index = view.current_location.get();
        if index > stack_count + 1 {
            break;
        }
        let control = location.control.get();
        let pending = control & sl::PENDING_RETURNED;
        view.pending_returned.set(pending);
        let status = view.io_status.status.get();
        let wanted = if status.is_success() {
            sl::INVOKE_ON_SUCCESS
        } else {
            sl::INVOKE_ON_ERROR
        };
        let called = control & wanted != 0
            || (view.cancel.get() != 0 && control & sl::INVOKE_ON_CANCEL != 0);
        let routine = location.completion_routine.get();
        let context = location.context.get();
        clear_location(location);
        if let (true, Some(routine)) = (called, routine) {
            let device = if index == stack_count + 1 {
                std::ptr::null_mut()
            } else {
                current(irp).device_object.get()
            };
            if callout::completion(routine, device, irp, context)
                == NtStatus::MORE_PROCESSING_REQUIRED
            {
                return;
            }
        } else if pending != 0 && index <= stack_count {
            mark_pending(irp);
        }
    }
    match take_originator(irp) {
        Some(originator) => originator.done(irp),
        None => verify::violation(
            "NT-IRP-04",
            "an IRP made by a driver was completed to the end: the driver's completion routine must keep it \
             (STATUS_MORE_PROCESSING_REQUIRED) and free it",
        ),
    }
}

/// What must hold whenever a driver completes an IRP.
fn check_completion(irp: *mut Irp) {
    thread::require_at_most(DISPATCH_LEVEL, "IoCompleteRequest");
    let view = at(irp);
    let status = view.io_status.status.get();
    let major = || {
        if view.current_location.get() <= view.stack_count.get() {
            mj::name(current(irp).major_function.get())
        } else {
            "finished"
        }
    };
    if view.cancel_routine.load(Ordering::Acquire) != 0 {
        verify::violation(
            "NT-IRP-06",
            format!(
                "a {} IRP is completed while its cancel routine is still set",
                major()
            ),
        );
    }
    if status == NtStatus::PENDING || status.0 == -1 {
        verify::violation(
            "NT-IRP-07",
            format!("a {} IRP is completed with {status}", major()),
        );
    }
}

fn clear_location(location: &IoStackLocation) {
    location.minor_function.set(0);
    location.flags.set(0);
    location
        .control
        .update(|control| control & sl::ERROR_RETURNED);
    for parameter in location.parameters.iter().take(3) {
        parameter.set(0);
    }
    location.file_object.set(std::ptr::null_mut());
    location.completion_routine.set(None);
}

/// The system's cancel spin lock.
static CANCEL_LOCK: KspinLock = KspinLock::new();

/// IoAcquireCancelSpinLock: gives the level before.
pub fn acquire_cancel_lock() -> u8 {
    spinlock::raise_and_acquire(&CANCEL_LOCK)
}

/// IoReleaseCancelSpinLock.
pub fn release_cancel_lock(old: u8) {
    spinlock::release_and_lower(&CANCEL_LOCK, old);
}

/// IoSetCancelRoutine: gives the routine before, as an address (0 is none).
pub fn set_cancel_routine(irp: *mut Irp, routine: Option<Cancel>) -> usize {
    at(irp)
        .cancel_routine
        .swap(cancel_routine_address(routine), Ordering::AcqRel)
}

/// IoCancelIrp: marks the IRP canceled and calls its cancel routine, if it has one. True: it had one.
pub fn cancel(irp: *mut Irp) -> bool {
    let old = acquire_cancel_lock();
    let view = at(irp);
    view.cancel.set(1);
    let routine = view.cancel_routine.swap(0, Ordering::AcqRel);
    if routine == 0 {
        release_cancel_lock(old);
        return false;
    }
    if view.current_location.get() > view.stack_count.get() + 1 {
        verify::bug_check(
            0x48,
            [irp as u64, 0, 0, 0],
            "CANCEL_STATE_IN_COMPLETED_IRP: a completed IRP is canceled and has a cancel routine",
        );
    }
    view.cancel_irql.set(old);
    let device = current(irp).device_object.get();
    // SAFETY: the field holds what `IoSetCancelRoutine` stored: the address of a cancel routine.
    let routine = unsafe { std::mem::transmute::<usize, Cancel>(routine) };
    callout::cancel(routine, device, irp);
    if spinlock::is_mine(&CANCEL_LOCK) || thread::irql() != old {
        verify::violation(
            "NT-IRP-08",
            format!(
                "the cancel routine {} returned without releasing the cancel spin lock at the level in Irp->CancelIrql",
                callout::routine_name(routine as usize)
            ),
        );
    }
    true
}

/// An IRP that somebody waits for.
struct Synchronous {
    done: Event,
}

impl Originator for Synchronous {
    fn done(&self, _irp: *mut Irp) {
        self.done.set();
    }
}

/// Sends an IRP whose next stack location is filled in, waits for it, and gives its final status. The caller owns the IRP again.
pub fn send_and_wait(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    let synchronous = Arc::new(Synchronous {
        done: Event::new(true, false),
    });
    set_originator(irp, Arc::<Synchronous>::clone(&synchronous));
    let major = next(irp).major_function.get();
    let minor = next(irp).minor_function.get();
    let _ = send(device, irp);
    let sent = Address(irp);
    let _waiting = verify::waiting(move || {
        format!(
            "{} (minor {minor:#x}), which {}",
            mj::name(major),
            in_flight::whereabouts(sent.get())
        )
    });
    synchronous.done.wait();
    at(irp).io_status.status.get()
}
