//! A counted reference on a framework object.

use core::ptr::NonNull;

use wdk_sys::{WDFOBJECT, call_unsafe_wdf_function_binding};

/// One framework reference. Stands for `WdfObjectReference` and `WdfObjectDereference`.
///
/// Invariant: `0` is the handle of an object on which this value owns one reference, so its memory exists
/// (R-OBJ-12). Referencing and dereferencing are legal at IRQL <= `DISPATCH_LEVEL` and after deletion began (R-OBJ-16).
pub struct ObjectRef(NonNull<core::ffi::c_void>);

// SAFETY: a handle may be used from any thread; the framework counts references atomically (R-OBJ-11).
unsafe impl Send for ObjectRef {}
// SAFETY: as above; `&ObjectRef` only gives the handle away.
unsafe impl Sync for ObjectRef {}

impl ObjectRef {
    /// Takes one more reference on `handle`, or nothing if it is null.
    ///
    /// # Safety
    /// `handle` is null or the handle of an object that exists during this call.
    pub(crate) unsafe fn acquire(handle: WDFOBJECT) -> Option<Self> {
        let handle = NonNull::new(handle)?;
        // SAFETY: the object exists during the call (contract of this function).
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfObjectReferenceActual,
                handle.as_ptr(),
                core::ptr::null_mut(),
                0,
                core::ptr::null_mut()
            );
        }
        // INVARIANT: the reference just taken.
        Some(Self(handle))
    }

    /// Takes over a reference that exists already, or borrows one for as long as the result is kept from being dropped.
    ///
    /// # Safety
    /// `handle` is not null, and a reference on it may be given up by this value, or this value is never dropped.
    pub(crate) const unsafe fn adopt(handle: NonNull<core::ffi::c_void>) -> Self {
        Self(handle)
    }

    /// The handle.
    pub(crate) const fn raw(&self) -> WDFOBJECT {
        self.0.as_ptr()
    }
}

impl Clone for ObjectRef {
    fn clone(&self) -> Self {
        // SAFETY: the object exists by the type's invariant.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfObjectReferenceActual,
                self.0.as_ptr(),
                core::ptr::null_mut(),
                0,
                core::ptr::null_mut()
            );
        }
        Self(self.0)
    }
}

impl Drop for ObjectRef {
    fn drop(&mut self) {
        // SAFETY: the type's invariant: this value owns the reference it gives back.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfObjectDereferenceActual,
                self.0.as_ptr(),
                core::ptr::null_mut(),
                0,
                core::ptr::null_mut()
            );
        }
    }
}
