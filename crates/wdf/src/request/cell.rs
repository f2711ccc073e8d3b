//! wdf's own context on every I/O request, with room for the driver's behind it.
//!
//! Set by `WdfDeviceInitSetRequestAttributes` with a size override: one type record for every request of every driver that
//! uses this crate, whatever the driver appends. All-zero is valid: the framework zeroes the space for every
//! new request (R-OBJ-68).

use core::{
    cell::UnsafeCell,
    mem::MaybeUninit,
    ptr::{self, NonNull},
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
};

use wdk_sys::{
    WDF_OBJECT_ATTRIBUTES, WDF_OBJECT_CONTEXT_TYPE_INFO, WDFDEVICE, WDFDEVICE__, WDFMEMORY,
    WDFOBJECT, WDFREQUEST, call_unsafe_wdf_function_binding,
};

use crate::{
    context::{self, Context},
    device::{self, Borrowed, Device, DeviceContext},
    parked_list::Links,
};

use super::{piece::Borrows, sent::Left, shares::Shares, state::State};

/// A driver's own data on every request of a device.
///
/// Built by `Default` when the request is first presented, dropped when its memory goes; at IRQL <= `DISPATCH_LEVEL`.
pub trait RequestContext: Context + Default {}
impl RequestContext for () {}

/// The first part of a request's context space.
///
/// Invariant: `state` says which party may end the request, as drawn in [`super`]. `driver` is null, or `type_key::<T>()` of the `T`
/// that is initialised behind this cell. `device` is null, or the device
/// the request belongs to; without a request that is not ended yet it is compared, never followed. While `home_type` is not null, `home` is
/// the installed context of that device, and `home_type` the record of its type.
#[repr(C)]
pub(crate) struct Cell {
    pub(crate) state: State,
    driver: AtomicPtr<()>,
    device: AtomicPtr<WDFDEVICE__>,
    home: AtomicPtr<()>,
    home_type: AtomicPtr<()>,
    /// Identity of the list the request is on, or 0.
    pub(crate) list: AtomicUsize,
    /// Guarded by the lock of that list.
    pub(crate) links: UnsafeCell<Links>,
    /// User buffers locked in the caller's context; written there, read by the owner (R-REQ-75).
    pub(crate) locked_in: AtomicPtr<core::ffi::c_void>,
    pub(crate) locked_out: AtomicPtr<core::ffi::c_void>,
    /// What the completion routine came with when it left the request to a canceller.
    pub(crate) left: Left,
    /// Who holds a share of it while it is lent.
    pub(crate) shares: Shares,
    /// Of a request the driver made: what its IRP borrows. Touched by its owner only.
    pub(crate) borrows: Borrows,
}

#[repr(C)]
struct Space<T> {
    cell: Cell,
    value: UnsafeCell<MaybeUninit<T>>,
}

struct Record(WDF_OBJECT_CONTEXT_TYPE_INFO);
// SAFETY: never written; its pointers are to 'static constants.
unsafe impl Sync for Record {}
static RECORD: Record = Record(context::type_info(c"wdf request", size_of::<Cell>()));

/// One address per `T`: that of its type record.
fn type_key<T: RequestContext>() -> *mut () {
    context::key::<T>()
}

/// Attributes of the I/O requests of a device.
pub(crate) fn attributes<T: RequestContext>() -> WDF_OBJECT_ATTRIBUTES {
    const {
        assert!(
            align_of::<Space<T>>() <= 8,
            "context space is aligned to pointers only (R-OBJ-63)"
        );
    };
    WDF_OBJECT_ATTRIBUTES {
        ContextTypeInfo: &raw const RECORD.0,
        ContextSizeOverride: size_of::<Space<T>>(),
        // A pass-through request pays for a destroy callback only if there is something to drop.
        EvtDestroyCallback: if core::mem::needs_drop::<T>() {
            Some(evt_destroy::<T>)
        } else {
            None
        },
        ..context::plain_attributes()
    }
}

/// Attributes of a request the driver makes itself: it may own an MDL, so it has a destroy callback always.
pub(super) fn attributes_of_own<T: RequestContext>() -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        EvtDestroyCallback: Some(super::own::evt_destroy::<T>),
        ..attributes::<T>()
    }
}

impl Cell {
    /// The cell of a request, if its device was created by this crate.
    ///
    /// # Safety
    /// The request's memory exists for `'a`: it is owned or referenced (context access is legal with a reference, R-OBJ-70).
    pub(crate) unsafe fn of<'a>(request: WDFREQUEST) -> Option<&'a Self> {
        // SAFETY: the object exists (contract).
        let space = unsafe { context::space(request.cast(), &raw const RECORD.0) };
        // SAFETY: space found by RECORD begins with a Cell, zeroed, stable and aligned (R-OBJ-63, R-OBJ-64).
        unsafe { space.cast::<Self>().as_ref() }
    }

    /// Whether `request`, whose cell this is, belongs to the device at that address.
    ///
    /// # Safety
    /// The caller owns `request`.
    #[inline]
    pub(crate) unsafe fn is_of(&self, request: WDFREQUEST, device: usize) -> bool {
        // SAFETY: contract of this function.
        self.device.load(Ordering::Relaxed).addr() == device
            || unsafe { self.is_unpresented_of(request, device) }
    }

    /// Whether `request` was taken out of a queue of that device before any handler was given it.
    ///
    /// # Safety
    /// As [`is_of`](Self::is_of).
    #[cold]
    unsafe fn is_unpresented_of(&self, request: WDFREQUEST, device: usize) -> bool {
        if !self.device.load(Ordering::Relaxed).is_null() {
            return false;
        }
        // SAFETY: owned (contract).
        let queue = unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetIoQueue, request) };
        if queue.is_null() {
            return false;
        }
        // SAFETY: the queue of an owned request exists (R-REQ-47).
        let of = unsafe { call_unsafe_wdf_function_binding!(WdfIoQueueGetDevice, queue) };
        of.addr() == device
    }

    /// The device it belongs to, as its handle; null before it was first presented.
    pub(crate) fn device(&self) -> WDFDEVICE {
        self.device.load(Ordering::Relaxed)
    }

    /// The device it was presented on, if its context is a `D`.
    ///
    /// # Safety
    /// The request has not ended, and does not until the result has gone: its device exists.
    #[inline]
    pub(crate) unsafe fn home<D: DeviceContext>(&self) -> Option<Borrowed<D>> {
        if self.home_type.load(Ordering::Acquire) != context::key::<D>() {
            return None;
        }
        // SAFETY: type invariant: with a type there is a context.
        let context = unsafe { NonNull::new_unchecked(self.home.load(Ordering::Relaxed)) };
        // SAFETY: type invariant: with a type there is a device, which exists (contract).
        let device = unsafe { NonNull::new_unchecked(self.device()) };
        // SAFETY: that device and its context.
        Some(unsafe { device::lend(device, context.cast()) })
    }

    pub(crate) fn locked_in(&self) -> WDFMEMORY {
        self.locked_in.load(Ordering::Acquire).cast()
    }

    pub(crate) fn locked_out(&self) -> WDFMEMORY {
        self.locked_out.load(Ordering::Acquire).cast()
    }
}

/// The cell of a request that is being presented by a callback of `device`; the request's own context is built if this is the first time.
///
/// # Safety
/// The driver has just been given ownership of `request`, whose device is `device`, created by this crate.
#[inline]
pub(crate) unsafe fn presented<'a, D: DeviceContext>(
    request: WDFREQUEST,
    device: &Device<D>,
) -> &'a Cell {
    // SAFETY: owned (contract).
    let cell = unsafe { Cell::of(request) };
    // SAFETY: its device's requests have one (contract).
    let cell = unsafe { cell.unwrap_unchecked() };
    // Nearly always: the framework makes a request object for every IRP.
    if cell.driver.load(Ordering::Acquire).is_null() {
        // SAFETY: contract of this function.
        unsafe { build::<D::Request>(cell, device.handle()) };
        cell.home
            .store(device.context().as_ptr().cast(), Ordering::Relaxed);
        // INVARIANT: the context of that device, and its type.
        cell.home_type.store(context::key::<D>(), Ordering::Release);
    }
    cell
}

/// Builds the driver's context if this is the first presentation. False: the device was not created by this crate.
///
/// # Safety
/// The driver has just been given ownership of `request`, whose device, `device`, was created with request contexts of type `T`.
pub(crate) unsafe fn first_presentation<T: RequestContext>(
    request: WDFREQUEST,
    device: WDFDEVICE,
) -> bool {
    // SAFETY: owned (contract).
    let Some(cell) = (unsafe { Cell::of(request) }) else {
        return false;
    };
    if cell.driver.load(Ordering::Acquire).is_null() {
        // SAFETY: contract of this function.
        unsafe { build::<T>(cell, device) };
    }
    true
}

/// # Safety
/// The caller owns the request whose cell this is; its device, `device`, was created with request contexts of type `T`, and none is built yet.
#[inline]
unsafe fn build<T: RequestContext>(cell: &Cell, device: WDFDEVICE) {
    let space = ptr::from_ref(cell).cast::<Space<T>>();
    // SAFETY: `attributes::<T>` sized the space for a Space<T> whose first field is this cell.
    let value = unsafe { &raw const (*space).value };
    // SAFETY: inside that space; `UnsafeCell` allows the write, and the owner is the only one here.
    let value = unsafe { UnsafeCell::raw_get(value).as_mut() };
    if let Some(value) = value {
        value.write(T::default());
    }
    // INVARIANT: the request's device; it stays that for life.
    cell.device.store(device, Ordering::Relaxed);
    // INVARIANT: T is initialised behind the cell.
    cell.driver.store(type_key::<T>(), Ordering::Release);
}

/// The driver's context behind the cell, if it is a `T`.
///
/// # Safety
/// As [`Cell::of`].
pub(crate) unsafe fn context<'a, T: RequestContext>(request: WDFREQUEST) -> Option<&'a T> {
    // SAFETY: contract of this function.
    let cell = unsafe { Cell::of::<'a>(request) }?;
    if cell.driver.load(Ordering::Acquire) != type_key::<T>() {
        return None;
    }
    let space = ptr::from_ref(cell).cast::<Space<T>>();
    // SAFETY: the invariant of `driver`: a Space<T> lies here.
    let value = unsafe { &raw const (*space).value }.cast::<T>();
    // SAFETY: initialised by the same invariant; only shared references are ever made.
    unsafe { value.as_ref() }
}

pub(super) unsafe extern "C" fn evt_destroy<T: RequestContext>(object: WDFOBJECT) {
    // SAFETY: context access is legal during destroy (R-OBJ-34).
    let Some(cell) = (unsafe { Cell::of(object.cast()) }) else {
        return;
    };
    if cell.driver.swap(ptr::null_mut(), Ordering::AcqRel) == type_key::<T>() {
        let space = ptr::from_ref(cell).cast::<Space<T>>();
        // SAFETY: a Space<T> lies here by the invariant of `driver`.
        let value = unsafe { &raw const (*space).value }.cast::<T>();
        // SAFETY: initialised; null now keeps a second drop away.
        unsafe { ptr::drop_in_place(value.cast_mut()) };
    }
}
