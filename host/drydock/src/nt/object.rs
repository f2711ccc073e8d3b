//! Objects with reference counts: files, devices, drivers, threads, processes, and what kernel handles stand for.

use super::abi::{DispatcherHeader, Field, at, layout, object_type};
use super::pool::{self, Tag};
use super::status::NtStatus;
use super::{device, file, process, wait};
use crate::sched::Lock;
use crate::verify;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Kind {
    /// FILE_OBJECT.
    File = 1,
    /// DEVICE_OBJECT.
    Device,
    /// DRIVER_OBJECT.
    Driver,
    /// ETHREAD.
    Thread,
    /// EPROCESS.
    Process,
    /// KEVENT behind a handle.
    Event,
    /// An open registry key.
    Key,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::File,
        Self::Device,
        Self::Driver,
        Self::Thread,
        Self::Process,
        Self::Event,
        Self::Key,
    ];

    fn tag(self) -> Tag {
        Tag::new(match self {
            Self::File => b"File",
            Self::Device => b"Devi",
            Self::Driver => b"Driv",
            Self::Thread => b"Thre",
            Self::Process => b"Proc",
            Self::Event => b"Even",
            Self::Key => b"Key ",
        })
    }
}

/// Stands in front of every object.
#[repr(C)]
struct ObjectHeader {
    pointers: AtomicI64,
    magic: Field<u64>,
    kind: Field<u32>,
    padding: Field<u32>,
    size: Field<u64>,
}
layout!(ObjectHeader, "object", 32, { pointers: 0, magic: 8, kind: 16 });

const MAGIC: u64 = 0x7463_656a_624f_4454; // "TDObject"
const HEADER: usize = size_of::<ObjectHeader>();

/// Makes a zeroed object with one reference.
pub fn create(kind: Kind, size: usize) -> *mut u8 {
    let block = pool::allocate_internal(HEADER + size, kind.tag());
    let header = at(block.cast::<ObjectHeader>());
    header.pointers.store(1, Ordering::Relaxed);
    header.magic.set(MAGIC);
    header.kind.set(kind as u32);
    header.size.set(size as u64);
    block.wrapping_add(HEADER)
}

fn header(object: *mut u8) -> &'static ObjectHeader {
    at(object.wrapping_sub(HEADER).cast())
}

/// What kind of object this is. None: its memory is no object's (a driver may make a FILE_OBJECT of its own memory).
pub fn kind_of(object: *mut u8) -> Option<Kind> {
    if !pool::is_live(object.wrapping_sub(HEADER)) {
        return None;
    }
    let header = header(object);
    if header.magic.get() != MAGIC {
        return None;
    }
    Kind::ALL
        .into_iter()
        .find(|kind| *kind as u32 == header.kind.get())
}

/// How many references an object has.
pub fn references(object: *mut u8) -> i64 {
    header(object).pointers.load(Ordering::Acquire)
}

/// ObReferenceObject.
pub fn reference(object: *mut u8) {
    if header(object).pointers.fetch_add(1, Ordering::Relaxed) <= 0 {
        verify::violation("NT-OBJ-01", "ObReferenceObject of an object that is gone");
    }
}

/// ObDereferenceObject: the last reference deletes the object.
pub fn dereference(kind: Kind, object: *mut u8) {
    let header = header(object);
    let left = header.pointers.fetch_sub(1, Ordering::AcqRel) - 1;
    if left < 0 {
        verify::bug_check(
            0x18,
            [0, object as u64, 0, left as u64],
            format!("a {kind:?} object was dereferenced more often than referenced"),
        );
    }
    if left > 0 {
        return;
    }
    match kind {
        Kind::File => file::delete(object.cast()),
        Kind::Device => device::delete_now(object.cast()),
        Kind::Key => super::registry::close_key(object),
        Kind::Driver | Kind::Thread | Kind::Process | Kind::Event => {}
    }
    discard(object);
}

/// Gives back the memory of an object whose last reference is gone.
fn discard(object: *mut u8) {
    header(object).magic.set(0);
    pool::free(object.wrapping_sub(HEADER), None);
}

/// Dereferences an object of any kind, as ObfDereferenceObject is called by drivers.
pub fn dereference_any(object: *mut u8) {
    match kind_of(object) {
        Some(kind) => dereference(kind, object),
        None => verify::violation(
            "NT-OBJ-02",
            "ObDereferenceObject of memory that is no object",
        ),
    }
}

/// Bytes of an ETHREAD and EPROCESS here; drivers treat both as opaque.
const THREAD_SIZE: usize = 0x200;

/// Makes an ETHREAD with this thread id: a dispatcher object, then what `thread_id` and `thread_process` read.
pub(super) fn create_thread(id: u64) -> *mut u8 {
    let thread = create(Kind::Thread, THREAD_SIZE);
    at(thread.cast::<DispatcherHeader>()).initialize(object_type::THREAD, 6, 0);
    super::abi::write_out(thread.wrapping_add(0x100).cast::<u64>(), id);
    thread
}

/// Makes an EPROCESS with this process id.
pub(super) fn create_process(id: u64) -> *mut u8 {
    let process = create(Kind::Process, THREAD_SIZE);
    at(process.cast::<DispatcherHeader>()).initialize(object_type::PROCESS, 6, 0);
    super::abi::write_out(process.wrapping_add(0x100).cast::<u64>(), id);
    process
}

/// The id in an ETHREAD or EPROCESS.
pub fn id_of(thread_or_process: *mut u8) -> u64 {
    super::abi::read_in(thread_or_process.wrapping_add(0x100).cast::<u64>())
}

/// IoThreadToProcess: the EPROCESS of an ETHREAD.
pub fn thread_process(thread: *mut u8) -> *mut u8 {
    let process = super::abi::read_in(thread.wrapping_add(0x108).cast::<*mut u8>());
    if process.is_null() {
        process::system()
    } else {
        process
    }
}

pub(super) fn set_thread_process(thread: *mut u8, process: *mut u8) {
    super::abi::write_out(thread.wrapping_add(0x108).cast::<*mut u8>(), process);
}

/// A thread or process has ended: whoever waits for it goes on.
pub(super) fn signal_ended(object: *mut u8) {
    wait::signal_permanently(object.cast());
}

/// Kernel handles: what ZwClose, ObReferenceObjectByHandle and the registry functions take.
#[derive(Default)]
struct Handles {
    open: BTreeMap<u64, super::abi::Address<u8>>,
    last: u64,
}

static HANDLES: Lock<Option<Handles>> = Lock::new(None);

/// Opens a kernel handle; it takes over one reference of the object.
pub fn open_handle(object: *mut u8) -> u64 {
    let mut handles = HANDLES.lock();
    let handles = handles.get_or_insert_default();
    handles.last += 4;
    // Kernel handles are sign-extended negative numbers.
    let value = 0xffff_ffff_8000_0000 | handles.last;
    handles.open.insert(value, super::abi::Address(object));
    value
}

/// The object of a kernel handle, with a reference of its own.
pub fn by_handle(handle: u64) -> Result<*mut u8, NtStatus> {
    let handles = HANDLES.lock();
    let object = handles
        .as_ref()
        .and_then(|handles| handles.open.get(&handle));
    let Some(object) = object else {
        return Err(NtStatus::INVALID_HANDLE);
    };
    reference(object.0);
    Ok(object.0)
}

/// ZwClose.
pub fn close_handle(handle: u64) -> NtStatus {
    let removed = HANDLES
        .lock()
        .as_mut()
        .and_then(|handles| handles.open.remove(&handle));
    match removed {
        Some(object) => {
            dereference_any(object.0);
            NtStatus::SUCCESS
        }
        None => NtStatus::INVALID_HANDLE,
    }
}

/// How many kernel handles are open.
pub fn open_handles() -> usize {
    HANDLES
        .lock()
        .as_ref()
        .map_or(0, |handles| handles.open.len())
}
