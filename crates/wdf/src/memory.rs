//! Memory objects: non-paged pool a driver keeps, and the copies in and out of it.

use core::ptr::NonNull;

use wdk_sys::{WDFMEMORY, call_unsafe_wdf_function_binding};

use crate::{
    Status,
    cx::{Cx, Passive},
    device::{DeviceContext, NewDevice},
    object::{self, ObjectRef},
    request::{Output, SharedIn},
};

/// Non-paged memory of a device, zeroed. Stands for `WdfMemoryCreate`.
///
/// Transfers in and out may overlap in time, as on a disk: where two writes meet, the bytes are a mixture.
/// Invariant: `at` is valid for `length` bytes for as long as `object` is referenced; only `copy_shared` touches it.
pub struct Memory {
    object: ObjectRef,
    at: NonNull<u8>,
    length: usize,
}

// SAFETY: raw memory, accessed by copies that hand out no reference.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Allocates `length` bytes below `device`. `tag` shows in pool dumps.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`; `STATUS_INVALID_PARAMETER` for length 0 (R-DEV-92).
    pub fn new<D: DeviceContext, R>(
        _cx: &Cx<'_, impl Passive>,
        device: &NewDevice<'_, D, R>,
        tag: [u8; 4],
        length: usize,
    ) -> Result<Self, Status> {
        let mut attributes = object::attributes(device.handle().cast());
        let mut memory: WDFMEMORY = core::ptr::null_mut();
        let mut at = core::ptr::null_mut();
        // SAFETY: all pointers are to locals; the parent exists.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfMemoryCreate,
                &raw mut attributes,
                wdk_sys::_POOL_TYPE::NonPagedPoolNx,
                u32::from_le_bytes(tag),
                length,
                &raw mut memory,
                &raw mut at
            )
        };
        Status::from_raw(status).ok()?;
        // SAFETY: just created.
        let object =
            unsafe { ObjectRef::acquire(memory.cast()) }.ok_or(Status::INSUFFICIENT_RESOURCES)?;
        let at = NonNull::new(at.cast::<u8>()).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        // SAFETY: the framework allocated `length` bytes there; nobody else knows them yet. Not zeroed by contract (R-DEV-92).
        unsafe { at.write_bytes(0, length) };
        Ok(Self { object, at, length })
    }

    /// How many bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Copies `from` to `offset` and says how many bytes fitted.
    #[must_use]
    pub fn write(&self, offset: usize, from: &SharedIn<'_>) -> usize {
        let bytes = self.length.saturating_sub(offset).min(from.len());
        if bytes > 0 {
            // SAFETY: offset < length here.
            let to = unsafe { self.at.add(offset) };
            // SAFETY: `bytes` fit behind `offset` (computed) and `from` has them (invariant of SharedIn).
            unsafe { copy_shared(to.as_ptr(), from.as_ptr(), bytes) };
        }
        bytes
    }

    /// Appends what lies at `offset` to `to`, as much as both have, and says how many bytes that were.
    pub fn read(&self, offset: usize, to: &mut Output<'_, '_>) -> usize {
        self.read_up_to(self.length, offset, to)
    }

    /// As [`read`](Self::read), as if the memory ended at `end`.
    pub fn read_up_to(&self, end: usize, offset: usize, to: &mut Output<'_, '_>) -> usize {
        let end = end.min(self.length);
        let bytes = end.saturating_sub(offset).min(to.room());
        if bytes > 0 {
            // SAFETY: offset < end <= length here.
            let from = unsafe { self.at.add(offset) };
            // SAFETY: `bytes` lie behind `offset` and fit (computed).
            unsafe { to.append_raw(from.as_ptr(), bytes) };
        }
        bytes
    }

    pub(crate) fn handle(&self) -> WDFMEMORY {
        self.object.raw().cast()
    }

    /// Where it is, valid as long as the object is referenced.
    pub(crate) const fn at(&self) -> NonNull<u8> {
        self.at
    }

    /// The memory whose object this is.
    ///
    /// # Safety
    /// `object` is the live object of some [`Memory`].
    pub(crate) unsafe fn of_object(object: ObjectRef) -> Option<Self> {
        let mut length = 0;
        // SAFETY: a live memory object (contract); the result is a local.
        let at = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfMemoryGetBuffer,
                object.raw().cast(),
                &raw mut length
            )
        };
        let at = NonNull::new(at.cast::<u8>())?;
        // INVARIANT: the object's own buffer, zeroed when it was made.
        Some(Self { object, at, length })
    }

    /// The object, for whoever must keep it alive.
    #[must_use]
    pub const fn object(&self) -> &ObjectRef {
        &self.object
    }
}

/// Copies memory that others may be changing: volatile, so that every byte is moved once and nothing is assumed of it.
///
/// # Safety
/// `from` is valid for reads and `to` for writes of `bytes` bytes.
pub(crate) unsafe fn copy_shared(to: *mut u8, from: *const u8, bytes: usize) {
    const CHUNK: usize = 64;
    let whole = bytes.wrapping_div(CHUNK).wrapping_mul(CHUNK);
    for at in (0..whole).step_by(CHUNK) {
        // SAFETY: at + CHUNK <= bytes.
        let from = unsafe { from.add(at) }.cast::<[u8; CHUNK]>();
        // SAFETY: as above.
        let to = unsafe { to.add(at) }.cast::<[u8; CHUNK]>();
        // SAFETY: valid for the chunk (contract); byte arrays need no alignment.
        let chunk = unsafe { from.read_volatile() };
        // SAFETY: as above.
        unsafe { to.write_volatile(chunk) };
    }
    for at in whole..bytes {
        // SAFETY: at < bytes.
        let from = unsafe { from.add(at) };
        // SAFETY: as above.
        let to = unsafe { to.add(at) };
        // SAFETY: valid (contract).
        let byte = unsafe { from.read_volatile() };
        // SAFETY: valid (contract).
        unsafe { to.write_volatile(byte) };
    }
}
