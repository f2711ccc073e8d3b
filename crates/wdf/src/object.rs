//! A counted reference on a framework object, and the mark of its end.

use core::{
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

use wdk_sys::{
    WDF_OBJECT_ATTRIBUTES, WDF_OBJECT_CONTEXT_TYPE_INFO, WDFOBJECT,
    call_unsafe_wdf_function_binding,
};

use crate::context;

/// wdf's own context on the objects it creates for a device. All zero is valid: live, at rest.
///
/// A reference keeps an object's memory, not its business: once its parent is gone only context access is left (R-OBJ-16). Values of this
/// crate may be kept that long, so they look here before they call.
#[repr(C)]
pub(crate) struct Life {
    /// Set in the clean-up callback, when nothing but the memory is left.
    gone: AtomicBool,
    /// A state change that will report its end is under way (queues, R-QUE-80).
    changing: AtomicBool,
}

struct Record(WDF_OBJECT_CONTEXT_TYPE_INFO);
// SAFETY: never written; its pointers are to 'static constants.
unsafe impl Sync for Record {}
static RECORD: Record = Record(context::type_info(c"wdf object", size_of::<Life>()));

/// Attributes of an object below `parent` that carries a [`Life`].
pub(crate) fn attributes(parent: WDFOBJECT) -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        ParentObject: parent,
        ..orphan_attributes()
    }
}

/// Attributes of an object whose parent the framework knows, as of a queue, that carries a [`Life`].
pub(crate) fn orphan_attributes() -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        ContextTypeInfo: &raw const RECORD.0,
        EvtCleanupCallback: Some(evt_cleanup),
        ..context::plain_attributes()
    }
}

/// As [`orphan_attributes`], with room for a `T`, whose first field is the [`Life`].
pub(crate) fn orphan_attributes_with<T>() -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        ContextSizeOverride: size_of::<T>(),
        ..orphan_attributes()
    }
}

/// Where an object has its [`Life`].
///
/// # Safety
/// The object exists.
#[inline]
pub(crate) unsafe fn life(object: WDFOBJECT) -> *mut core::ffi::c_void {
    // SAFETY: contract of this function.
    unsafe { context::space(object, &raw const RECORD.0) }
}

unsafe extern "C" fn evt_cleanup(object: WDFOBJECT) {
    // SAFETY: the framework calls with an object that was created with the attributes above.
    if let Some(life) = unsafe { Life::of(object) } {
        life.gone.store(true, Ordering::Release);
    }
}

impl Life {
    /// # Safety
    /// The object's memory exists for `'a`.
    unsafe fn of<'a>(object: WDFOBJECT) -> Option<&'a Self> {
        // SAFETY: the object exists (contract).
        let space = unsafe { life(object) };
        // SAFETY: space found by RECORD begins with a Life, zeroed at creation, stable and aligned (R-OBJ-63, R-OBJ-64).
        unsafe { space.cast::<Self>().as_ref() }
    }

    /// Begins a state change that will report its end; false if one is under way.
    pub(crate) fn begin_change(&self) -> bool {
        !self.changing.swap(true, Ordering::AcqRel)
    }

    /// It has ended.
    pub(crate) fn end_change(&self) {
        self.changing.store(false, Ordering::Release);
    }
}

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

    /// The mark of an object this crate created, unless the object is gone.
    ///
    /// A removal that runs at this very moment may end the object after this looked. The memory is still there then, and the framework refuses
    /// what is asked of an object it has disposed of.
    pub(crate) fn life(&self) -> Option<&Life> {
        // SAFETY: the reference keeps the memory (type invariant).
        let life = unsafe { Life::of(self.raw()) }?;
        (!life.gone.load(Ordering::Acquire)).then_some(life)
    }

    /// Whether an object this crate created may still be called.
    pub(crate) fn is_live(&self) -> bool {
        self.life().is_some()
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
