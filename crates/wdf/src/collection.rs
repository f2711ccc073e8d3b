//! Collections: rows of framework objects, each kept by a reference of the row's own.

use core::{marker::PhantomData, ptr::NonNull};

use wdk_sys::{WDFCOLLECTION, call_unsafe_wdf_function_binding};

use crate::{
    Status,
    cx::{Cx, Passive},
    device::{DeviceContext, NewDevice},
    memory::Memory,
    object::{self, ObjectRef},
};

mod sealed {
    use super::ObjectRef;

    pub trait Sealed: Sized {
        fn object(&self) -> &ObjectRef;

        /// # Safety
        /// `object` was a member: an object some `Self` was made of.
        unsafe fn of(object: ObjectRef) -> Option<Self>;
    }
}

/// What a collection can hold. Sealed.
pub trait Member: sealed::Sealed {}

impl sealed::Sealed for Memory {
    fn object(&self) -> &ObjectRef {
        Self::object(self)
    }

    unsafe fn of(object: ObjectRef) -> Option<Self> {
        // SAFETY: contract of this function.
        unsafe { Self::of_object(object) }
    }
}
impl Member for Memory {}

/// A row of objects of one kind. Stands for `WDFCOLLECTION`. IRQL <= `DISPATCH_LEVEL`.
///
/// Changing it needs `&mut`, so that a member cannot go between being found and being referenced (R-DEV-90); share it behind a lock.
/// It belongs to a device: with that it is emptied, and holds nothing any more.
///
/// Invariant: its members are objects some `T` was made of.
pub struct Collection<T: Member> {
    object: ObjectRef,
    of: PhantomData<fn(T) -> T>,
}

impl<T: Member> Collection<T> {
    /// `WdfCollectionCreate` below a device.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new<D: DeviceContext, R>(
        _cx: &Cx<'_, impl Passive>,
        device: &NewDevice<'_, D, R>,
    ) -> Result<Self, Status> {
        let mut attributes = object::attributes(device.handle().cast());
        let mut collection: WDFCOLLECTION = core::ptr::null_mut();
        // SAFETY: both pointers are to locals; the parent exists.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfCollectionCreate,
                &raw mut attributes,
                &raw mut collection
            )
        };
        Status::from_raw(status).ok()?;
        // SAFETY: just created.
        let object = unsafe { ObjectRef::acquire(collection.cast()) };
        let object = object.ok_or(Status::INSUFFICIENT_RESOURCES)?;
        Ok(Self {
            object,
            of: PhantomData,
        })
    }

    fn handle(&self) -> WDFCOLLECTION {
        self.object.raw().cast()
    }

    /// Appends a member; the row takes a reference of its own. Stands for `WdfCollectionAdd`. The same object may be in it twice.
    ///
    /// # Errors
    /// `STATUS_DELETE_PENDING` if the row has gone with its device; what the framework returns if it finds no memory.
    pub fn add(&mut self, member: &T) -> Result<(), Status> {
        if !self.object.is_live() {
            return Err(Status::DELETE_PENDING);
        }
        // SAFETY: both referenced, the row live.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfCollectionAdd,
                self.handle(),
                member.object().raw()
            )
        };
        // INVARIANT: `member` is a T.
        Status::from_raw(status).ok()
    }

    /// How many members. Stands for `WdfCollectionGetCount`.
    #[must_use]
    pub fn len(&self) -> u32 {
        if !self.object.is_live() {
            return 0;
        }
        // SAFETY: referenced and live.
        unsafe { call_unsafe_wdf_function_binding!(WdfCollectionGetCount, self.handle()) }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The member at `index`, if there is one that has not gone with its own device. Stands for `WdfCollectionGetItem`.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<T> {
        if !self.object.is_live() {
            return None;
        }
        // SAFETY: referenced and live; null behind the last member.
        let member = unsafe {
            call_unsafe_wdf_function_binding!(WdfCollectionGetItem, self.handle(), index)
        };
        let member = NonNull::new(member)?;
        // SAFETY: in the row, which has a reference on it; nobody takes it out meanwhile, which needs `&mut`.
        let member = unsafe { ObjectRef::acquire(member.as_ptr()) }?;
        if !member.is_live() {
            return None;
        }
        // SAFETY: the type's invariant.
        unsafe { T::of(member) }
    }

    /// Takes the member at `index` out; false if there is none. Stands for `WdfCollectionRemoveItem`.
    pub fn remove(&mut self, index: u32) -> bool {
        // A missing index is a breakpoint of the framework (R-DEV-90).
        if index >= self.len() {
            return false;
        }
        // SAFETY: referenced and live, as counting found; the index is there, and nobody else changes the row.
        unsafe { call_unsafe_wdf_function_binding!(WdfCollectionRemoveItem, self.handle(), index) };
        true
    }
}
