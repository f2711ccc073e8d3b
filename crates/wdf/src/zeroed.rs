//! Memory for what is too large for a kernel stack: built in place, all zero.

use core::{marker::PhantomData, ops::Deref, ptr::NonNull};

use wdk_sys::{WDFMEMORY, WDFOBJECT, call_unsafe_wdf_function_binding};
use zerocopy::FromZeros;

use crate::{
    Status, context,
    cx::{Cx, Passive, Setup},
    device::{DeviceContext, NewDevice},
    driver,
    object::ObjectRef,
};

/// A `T` in non-paged memory, made of zeros where it lies and shared from then on. Stands for `WdfMemoryCreate`.
///
/// Invariant: `at` is a valid `T`, initialised and aligned, for as long as `object` is referenced; only `&T` is ever made of it.
pub struct Zeroed<T> {
    object: ObjectRef,
    at: NonNull<T>,
    of: PhantomData<T>,
}

// SAFETY: a counted handle and a `&T`; dropping it drops no T, see `new`.
unsafe impl<T: Sync> Send for Zeroed<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Zeroed<T> {}

impl<T: FromZeros + Sync> Zeroed<T> {
    /// Memory of a device.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new<D: DeviceContext, R>(
        _cx: &Cx<'_, impl Passive>,
        device: &NewDevice<'_, D, R>,
        tag: [u8; 4],
    ) -> Result<Self, Status> {
        // SAFETY: the device exists: it is being set up.
        unsafe { Self::below(device.handle().cast(), tag) }
    }

    /// Memory of the driver.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn of_driver(_cx: &Cx<'_, Setup>, tag: [u8; 4]) -> Result<Self, Status> {
        // SAFETY: the driver object exists in every callback.
        unsafe { Self::below(driver::handle().cast(), tag) }
    }

    /// # Safety
    /// `parent` exists.
    unsafe fn below(parent: WDFOBJECT, tag: [u8; 4]) -> Result<Self, Status> {
        const {
            assert!(size_of::<T>() != 0, "no memory of no size (R-DEV-92)");
            assert!(align_of::<T>() <= 16, "pool is aligned to 16 bytes");
            assert!(!core::mem::needs_drop::<T>(), "nobody would drop it");
        };
        let mut attributes = context::plain_attributes();
        attributes.ParentObject = parent;
        let mut memory: WDFMEMORY = core::ptr::null_mut();
        let mut at = core::ptr::null_mut();
        // SAFETY: all pointers are to locals; the parent exists (contract).
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfMemoryCreate,
                &raw mut attributes,
                wdk_sys::_POOL_TYPE::NonPagedPoolNx,
                u32::from_le_bytes(tag),
                size_of::<T>(),
                &raw mut memory,
                &raw mut at
            )
        };
        Status::from_raw(status).ok()?;
        // SAFETY: just created.
        let object =
            unsafe { ObjectRef::acquire(memory.cast()) }.ok_or(Status::INSUFFICIENT_RESOURCES)?;
        let at = NonNull::new(at.cast::<T>()).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        // SAFETY: that many bytes lie there, nobody else knows them; a T is made of zeros (`FromZeros`).
        unsafe { at.write_bytes(0, 1) };
        Ok(Self {
            object,
            at,
            of: PhantomData,
        })
    }
}

impl<T> Deref for Zeroed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        _ = &self.object;
        // SAFETY: valid for as long as `self` holds its reference (type invariant).
        unsafe { self.at.as_ref() }
    }
}
