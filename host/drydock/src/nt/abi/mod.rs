//! The structures drivers and the kernel share, laid out as on x64 Windows 10.
//!
//! Drivers read and write these in place (macros such as `IoGetNextIrpStackLocation` never call anybody), and so does the
//! framework, so the layouts are real and asserted at compile time. A structure in driver memory is looked at through
//! [`at`]: every field is a [`Field`] or an atomic, so a shared view claims no exclusivity and may alias whatever an image
//! does at the same time.

#![expect(
    unsafe_code,
    reason = "the one place where an address from an image becomes a view of a structure"
)]

mod dispatcher;
mod irp;
mod object;

pub use dispatcher::*;
pub use irp::*;
pub use object::*;

use super::status::NtStatus;
use crate::verify;
use std::cell::UnsafeCell;
use std::fmt;

/// One field of a shared structure: plain memory that an image may read and write at any time.
///
/// # Invariants
/// The memory is only reached by whole volatile loads and stores of a `Copy` type; no reference into it is ever handed out.
#[repr(transparent)]
pub struct Field<T>(UnsafeCell<T>);

// SAFETY: by the invariant of `Field` no reference to the content exists; ordering between threads is the drivers' own
// business, as it is on the real machine.
unsafe impl<T: Copy> Sync for Field<T> {}

impl<T: Copy> Field<T> {
    /// A field with this value.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// Loads the value.
    #[inline]
    pub fn get(&self) -> T {
        // SAFETY: by the invariant of `Field`; the memory belongs to `self`.
        unsafe { self.0.get().read_volatile() }
    }

    /// Stores a value.
    #[inline]
    pub fn set(&self, value: T) {
        // SAFETY: by the invariant of `Field`; the memory belongs to `self`.
        unsafe { self.0.get().write_volatile(value) }
    }

    /// Stores what `f` makes of the present value. Not atomic.
    pub fn update(&self, f: impl FnOnce(T) -> T) {
        self.set(f(self.get()));
    }

    /// Where the field is.
    pub fn address(&self) -> *mut T {
        self.0.get()
    }
}

impl<T: Copy + fmt::Debug> fmt::Debug for Field<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl<T: Copy + Default> Default for Field<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// A structure of this module: all its fields are [`Field`]s or atomics.
///
/// # Safety
/// Every byte pattern is a value of the type, and a shared reference to it may exist while others write the memory.
pub unsafe trait Shared: Sized {
    /// The name drivers know it by.
    const NAME: &'static str;
}

/// A view of the structure at `address`.
///
/// The address is the driver's claim. A null or misaligned one is reported as what it is; any other bad address faults in the model,
/// and the fault's report names the call it came through.
#[inline]
#[expect(
    clippy::not_unsafe_ptr_arg_deref,
    reason = "addresses come from images: a wrong one is a finding about the image, reported by the fault handler"
)]
pub fn at<'a, T: Shared>(address: *mut T) -> &'a T {
    if address.is_null() || !address.is_aligned() {
        bad_address(T::NAME, address as usize);
    }
    // SAFETY: by `Shared` the view is valid for whatever bytes are there; that they are mapped is the image's obligation,
    // and a breach of it is a page fault that the loader reports.
    unsafe { &*address }
}

/// A view of the structure at `address`, or nothing where the address is null.
#[inline]
pub fn at_opt<'a, T: Shared>(address: *mut T) -> Option<&'a T> {
    (!address.is_null()).then(|| at(address))
}

#[cold]
fn bad_address(name: &str, address: usize) -> ! {
    verify::violation(
        "NT-ADDRESS",
        if address == 0 {
            format!("a null pointer was given where a {name} is needed")
        } else {
            format!("a misaligned pointer ({address:#x}) was given where a {name} is needed")
        },
    )
}

/// Copies bytes out of driver or user memory.
#[expect(
    clippy::not_unsafe_ptr_arg_deref,
    reason = "addresses come from images: a wrong one faults and is reported"
)]
pub fn read_bytes(address: *const u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    if len != 0 {
        // SAFETY: the destination is a fresh buffer of `len` bytes; the source is the image's claim (see `at`).
        unsafe { address.copy_to(bytes.as_mut_ptr(), len) };
    }
    bytes
}

/// Copies bytes into driver or user memory.
#[expect(
    clippy::not_unsafe_ptr_arg_deref,
    reason = "addresses come from images: a wrong one faults and is reported"
)]
pub fn write_bytes(address: *mut u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        // SAFETY: the source is a live slice; the destination is the image's claim (see `at`).
        unsafe { address.copy_from(bytes.as_ptr(), bytes.len()) };
    }
}

/// Sets `len` bytes of driver memory to `value`.
#[expect(
    clippy::not_unsafe_ptr_arg_deref,
    reason = "addresses come from images: a wrong one faults and is reported"
)]
pub fn fill_bytes(address: *mut u8, value: u8, len: usize) {
    if len != 0 {
        // SAFETY: the destination is the image's claim (see `at`).
        unsafe { address.write_bytes(value, len) };
    }
}

/// Stores a value where an image wants it, if it gave an address at all (optional out parameters).
#[expect(
    clippy::not_unsafe_ptr_arg_deref,
    reason = "addresses come from images: a wrong one faults and is reported"
)]
pub fn write_out<T: Copy>(address: *mut T, value: T) {
    if !address.is_null() {
        // SAFETY: the destination is the image's claim (see `at`); it need not be aligned.
        unsafe { address.write_unaligned(value) };
    }
}

/// Loads a value an image points to.
#[expect(
    clippy::not_unsafe_ptr_arg_deref,
    reason = "addresses come from images: a wrong one faults and is reported"
)]
pub fn read_in<T: Copy>(address: *const T) -> T {
    // SAFETY: the source is the image's claim (see `at`); it need not be aligned.
    unsafe { address.read_unaligned() }
}

/// An address that may travel between threads of the model.
#[derive(Debug)]
pub struct Address<T>(pub *mut T);

// SAFETY: the address is a number until somebody looks through it with `at`, which is valid on any thread by `Shared`.
unsafe impl<T> Send for Address<T> {}
// SAFETY: as for `Send`.
unsafe impl<T> Sync for Address<T> {}

impl<T> Address<T> {
    /// The address. (A closure that uses this captures the whole, which may be sent; one that names the field does not.)
    pub fn get(self) -> *mut T {
        self.0
    }
}

impl<T> Clone for Address<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Address<T> {}
impl<T> PartialEq for Address<T> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}
impl<T> Eq for Address<T> {}

/// Asserts a structure's size and offsets, and that it is [`Shared`].
macro_rules! layout {
    ($type:ty, $name:literal, $size:literal, { $($field:ident : $offset:literal),* $(,)? }) => {
        const _: () = {
            assert!(std::mem::size_of::<$type>() == $size);
            $( assert!(std::mem::offset_of!($type, $field) == $offset); )*
        };
        // SAFETY: the structure is `repr(C)` and made of `Field`s of integers and pointers, and of atomics.
        #[expect(unsafe_code, reason = "the promise that every bytes are a value")]
        unsafe impl $crate::nt::abi::Shared for $type {
            const NAME: &'static str = $name;
        }
    };
}
pub(crate) use layout;

/// UNICODE_STRING: a counted UTF-16 string that somebody else owns.
#[repr(C)]
#[derive(Debug)]
pub struct UnicodeString {
    /// Bytes in use.
    pub length: Field<u16>,
    /// Bytes the buffer has.
    pub maximum_length: Field<u16>,
    /// The characters.
    pub buffer: Field<*mut u16>,
}
layout!(UnicodeString, "UNICODE_STRING", 16, { length: 0, maximum_length: 2, buffer: 8 });

impl UnicodeString {
    /// The text, with unpaired surrogates replaced.
    pub fn text(&self) -> String {
        String::from_utf16_lossy(&self.units())
    }

    /// The UTF-16 units in use.
    pub fn units(&self) -> Vec<u16> {
        let bytes = read_bytes(self.buffer.get().cast(), usize::from(self.length.get()));
        bytes
            .chunks_exact(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
            .collect()
    }

    /// Points this string at `len` bytes of UTF-16 text in driver memory, `capacity` bytes long.
    pub fn point_at(&self, buffer: *mut u16, len: u16, capacity: u16) {
        self.length.set(len);
        self.maximum_length.set(capacity);
        self.buffer.set(buffer);
    }
}

/// The text of a string an image passed; empty where it passed none.
pub fn text_at(string: *mut UnicodeString) -> String {
    at_opt(string).map(UnicodeString::text).unwrap_or_default()
}

/// ANSI_STRING: a counted byte string.
#[repr(C)]
#[derive(Debug)]
pub struct AnsiString {
    /// Bytes in use.
    pub length: Field<u16>,
    /// Bytes the buffer has.
    pub maximum_length: Field<u16>,
    /// The characters.
    pub buffer: Field<*mut u8>,
}
layout!(AnsiString, "ANSI_STRING", 16, { length: 0, maximum_length: 2, buffer: 8 });

/// LIST_ENTRY: a link of a doubly linked list.
#[repr(C)]
#[derive(Debug)]
pub struct ListEntry {
    /// Forward link.
    pub flink: Field<*mut ListEntry>,
    /// Backward link.
    pub blink: Field<*mut ListEntry>,
}
layout!(ListEntry, "LIST_ENTRY", 16, { flink: 0, blink: 8 });

impl ListEntry {
    /// Makes this the head of an empty list.
    pub fn make_empty(&self) {
        let me = std::ptr::from_ref(self).cast_mut();
        self.flink.set(me);
        self.blink.set(me);
    }
}

/// A driver's dispatch routine (DRIVER_DISPATCH).
pub type Dispatch = extern "win64" fn(*mut DeviceObject, *mut Irp) -> NtStatus;
/// A driver's initialisation routine (DRIVER_INITIALIZE).
pub type Initialize = extern "win64" fn(*mut DriverObject, *mut UnicodeString) -> NtStatus;
/// A driver's unload routine (DRIVER_UNLOAD).
pub type Unload = extern "win64" fn(*mut DriverObject);
/// A driver's AddDevice routine (DRIVER_ADD_DEVICE).
pub type AddDevice = extern "win64" fn(*mut DriverObject, *mut DeviceObject) -> NtStatus;
/// A completion routine (IO_COMPLETION_ROUTINE).
pub type Completion = extern "win64" fn(*mut DeviceObject, *mut Irp, *mut u8) -> NtStatus;
/// A cancel routine (DRIVER_CANCEL), entered with the cancel spin lock held.
pub type Cancel = extern "win64" fn(*mut DeviceObject, *mut Irp);
/// A deferred routine (KDEFERRED_ROUTINE).
pub type Deferred = extern "win64" fn(*mut Kdpc, *mut u8, *mut u8, *mut u8);
/// A system thread's start routine (KSTART_ROUTINE).
pub type ThreadStart = extern "win64" fn(*mut u8);
/// A work item's routine as ExQueueWorkItem takes it (WORKER_THREAD_ROUTINE).
pub type Worker = extern "win64" fn(*mut u8);
/// A work item's routine as IoQueueWorkItem takes it (IO_WORKITEM_ROUTINE).
pub type IoWorker = extern "win64" fn(*mut DeviceObject, *mut u8);
/// A work item's routine as IoQueueWorkItemEx takes it (IO_WORKITEM_ROUTINE_EX).
pub type IoWorkerEx = extern "win64" fn(*mut u8, *mut u8, *mut u8);
