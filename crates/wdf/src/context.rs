//! Typed context space of framework objects.
//!
//! A context lives in memory the framework allocates with the object: zeroed, never moved, gone when the last
//! reference goes (R-OBJ-63, R-OBJ-64). It is found by the address of its type record (R-OBJ-60), so a
//! driver writes one `static` per type. Until the value is installed a lookup finds nothing.
//!
//! Two phases end it: [`Context::cleanup`] runs in `EvtCleanupCallback`, when the object's children are already
//! cleaned up; `Drop` runs in `EvtDestroyCallback`, when the last reference has gone (R-OBJ-31, R-OBJ-34).

use core::{
    cell::UnsafeCell,
    ffi::CStr,
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU32, Ordering},
};

use wdk_sys::{
    _WDF_EXECUTION_LEVEL::WdfExecutionLevelInheritFromParent,
    _WDF_SYNCHRONIZATION_SCOPE::WdfSynchronizationScopeInheritFromParent, WDF_OBJECT_ATTRIBUTES,
    WDF_OBJECT_CONTEXT_TYPE_INFO, WDFOBJECT, call_unsafe_wdf_function_binding,
};

use crate::cx::{self, Cleanup, Cx};

/// A type that lives in the context space of a framework object.
pub trait Context: Send + Sync + Sized + 'static {
    /// The type's record: `static INFO: TypeInfo<Self> = TypeInfo::new(c"Name"); &INFO`.
    ///
    /// A record that changes between calls makes lookups fail, nothing worse: the record is typed.
    fn info() -> &'static TypeInfo<Self>;

    /// The object is being deleted; its children have been cleaned up. Stands for `EvtCleanupCallback`.
    fn cleanup(&self, cx: &mut Cx<'_, Cleanup>) {
        _ = cx;
    }
}

/// Identity of a context type. Stands for `WDF_DECLARE_CONTEXT_TYPE_WITH_NAME`.
///
/// Invariant: its address is that of no other record. `unique` makes the static writable data, which no linker merges.
#[repr(C)]
pub struct TypeInfo<T> {
    raw: WDF_OBJECT_CONTEXT_TYPE_INFO,
    unique: AtomicU32,
    of: PhantomData<fn() -> T>,
}

// SAFETY: the record is never written; its pointers are to 'static constants.
unsafe impl<T> Sync for TypeInfo<T> {}

impl<T: Context> TypeInfo<T> {
    /// A record for `T`.
    #[must_use]
    pub const fn new(name: &'static CStr) -> Self {
        const {
            assert!(
                align_of::<Block<T>>() <= 8,
                "context space is aligned to pointers only (R-OBJ-63)"
            );
        };
        Self {
            raw: type_info(name, size_of::<Block<T>>()),
            unique: AtomicU32::new(0),
            of: PhantomData,
        }
    }

    pub(crate) fn raw(&'static self) -> *const WDF_OBJECT_CONTEXT_TYPE_INFO {
        // Reading it keeps the field from being optimised out of existence.
        let _ = self.unique.load(Ordering::Relaxed);
        &raw const self.raw
    }
}

/// A type record for `size` bytes.
pub(crate) const fn type_info(name: &'static CStr, size: usize) -> WDF_OBJECT_CONTEXT_TYPE_INFO {
    WDF_OBJECT_CONTEXT_TYPE_INFO {
        Size: size_u32::<WDF_OBJECT_CONTEXT_TYPE_INFO>(),
        ContextName: name.as_ptr().cast_mut(),
        ContextSize: size,
        UniqueType: ptr::null(),
        EvtDriverGetUniqueContextType: None,
    }
}

/// `sizeof(T)` as the framework's `ULONG Size` fields want it.
#[expect(clippy::cast_possible_truncation, reason = "checked by the assertion")]
pub(crate) const fn size_u32<T>() -> u32 {
    const { assert!(size_of::<T>() <= u32::MAX as usize) };
    size_of::<T>() as u32
}

const ABSENT: u32 = 0;
const INSTALLED: u32 = 1;

/// What lies in the context space. All zero: absent.
///
/// Invariant: `value` is initialised if and only if `state` is `INSTALLED`; it goes to `INSTALLED` once, before the object
/// is presented to anybody else, and back to `ABSENT` only in the destroy callback.
#[repr(C)]
struct Block<T> {
    state: AtomicU32,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// `WDF_OBJECT_ATTRIBUTES_INIT`: sizes and neutral values (R-OBJ-50, R-OBJ-54).
pub(crate) fn plain_attributes() -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        Size: size_u32::<WDF_OBJECT_ATTRIBUTES>(),
        ExecutionLevel: WdfExecutionLevelInheritFromParent,
        SynchronizationScope: WdfSynchronizationScopeInheritFromParent,
        ..WDF_OBJECT_ATTRIBUTES::default()
    }
}

/// Attributes of an object that carries a `T`.
pub(crate) fn attributes<T: Context>() -> WDF_OBJECT_ATTRIBUTES {
    WDF_OBJECT_ATTRIBUTES {
        EvtCleanupCallback: Some(evt_cleanup::<T>),
        EvtDestroyCallback: Some(evt_destroy::<T>),
        ContextTypeInfo: T::info().raw(),
        ..plain_attributes()
    }
}

/// `WdfObjectGetTypedContext`: the space that belongs to the record, or null (R-OBJ-61). Any IRQL the places allow (R-OBJ-62).
///
/// # Safety
/// The object exists during the call, or is being destroyed.
pub(crate) unsafe fn space(
    object: WDFOBJECT,
    info: *const WDF_OBJECT_CONTEXT_TYPE_INFO,
) -> *mut core::ffi::c_void {
    // SAFETY: the object exists (contract); the record is a live static.
    unsafe { call_unsafe_wdf_function_binding!(WdfObjectGetTypedContextWorker, object, info) }
}

/// # Safety
/// As [`space`]; the result is valid for as long as the object's memory exists, which the caller must see to.
unsafe fn block<'a, T: Context>(object: WDFOBJECT) -> Option<&'a Block<T>> {
    // SAFETY: contract of this function.
    let space = unsafe { space(object, T::info().raw()) };
    // SAFETY: space found by T's own typed record was sized by `TypeInfo::<T>::new` for a Block<T>, is zeroed at
    // creation, aligned to 8 (asserted there) and stable (R-OBJ-63, R-OBJ-64).
    unsafe { space.cast::<Block<T>>().as_ref() }
}

/// Identity of a context type: the address of its record.
#[inline]
pub(crate) fn key<T: Context>() -> *mut () {
    ptr::from_ref(T::info()).cast_mut().cast()
}

/// Where an object has its `T`, installed or not; null if it has no room for one. For [`at`].
///
/// # Safety
/// As [`space`].
pub(crate) unsafe fn place<T: Context>(object: WDFOBJECT) -> *mut () {
    // SAFETY: contract of this function.
    unsafe { space(object, T::info().raw()) }.cast()
}

/// The installed context at a [`place`].
///
/// # Safety
/// `place` is null, or was found by [`place`] for this `T` on an object that exists, whose last reference does not go while the result is
/// used.
pub(crate) unsafe fn at<T: Context>(place: *mut ()) -> Option<NonNull<T>> {
    // SAFETY: null, or a Block<T> as in `block`.
    let block = unsafe { place.cast::<Block<T>>().as_ref() }?;
    // Acquire: pairs with the release in `install`, the value is seen whole.
    (block.state.load(Ordering::Acquire) == INSTALLED)
        .then(|| NonNull::from(&block.value).cast::<T>())
}

/// Where the value lies at a [`place`] once it is installed; null for null.
///
/// # Safety
/// As [`at`].
pub(crate) unsafe fn within<T: Context>(place: *mut ()) -> *mut () {
    // SAFETY: null, or a Block<T> (contract).
    unsafe { place.cast::<Block<T>>().as_ref() }
        .map_or(ptr::null_mut(), |block| block.value.get().cast())
}

/// The installed context of an object.
///
/// # Safety
/// The object exists, and its last reference does not go while the result is used.
pub(crate) unsafe fn get<T: Context>(object: WDFOBJECT) -> Option<NonNull<T>> {
    // SAFETY: contract of this function.
    let place = unsafe { place::<T>(object) };
    // SAFETY: just found; the object exists (contract).
    unsafe { at(place) }
}

/// Puts the value in. Gives it back if the object has no space for it or it is there already.
///
/// # Safety
/// The object exists and no one else can be installing the same type on it: the caller created it and has not
/// published it yet.
pub(crate) unsafe fn install<T: Context>(object: WDFOBJECT, value: T) -> Result<NonNull<T>, T> {
    // SAFETY: contract of this function.
    let Some(block) = (unsafe { block::<T>(object) }) else {
        return Err(value);
    };
    if block.state.load(Ordering::Relaxed) != ABSENT {
        return Err(value);
    }
    let place = block.value.get().cast::<T>();
    // SAFETY: ABSENT: uninitialised, and the caller is the only one here (contract); size and alignment fit.
    unsafe { place.write(value) };
    // INVARIANT: initialised from here on.
    block.state.store(INSTALLED, Ordering::Release);
    Ok(NonNull::from(&block.value).cast::<T>())
}

unsafe extern "C" fn evt_cleanup<T: Context>(object: WDFOBJECT) {
    // SAFETY: the framework calls with the live object that carries T.
    let Some(context) = (unsafe { get::<T>(object) }) else {
        return;
    };
    // SAFETY: installed; destroy comes after this callback has returned (R-OBJ-33).
    let context = unsafe { context.as_ref() };
    cx::enter::<Cleanup, _>(|cx| context.cleanup(cx));
}

unsafe extern "C" fn evt_destroy<T: Context>(object: WDFOBJECT) {
    // SAFETY: context access is the one call allowed during destroy (R-OBJ-34).
    let Some(block) = (unsafe { block::<T>(object) }) else {
        return;
    };
    if block.state.swap(ABSENT, Ordering::AcqRel) == INSTALLED {
        // SAFETY: it was initialised, no reference to the object is left, and ABSENT keeps a second drop away.
        unsafe { ptr::drop_in_place(block.value.get().cast::<T>()) };
    }
}

/// A context for objects that need none.
impl Context for () {
    fn info() -> &'static TypeInfo<Self> {
        static INFO: TypeInfo<()> = TypeInfo::new(c"None");
        &INFO
    }
}

/// Ends the context of an object before the object goes.
///
/// # Safety
/// The object exists, and no reference to the value is or will be used.
pub(crate) unsafe fn take_down<T: Context>(object: WDFOBJECT) {
    // SAFETY: contract of this function; the destroy callback finds it ABSENT and does nothing.
    unsafe { evt_destroy::<T>(object) }
}

/// Implements [`Context`](crate::context::Context) for types without a clean-up: one record per type, named like it.
#[macro_export]
macro_rules! context {
    ($($type:ident),+ $(,)?) => { $(
        impl $crate::context::Context for $type {
            fn info() -> &'static $crate::context::TypeInfo<Self> {
                const NAME: &::core::ffi::CStr = match ::core::ffi::CStr::from_bytes_with_nul(
                    ::core::concat!(::core::stringify!($type), "\0").as_bytes(),
                ) {
                    Ok(name) => name,
                    Err(_) => c"context",
                };
                static INFO: $crate::context::TypeInfo<$type> = $crate::context::TypeInfo::new(NAME);
                &INFO
            }
        }
    )+ };
}
