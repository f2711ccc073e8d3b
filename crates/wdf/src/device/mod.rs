//! Devices.
//!
//! A device is made in three steps: [`DeviceInit`] says what it will be, [`DeviceInit::create`] makes a [`NewDevice`] whose queues, timers and
//! work items can be created, and [`NewDevice::install`] puts its context in. Until that has happened the framework presents nothing
//! (R-DEV-17), and from then on every callback is given `&Device<D>`, which dereferences to the context.

mod control;
mod init;
mod interface;
mod pnp;
mod property;

use core::{marker::PhantomData, mem::ManuallyDrop, ops::Deref, ptr::NonNull};

use wdk_sys::{WDFDEVICE, WDFDEVICE__, WDFREQUEST, call_unsafe_wdf_function_binding};

pub use self::{
    control::ControlDevice,
    init::{Control, DeviceInit, Filter, Function, InStack, IoType, Role, Undecided},
    pnp::{PnpCallbacks, SpecialFile},
    property::Property,
};
use crate::{
    Status,
    context::{self, Context},
    cx::Brand,
    object::ObjectRef,
    queue,
    request::RequestContext,
    target::Target,
};

/// The context of a device, and with it the type of the contexts of its requests.
pub trait DeviceContext: Context {
    /// The driver's own data on every request of the device; `()` for none.
    type Request: RequestContext;
}

/// A device whose context is installed. Holds a reference on its object; dereferences to the context.
///
/// Invariant: `context` is the installed `D` in the context space of `object`; it lives as long as the reference.
pub struct Device<D: DeviceContext> {
    object: ObjectRef,
    context: NonNull<D>,
}

// SAFETY: a counted handle and a shared reference to a `Context`, which is Send + Sync.
unsafe impl<D: DeviceContext> Send for Device<D> {}
// SAFETY: as above.
unsafe impl<D: DeviceContext> Sync for Device<D> {}

impl<D: DeviceContext> Deref for Device<D> {
    type Target = D;

    fn deref(&self) -> &D {
        // SAFETY: the type's invariant: installed, and dropped only after the last reference has gone.
        unsafe { self.context.as_ref() }
    }
}

impl<D: DeviceContext> Clone for Device<D> {
    /// `WdfObjectReference`. IRQL <= `DISPATCH_LEVEL`.
    fn clone(&self) -> Self {
        Self {
            object: self.object.clone(),
            context: self.context,
        }
    }
}

impl<D: DeviceContext> Device<D> {
    pub(crate) fn handle(&self) -> WDFDEVICE {
        self.object.raw().cast()
    }

    pub(crate) const fn context(&self) -> NonNull<D> {
        self.context
    }

    /// The `DeviceType` of the device object, which a filter has from the device below it.
    #[must_use]
    pub fn device_type(&self) -> u32 {
        // SAFETY: referenced.
        let object = unsafe {
            call_unsafe_wdf_function_binding!(WdfDeviceWdmGetDeviceObject, self.handle())
        };
        // SAFETY: the WDM object lives as long as the framework's.
        unsafe { (*object).DeviceType }
    }

    /// How its reads and writes carry their data: `DO_BUFFERED_IO` (4), `DO_DIRECT_IO` (16) or neither (0), which a filter has from the
    /// device below it.
    #[must_use]
    pub fn io_flags(&self) -> u32 {
        const DO_BUFFERED_OR_DIRECT: u32 = 0x4 | 0x10;
        // SAFETY: referenced.
        let object = unsafe {
            call_unsafe_wdf_function_binding!(WdfDeviceWdmGetDeviceObject, self.handle())
        };
        // SAFETY: the WDM object lives as long as the framework's.
        let flags = unsafe { (*object).Flags };
        flags & DO_BUFFERED_OR_DIRECT
    }

    /// The alignment its buffers keep to, less one. Stands for `WdfDeviceGetAlignmentRequirement`.
    #[must_use]
    pub fn alignment(&self) -> u32 {
        // SAFETY: referenced.
        unsafe {
            call_unsafe_wdf_function_binding!(WdfDeviceGetAlignmentRequirement, self.handle())
        }
    }
}

/// A device in the middle of being set up: created, its context not yet installed.
///
/// Invariant: `handle` exists; `'i` is that of the [`DeviceInit`] it was made of.
pub struct NewDevice<'i, D: DeviceContext, R> {
    handle: WDFDEVICE,
    scope: Brand<'i>,
    of: PhantomData<fn() -> (D, R)>,
}

impl<D: DeviceContext, R> NewDevice<'_, D, R> {
    pub(crate) const fn handle(&self) -> WDFDEVICE {
        self.handle
    }

    /// The default I/O target: the next device of the stack. Stands for `WdfDeviceGetIoTarget` (R-TGT-01).
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_STATE` for a device that has none.
    pub fn target(&self) -> Result<Target, Status> {
        // SAFETY: the device exists: it is being set up in this callback.
        let target =
            unsafe { call_unsafe_wdf_function_binding!(WdfDeviceGetIoTarget, self.handle) };
        // SAFETY: null or the device's own target, live as long as the device.
        unsafe { Target::acquire(target, self.handle) }.ok_or(Status::INVALID_DEVICE_STATE)
    }

    /// Puts the context in: the device is complete, and the framework may present requests to it (R-DEV-17).
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_STATE` if the device has no space for it, which [`DeviceInit::create`] rules out.
    fn complete(self, context: D) -> Result<Device<D>, Status> {
        // SAFETY: created by this value's maker, not published: the framework presents nothing yet (R-DEV-17).
        let context = unsafe { context::install(self.handle.cast(), context) }
            .map_err(|_| Status::INVALID_DEVICE_STATE)?;
        // SAFETY: the device exists.
        let object = unsafe { ObjectRef::acquire(self.handle.cast()) }
            .ok_or(Status::INVALID_DEVICE_STATE)?;
        Ok(Device { object, context })
    }
}

impl<'i, D: DeviceContext, R: InStack> NewDevice<'i, D, R> {
    /// Puts the context in: the device is complete, and the framework presents requests to it once `EvtDriverDeviceAdd` has
    /// returned (R-DEV-17). The token is what that callback has to return.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_STATE` if the device has no space for it, which [`DeviceInit::create`] rules out.
    pub fn install(self, context: D) -> Result<Added<'i>, Status> {
        self.complete(context)?;
        Ok(Added::token())
    }
}

/// Proof that `EvtDriverDeviceAdd` may report success: a device was made of the structure it was given, its context installed; or
/// that structure was declined.
///
/// Invariant: `'i` is that of the structure, so no other device's token will do.
#[must_use]
pub struct Added<'i>(Brand<'i>);

impl Added<'_> {
    const fn token() -> Self {
        Self(PhantomData)
    }
}

/// A device lent to one callback.
pub(crate) struct Borrowed<D: DeviceContext>(ManuallyDrop<Device<D>>);

impl<D: DeviceContext> Deref for Borrowed<D> {
    type Target = Device<D>;

    fn deref(&self) -> &Device<D> {
        &self.0
    }
}

/// The device of a callback, if its context is installed and is a `D`.
///
/// # Safety
/// `handle` is null or a device that exists until the result has gone.
pub(crate) unsafe fn borrow<D: DeviceContext>(handle: WDFDEVICE) -> Option<Borrowed<D>> {
    let handle = NonNull::new(handle)?;
    // SAFETY: contract of this function.
    let context = unsafe { context::get::<D>(handle.as_ptr().cast()) }?;
    // SAFETY: its context, just found.
    Some(unsafe { lend(handle, context) })
}

/// A device whose context has been found before.
///
/// # Safety
/// `handle` is a device that exists until the result has gone, and `context` is its installed context.
#[inline]
pub(crate) unsafe fn lend<D: DeviceContext>(
    handle: NonNull<WDFDEVICE__>,
    context: NonNull<D>,
) -> Borrowed<D> {
    // SAFETY: never dropped: `Borrowed` keeps it in a ManuallyDrop.
    let object = unsafe { ObjectRef::adopt(handle.cast()) };
    Borrowed(ManuallyDrop::new(Device { object, context }))
}

/// The device on whose queue a request is.
///
/// # Safety
/// The caller owns `request`, which was presented by a queue; the device outlives its requests.
pub(crate) unsafe fn of_request<D: DeviceContext>(request: WDFREQUEST) -> Option<Borrowed<D>> {
    // SAFETY: owned (contract).
    let queue = unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetIoQueue, request) };
    // SAFETY: the queue of an owned request exists (R-REQ-47); null has no device.
    unsafe { of_queue::<D>(queue) }
}

/// The device of a queue.
///
/// # Safety
/// `queue` is null or exists, and so does its device, until the result has gone.
pub(crate) unsafe fn of_queue<D: DeviceContext>(queue: wdk_sys::WDFQUEUE) -> Option<Borrowed<D>> {
    if queue.is_null() {
        return None;
    }
    // SAFETY: it exists (contract).
    unsafe { queue::device_of::<D>(queue) }
}
