//! What a queue remembers of its device, so that a delivery finds it with one call of the framework.

use core::{
    ptr::NonNull,
    sync::atomic::{AtomicPtr, Ordering},
};

use wdk_sys::{WDF_OBJECT_ATTRIBUTES, WDFDEVICE, WDFDEVICE__, WDFQUEUE};

use crate::{
    context,
    device::{self, Borrowed, DeviceContext},
    object::{self, Life},
};

/// The context of every queue, behind what every object of this crate has. All zero is valid: nothing remembered.
///
/// Invariant: while `of` is not null, `device` is the queue's device, `place` is where that has the context whose type's record is `of`, and
/// `context` is that context once it is installed.
#[repr(C)]
struct Home {
    _life: Life,
    device: AtomicPtr<WDFDEVICE__>,
    place: AtomicPtr<()>,
    context: AtomicPtr<()>,
    of: AtomicPtr<()>,
}

/// Attributes of a queue.
pub(super) fn attributes() -> WDF_OBJECT_ATTRIBUTES {
    object::orphan_attributes_with::<Home>()
}

/// # Safety
/// The queue exists.
unsafe fn home<'a>(queue: WDFQUEUE) -> Option<&'a Home> {
    // SAFETY: it exists (contract).
    let space = unsafe { object::life(queue.cast()) };
    // SAFETY: null, or zeroed space of this size: every queue was created with these attributes. There while the queue is.
    unsafe { space.cast::<Home>().as_ref() }
}

/// # Safety
/// `queue` has just been created on `device`, which was created with a context of type `D`.
pub(super) unsafe fn remember<D: DeviceContext>(queue: WDFQUEUE, device: WDFDEVICE) {
    // SAFETY: just created (contract).
    let Some(home) = (unsafe { home(queue) }) else {
        return;
    };
    // SAFETY: the device exists: it is being set up.
    let place = unsafe { context::place::<D>(device.cast()) };
    home.device.store(device, Ordering::Relaxed);
    home.place.store(place, Ordering::Relaxed);
    // SAFETY: just found; a device has room for its context (contract).
    let context = unsafe { context::within::<D>(place) };
    home.context.store(context, Ordering::Relaxed);
    // INVARIANT: the device's, both of them.
    home.of.store(context::key::<D>(), Ordering::Release);
}

/// The device of a queue that delivers to a handler typed by it.
///
/// # Safety
/// `queue` was created for devices with a context `D` and delivers: so does its device exist, until the result has gone.
#[inline]
pub(super) unsafe fn delivering<D: DeviceContext>(queue: WDFQUEUE) -> Borrowed<D> {
    // SAFETY: it exists (contract).
    let home = unsafe { home(queue) };
    // SAFETY: created with room for it.
    let home = unsafe { home.unwrap_unchecked() };
    // SAFETY: a queue delivers after `remember`, and for a D (contract); a device is made with room for it, and nothing is delivered
    // before that is installed (R-DEV-17).
    let context = unsafe { NonNull::new_unchecked(home.context.load(Ordering::Relaxed)) };
    // SAFETY: as above: never null after `remember`.
    let device = unsafe { NonNull::new_unchecked(home.device.load(Ordering::Relaxed)) };
    // SAFETY: that device, with its own context.
    unsafe { device::lend(device, context.cast()) }
}

/// The device of a queue, if its context is installed and is a `D`.
///
/// # Safety
/// `queue` exists, and so does its device, until the result has gone.
pub(crate) unsafe fn device<D: DeviceContext>(queue: WDFQUEUE) -> Option<Borrowed<D>> {
    // SAFETY: it exists (contract).
    let home = unsafe { home(queue) }?;
    if home.of.load(Ordering::Acquire) != context::key::<D>() {
        return None;
    }
    // SAFETY: the place of a D in a device that exists (type invariant, contract).
    let context = unsafe { context::at::<D>(home.place.load(Ordering::Relaxed)) }?;
    let device = NonNull::new(home.device.load(Ordering::Relaxed))?;
    // SAFETY: that device, with its own context.
    Some(unsafe { device::lend(device, context) })
}
