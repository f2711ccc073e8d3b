//! String objects: text the framework makes, or keeps for a driver.

use core::ptr::NonNull;

use wdk_sys::{UNICODE_STRING, WDFSTRING, call_unsafe_wdf_function_binding};

use crate::{
    Status, Wide,
    cx::{Cx, Passive},
    device::{DeviceContext, NewDevice},
    driver,
    object::{self, ObjectRef},
};

/// A string of a device. Stands for `WDFSTRING`. It never changes.
///
/// Invariant: `at` is valid for `units` code units for as long as `object` is referenced.
pub struct Text {
    object: ObjectRef,
    at: NonNull<u16>,
    units: usize,
}

// SAFETY: a counted handle and text nobody writes.
unsafe impl Send for Text {}
// SAFETY: as above.
unsafe impl Sync for Text {}

impl Text {
    /// A copy of `text`. Stands for `WdfStringCreate`. `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new<D: DeviceContext, R>(
        _cx: &Cx<'_, impl Passive>,
        device: &NewDevice<'_, D, R>,
        text: Wide,
    ) -> Result<Self, Status> {
        let text = text.unicode();
        // SAFETY: a string that is read during the call.
        let string = unsafe { create(device, &raw const text) }?;
        Ok(Self::read(string))
    }

    /// What the framework calls its version. Stands for `WdfDriverRetrieveVersionString`. `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn framework_version<D: DeviceContext, R>(
        _cx: &Cx<'_, impl Passive>,
        device: &NewDevice<'_, D, R>,
    ) -> Result<Self, Status> {
        // SAFETY: null: an empty string.
        let string = unsafe { create(device, core::ptr::null()) }?;
        // SAFETY: the driver object exists; the string is referenced and nobody else knows it.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDriverRetrieveVersionString,
                driver::handle(),
                string.raw().cast()
            )
        };
        Status::from_raw(status).ok()?;
        Ok(Self::read(string))
    }

    /// Stands for `WdfStringGetUnicodeString`.
    fn read(object: ObjectRef) -> Self {
        let mut text = UNICODE_STRING::default();
        // SAFETY: referenced, live, and changed no more; the result is a local.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfStringGetUnicodeString,
                object.raw().cast(),
                &raw mut text
            );
        }
        // INVARIANT: the string's own buffer, which goes with the object; null has no units.
        let (at, units) = match NonNull::new(text.Buffer) {
            Some(at) => (at, usize::from(text.Length.wrapping_div(2))),
            None => (NonNull::dangling(), 0),
        };
        Self { object, at, units }
    }

    /// Its code units, without a terminator. IRQL <= `DISPATCH_LEVEL`.
    #[must_use]
    pub fn units(&self) -> &[u16] {
        // SAFETY: the type's invariant; borrowed from the value, which keeps the reference.
        unsafe { core::slice::from_raw_parts(self.at.as_ptr(), self.units) }
    }

    /// The object, for whoever must keep it alive.
    #[must_use]
    pub const fn object(&self) -> &ObjectRef {
        &self.object
    }
}

/// `WdfStringCreate` below a device.
///
/// # Safety
/// `text` is null or valid during the call.
unsafe fn create<D: DeviceContext, R>(
    device: &NewDevice<'_, D, R>,
    text: *const UNICODE_STRING,
) -> Result<ObjectRef, Status> {
    let mut attributes = object::attributes(device.handle().cast());
    let mut string: WDFSTRING = core::ptr::null_mut();
    // SAFETY: the text by contract; the other pointers are to locals; the parent exists.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfStringCreate,
            text,
            &raw mut attributes,
            &raw mut string
        )
    };
    Status::from_raw(status).ok()?;
    // SAFETY: just created.
    unsafe { ObjectRef::acquire(string.cast()) }.ok_or(Status::INSUFFICIENT_RESOURCES)
}
