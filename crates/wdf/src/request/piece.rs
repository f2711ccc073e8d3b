//! Parts of a read or write sent as requests of the driver's own (filter rule 16).
//!
//! A part is formatted by stack location and carries what the whole came with: file object, flags, key, requestor, priority, and its own
//! stretch of the same memory, by a partial MDL or an address inside the system buffer. Nothing is allocated: the request was made with
//! an MDL of its own, which each part describes anew.

use core::{cell::UnsafeCell, ptr, ptr::NonNull};

use wdk_sys::{
    IO_STACK_LOCATION, IRP, MDL, WDFREQUEST, call_unsafe_wdf_function_binding,
    ntddk::{
        IoBuildPartialMdl, IoFreeMdl, IoGetIoPriorityHint, IoSetIoPriorityHint, MmUnmapLockedPages,
    },
};

use super::{Kind, Request, Transfer, cell::Cell, parameters};
use crate::{Status, object::ObjectRef, preprocess::current_location};

/// A part of a read or write, in bytes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins.
    pub offset: usize,
    /// How long it is: not 0, and no longer than the request that carries it was made for.
    pub length: usize,
}

/// What the IRP of a request of the driver's own borrows. All zero is valid: nothing.
///
/// Invariant: `mdl` is null or an MDL the request owns, with room for `room` bytes at any alignment; `kept` is the one reference on an
/// object whose memory the IRP points into, if it does. Touched by the request's owner only.
#[derive(Default)]
pub(crate) struct Borrows(UnsafeCell<Borrowed>);

#[derive(Default)]
struct Borrowed {
    mdl: Option<NonNull<MDL>>,
    room: usize,
    kept: Option<ObjectRef>,
}

impl Borrows {
    /// # Safety
    /// The caller owns the request whose cell this is and makes no second reference.
    #[expect(clippy::mut_from_ref, reason = "the request has one owner")]
    unsafe fn get(&self) -> &mut Borrowed {
        // SAFETY: contract of this function.
        unsafe { &mut *self.0.get() }
    }

    /// Gives the request its MDL.
    ///
    /// # Safety
    /// The caller owns the request, which has none; `mdl` is given to it and has room for `room` bytes at any alignment.
    pub(super) unsafe fn set_mdl(&self, mdl: NonNull<MDL>, room: usize) {
        // SAFETY: contract of this function.
        let borrowed = unsafe { self.get() };
        borrowed.mdl = Some(mdl);
        borrowed.room = room;
    }

    /// Keeps `object` until the request has come back.
    ///
    /// # Safety
    /// The caller owns the request.
    pub(super) unsafe fn keep(&self, object: ObjectRef) {
        // SAFETY: contract of this function.
        unsafe { self.get() }.kept = Some(object);
    }

    /// Frees what the request owns: it is being destroyed.
    ///
    /// # Safety
    /// Nothing uses the request any more.
    pub(super) unsafe fn destroy(&self) {
        // SAFETY: contract of this function.
        let borrowed = unsafe { self.get() };
        borrowed.kept = None;
        if let Some(mdl) = borrowed.mdl.take() {
            // SAFETY: the request's own; its IRP has gone, and nothing is mapped through it (`forget_memory`).
            unsafe { IoFreeMdl(mdl.as_ptr()) };
        }
    }
}

/// Takes the memory out of the IRP of a request that has come back, and the mapping a lower driver made of it.
///
/// # Safety
/// `irp` is the IRP of a request of the driver's own, owned by the caller and not sent, whose cell is `cell`.
pub(super) unsafe fn forget_memory(irp: NonNull<IRP>, cell: &Cell) {
    const PARTIAL_HAS_BEEN_MAPPED: i16 = 0x20;
    // SAFETY: owned by the caller.
    let borrowed = unsafe { cell.borrows.get() };
    // SAFETY: the caller's IRP.
    let in_use = unsafe { (*irp.as_ptr()).MdlAddress };
    if let Some(mdl) = borrowed.mdl.filter(|mdl| mdl.as_ptr() == in_use) {
        // SAFETY: the caller's IRP: nobody looks at it.
        unsafe { (*irp.as_ptr()).MdlAddress = ptr::null_mut() };
        // MmPrepareMdlForReuse.
        // SAFETY: the request's own MDL.
        let flags = unsafe { (*mdl.as_ptr()).MdlFlags };
        if flags & PARTIAL_HAS_BEEN_MAPPED != 0 {
            // SAFETY: the request's own MDL.
            let at = unsafe { (*mdl.as_ptr()).MappedSystemVa };
            // SAFETY: mapped through this partial MDL by a driver below, which is done with it.
            unsafe { MmUnmapLockedPages(at, mdl.as_ptr()) };
        }
    }
    // The formats of the framework put their own buffer there and take it away themselves.
    borrowed.kept = None;
}

/// The IRP of a request.
///
/// # Safety
/// The caller owns the request, or keeps it driver-owned by a share.
pub(super) unsafe fn irp(request: WDFREQUEST) -> Option<NonNull<IRP>> {
    // SAFETY: contract of this function (R-REQ-49).
    NonNull::new(unsafe { call_unsafe_wdf_function_binding!(WdfRequestWdmGetIrp, request) })
}

/// The system buffer of an IRP that has one.
///
/// # Safety
/// `irp` is a valid IRP of the driver's.
unsafe fn system_buffer(irp: NonNull<IRP>) -> Option<NonNull<u8>> {
    // SAFETY: valid (contract).
    let buffer = unsafe { (*irp.as_ptr()).AssociatedIrp };
    // SAFETY: no request presented by the framework is an associated IRP: this arm.
    NonNull::new(unsafe { buffer.SystemBuffer }.cast())
}

/// Gives an IRP its system buffer.
///
/// # Safety
/// `irp` is that of a request of the driver's own, owned by the caller and not sent; `at` stays valid until it has come back.
pub(super) unsafe fn set_system_buffer(irp: NonNull<IRP>, at: NonNull<u8>) {
    // SAFETY: the caller's IRP.
    let buffer = unsafe { &raw mut (*irp.as_ptr()).AssociatedIrp };
    // SAFETY: a field of a valid IRP, all of whose arms are pointers or smaller.
    unsafe { buffer.cast::<*mut u8>().write(at.as_ptr()) };
}

/// Where an IRP names the thread it is for.
///
/// # Safety
/// `irp` is a valid IRP of the driver's.
unsafe fn thread_field(irp: NonNull<IRP>) -> *mut wdk_sys::PETHREAD {
    // SAFETY: in bounds of a valid IRP; no reference is made.
    let tail = unsafe { &raw mut (*irp.as_ptr()).Tail };
    // SAFETY: every arm of the union is inside it.
    unsafe { &raw mut (*tail).Overlay.Thread }
}

/// Before the buffer of a buffered read is lent: whoever counts the bytes that came back may count bytes nobody wrote. They are zero then,
/// and not what lay in the pool before.
pub(super) fn clear_unwritten<K: Kind>(request: &Request<'_, K>) {
    const READ: i32 = wdk_sys::_WDF_REQUEST_TYPE::WdfRequestTypeRead;
    if parameters::get(request.handle()).Type != READ {
        return;
    }
    // SAFETY: owned.
    let Some(irp) = (unsafe { irp(request.handle()) }) else {
        return;
    };
    // SAFETY: owned: its IRP is valid.
    let mdl = unsafe { (*irp.as_ptr()).MdlAddress };
    // SAFETY: as above.
    if let (true, Some(buffer)) = (mdl.is_null(), unsafe { system_buffer(irp) }) {
        // SAFETY: owned, a read.
        let length = unsafe { parameters::transfer(request.handle()) }.length;
        // SAFETY: the system buffer of a read has room for its length.
        unsafe { buffer.write_bytes(0, length) };
    }
}

/// Formats `child`, whose cell is `cell`, for a part of `parent`.
///
/// # Safety
/// The caller owns `child`, a request of the driver's own with a stack location for the target; `parent` is a `K` and kept driver-owned by
/// a share that outlives the child's sending.
pub(super) unsafe fn format<K: Transfer>(
    child: WDFREQUEST,
    cell: &Cell,
    parent: WDFREQUEST,
    piece: Piece,
) -> Result<(), Status> {
    // SAFETY: contract of this function.
    let whole = unsafe { parameters::transfer(parent) };
    let end = piece.offset.checked_add(piece.length);
    let length = u32::try_from(piece.length)
        .ok()
        .filter(|length| *length != 0);
    let (Some(length), Some(true)) = (length, end.map(|end| end <= whole.length)) else {
        return Err(Status::INVALID_PARAMETER);
    };
    // -1 and -2 are no places: end of file and current position.
    let at = i64::try_from(piece.offset)
        .ok()
        .and_then(|offset| whole.offset.checked_add(offset))
        .filter(|_| whole.offset >= 0)
        .ok_or(Status::INVALID_PARAMETER)?;
    // SAFETY: contract of this function.
    let from = unsafe { irp(parent) };
    // SAFETY: as above.
    let to = unsafe { irp(child) };
    let (Some(from), Some(to)) = (from, to) else {
        return Err(Status::INVALID_DEVICE_REQUEST);
    };
    // SAFETY: contract of this function.
    unsafe { lend_memory(from, to, cell, piece.offset, length) }?;
    // SAFETY: the parent's IRP is the driver's.
    let above = unsafe { current_location(from.as_ptr()) };
    // SAFETY: valid for reads while the parent is driver-owned.
    let above = unsafe { above.read() };
    // SAFETY: the child's IRP is the caller's, the parent's is valid.
    unsafe { carry_over(from, to) };
    let mut location = IO_STACK_LOCATION {
        MajorFunction: K::MAJOR,
        Flags: above.Flags,
        FileObject: above.FileObject,
        ..IO_STACK_LOCATION::default()
    };
    // Reads and writes are laid out alike.
    // SAFETY: the arm of reads of a copy of the parent's location; plain integers.
    let mut read = unsafe { above.Parameters.Read };
    read.Length = length;
    read.ByteOffset.QuadPart = at;
    location.Parameters.Read = read;
    // SAFETY: owned, with a stack location for the target (contract); the framework copies the local (R-TGT-43).
    unsafe {
        call_unsafe_wdf_function_binding!(
            WdfRequestWdmFormatUsingStackLocation,
            child,
            &raw mut location
        );
    };
    Ok(())
}

/// Points the child's IRP at its stretch of the parent's memory.
///
/// # Safety
/// Both IRPs are the driver's; the child's cell is `cell`; the stretch lies inside the parent's buffer.
unsafe fn lend_memory(
    from: NonNull<IRP>,
    to: NonNull<IRP>,
    cell: &Cell,
    offset: usize,
    length: u32,
) -> Result<(), Status> {
    // SAFETY: the parent's IRP is valid.
    let whole = unsafe { (*from.as_ptr()).MdlAddress };
    if let Some(whole) = NonNull::new(whole) {
        // SAFETY: owned by the caller.
        let borrowed = unsafe { cell.borrows.get() };
        let room = borrowed.room;
        let Some(part) = borrowed.mdl.filter(|_| length as usize <= room) else {
            return Err(Status::BUFFER_TOO_SMALL);
        };
        // SAFETY: an MDL of the I/O manager's: MmGetMdlVirtualAddress.
        let page = unsafe { (*whole.as_ptr()).StartVa };
        // SAFETY: as above.
        let first = unsafe { (*whole.as_ptr()).ByteOffset };
        let at = page
            .wrapping_byte_add(first as usize)
            .wrapping_byte_add(offset);
        // SAFETY: the stretch lies inside what `whole` describes (contract), and `part` has room for it at any alignment.
        unsafe { IoBuildPartialMdl(whole.as_ptr(), part.as_ptr(), at, length) };
        // SAFETY: the child's IRP is the caller's.
        unsafe { (*to.as_ptr()).MdlAddress = part.as_ptr() };
        return Ok(());
    }
    // SAFETY: the parent's IRP is valid.
    let Some(whole) = (unsafe { system_buffer(from) }) else {
        // Raw addresses mean nothing outside the caller's thread (filter rule 3).
        return Err(Status::INVALID_DEVICE_REQUEST);
    };
    // SAFETY: inside the system buffer (contract).
    let at = unsafe { whole.add(offset) };
    // SAFETY: the child's IRP is the caller's.
    unsafe { set_system_buffer(to, at) };
    Ok(())
}

/// Who asks, how urgently, and what the I/O manager said about the transfer.
///
/// # Safety
/// Both IRPs are the driver's, the second is not sent.
unsafe fn carry_over(from: NonNull<IRP>, to: NonNull<IRP>) {
    // IRP_NOCACHE, IRP_READ_OPERATION, IRP_WRITE_OPERATION. Paging I/O is nobody's to split, and the buffer flags say what the I/O manager
    // is to do with an IRP it made.
    const CARRIED: u32 = 0x1 | 0x100 | 0x200;
    // SAFETY: valid (contract).
    let flags = unsafe { (*from.as_ptr()).Flags };
    // SAFETY: as above.
    let old = unsafe { (*to.as_ptr()).Flags };
    // SAFETY: as above.
    unsafe { (*to.as_ptr()).Flags = old | (flags & CARRIED) };
    // SAFETY: as above.
    let mode = unsafe { (*from.as_ptr()).RequestorMode };
    // SAFETY: as above.
    unsafe { (*to.as_ptr()).RequestorMode = mode };
    // SAFETY: as above.
    let thread_of = unsafe { thread_field(from) };
    // SAFETY: a field of a valid IRP.
    let thread = unsafe { thread_of.read() };
    // SAFETY: as above.
    let thread_of = unsafe { thread_field(to) };
    // SAFETY: a field of a valid IRP.
    unsafe { thread_of.write(thread) };
    // SAFETY: as above.
    let hint = unsafe { IoGetIoPriorityHint(from.as_ptr()) };
    // A hint the I/O manager refuses is not worth failing for.
    // SAFETY: as above.
    let _ = unsafe { IoSetIoPriorityHint(to.as_ptr(), hint) };
}
