//! WDFMEMORY: buffers with a life of their own, and those embedded in requests (R-DEV-92, R-DEV-93, R-OBJ-07).

use super::attributes::{Attributes, Rules};
use super::ddi::{APC, Call, DISPATCH, export};
use super::guest;
use super::handle::{self, Handle, Part, Ref, Typed};
use super::kind::Kind;
use super::object::{self, Body, ObjRef, Object};
use super::parent_or_driver;
use crate::nt;
use crate::nt::abi::{Address, Mdl, at};
use crate::nt::pool::{PoolKind, Tag};
use crate::nt::status::NtStatus;
use crate::sched::Lock;

export! {
    "WdfMemoryCreate" => create[attributes: u64, pool: u32, tag: u32, size: u64, out: u64, buffer: u64] -> NtStatus, DISPATCH;
    "WdfMemoryCreatePreallocated" => create_preallocated[attributes: u64, buffer: u64, size: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfMemoryGetBuffer" => get_buffer[memory: u64, size: u64] -> u64, DISPATCH;
    "WdfMemoryAssignBuffer" => assign_buffer[memory: u64, buffer: u64, size: u64] -> NtStatus, DISPATCH;
    "WdfMemoryCopyToBuffer" => copy_to_buffer[memory: u64, offset: u64, buffer: u64, length: u64] -> NtStatus, DISPATCH;
    "WdfMemoryCopyFromBuffer" => copy_from_buffer[memory: u64, offset: u64, buffer: u64, length: u64] -> NtStatus, DISPATCH;
    "WdfLookasideListCreate" => lookaside_create[attributes: u64, size: u64, pool: u32, memory_attributes: u64, tag: u32, out: u64] -> NtStatus, APC;
    "WdfMemoryCreateFromLookaside" => create_from_lookaside[lookaside: u64, out: u64] -> NtStatus, DISPATCH;
}

/// Where the buffer of a memory object comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The framework allocated it and frees it.
    Pool,
    /// The driver owns it, and may assign another.
    Driver,
    /// Locked pages of a program, unlocked at the end of the object (R-REQ-75).
    LockedPages(Address<Mdl>),
}

#[derive(Clone, Copy)]
struct Buffer {
    address: u64,
    size: usize,
    origin: Origin,
}

/// The body of a WDFMEMORY that is an object of its own.
pub struct Memory(Lock<Buffer>);

impl Body for Memory {
    fn kind(&self) -> Kind {
        Kind::Memory
    }

    fn destroyed(&self, _me: &Object) {
        let buffer = *self.0.lock();
        match buffer.origin {
            Origin::Pool => nt::pool::free(buffer.address as *mut u8, None),
            Origin::Driver => {}
            Origin::LockedPages(mdl) => {
                nt::mdl::unlock(mdl.get());
                nt::mdl::free(mdl.get());
            }
        }
    }
}

impl Typed for Memory {
    const KIND: Kind = Kind::Memory;
}

/// A WDFMEMORY of either sort, with the buffer it denotes now.
#[derive(Clone)]
pub struct MemoryView {
    /// The memory object, or the request the memory is embedded in.
    pub owner: ObjRef,
    /// Which of the two.
    pub part: Part,
    /// Address of the buffer.
    pub address: u64,
    /// Its length.
    pub size: usize,
}

impl MemoryView {
    /// Adds a reference to the memory: on the object, or on the request's count (R-OBJ-07).
    pub fn reference(&self) {
        match self.part {
            Part::Whole => super::lifetime::reference(&self.owner),
            part => self.owner.any_body().reference_embedded(part, 1),
        }
    }

    /// Takes a reference away again.
    pub fn dereference(&self) {
        match self.part {
            Part::Whole => super::lifetime::dereference(&self.owner),
            part => self.owner.any_body().reference_embedded(part, -1),
        }
    }
}

/// What a WDFMEMORY handle denotes; a handle of another type stops the run (R-OBJ-04).
pub fn resolve(raw: u64) -> MemoryView {
    let part = Handle(raw).part();
    if raw != 0 && part != Part::Whole {
        let owner = handle::resolve_any(raw);
        if let Some((address, size)) = owner.any_body().embedded_memory(part) {
            return MemoryView {
                owner,
                part,
                address,
                size,
            };
        }
    }
    let memory: Ref<Memory> = handle::resolve(raw);
    let buffer = *memory.0.lock();
    MemoryView {
        owner: memory.object().clone(),
        part: Part::Whole,
        address: buffer.address,
        size: buffer.size,
    }
}

/// As [`resolve`], but null is `None`.
pub fn resolve_optional(raw: u64) -> Option<MemoryView> {
    (raw != 0).then(|| resolve(raw))
}

/// `POOL_TYPE` of a WDM or WDF caller: everything even is non-paged.
fn pool_kind(raw: u32) -> PoolKind {
    if raw & 1 == 1 {
        PoolKind::Paged
    } else {
        PoolKind::NonPaged
    }
}

/// A memory object with a fresh buffer, for the framework's own use and for `WdfMemoryCreate`.
pub(super) fn make(
    call: &Call,
    attributes: &Attributes,
    pool: u32,
    tag: u32,
    size: usize,
) -> Result<Ref<Memory>, NtStatus> {
    if size == 0 {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    if pool_kind(pool) == PoolKind::Paged && call.irql_too_high(APC) {
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    let tag = if tag == 0 { call.binding.tag() } else { tag };
    let block = nt::pool::allocate(pool_kind(pool), size, Tag(tag), false);
    if block.is_null() {
        return Err(NtStatus::INSUFFICIENT_RESOURCES);
    }
    let body = Memory(Lock::new(Buffer {
        address: block as u64,
        size,
        origin: Origin::Pool,
    }));
    let parent = parent_or_driver(call, attributes);
    object::create(call.binding, attributes, parent.as_ref(), body)
        .inspect_err(|_| nt::pool::free(block, None))
}

/// `WdfMemoryCreate`: R-DEV-92. IRQL <= DISPATCH_LEVEL; <= APC_LEVEL for paged pool.
fn create(
    call: &Call,
    attributes: u64,
    pool: u32,
    tag: u32,
    size: u64,
    out: u64,
    buffer: u64,
) -> NtStatus {
    call.require(out, "Memory");
    let attributes = match Attributes::read(attributes, Rules::PLAIN) {
        Ok(attributes) => attributes,
        Err(status) => return status,
    };
    guest::write(out, 0_u64);
    match make(call, &attributes, pool, tag, size as usize) {
        Ok(memory) => {
            guest::write(out, memory.handle());
            guest::write_optional(buffer, memory.0.lock().address);
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// A memory object below `parent` for the locked and mapped pages of `mdl`, which ends with it.
pub(super) fn of_locked_pages(
    call: &Call,
    parent: &ObjRef,
    mdl: *mut Mdl,
) -> Result<Ref<Memory>, NtStatus> {
    let body = Memory(Lock::new(Buffer {
        address: nt::mdl::system_address(mdl) as u64,
        size: at(mdl).byte_count.get() as usize,
        origin: Origin::LockedPages(Address(mdl)),
    }));
    object::create(call.binding, &Attributes::default(), Some(parent), body).inspect_err(|_| {
        nt::mdl::unlock(mdl);
        nt::mdl::free(mdl);
    })
}

/// `WdfMemoryCreatePreallocated`: a memory object over a buffer of the driver's. IRQL <= DISPATCH_LEVEL.
fn create_preallocated(call: &Call, attributes: u64, buffer: u64, size: u64, out: u64) -> NtStatus {
    call.require(buffer, "Buffer");
    call.require(out, "Memory");
    let attributes = match Attributes::read(attributes, Rules::PLAIN) {
        Ok(attributes) => attributes,
        Err(status) => return status,
    };
    guest::write(out, 0_u64);
    if size == 0 {
        return NtStatus::INVALID_PARAMETER;
    }
    let body = Memory(Lock::new(Buffer {
        address: buffer,
        size: size as usize,
        origin: Origin::Driver,
    }));
    let parent = parent_or_driver(call, &attributes);
    match object::create(call.binding, &attributes, parent.as_ref(), body) {
        Ok(memory) => {
            guest::write(out, memory.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// `WdfMemoryGetBuffer`: address and, if wanted, length of the buffer.
fn get_buffer(_call: &Call, memory: u64, size: u64) -> u64 {
    let view = resolve(memory);
    guest::write(size, view.size as u64);
    view.address
}

/// `WdfMemoryAssignBuffer`: another buffer for a memory object made by `WdfMemoryCreatePreallocated`.
fn assign_buffer(call: &Call, memory: u64, buffer: u64, size: u64) -> NtStatus {
    call.require(buffer, "Buffer");
    let memory = handle::resolve::<Memory>(memory);
    if size == 0 {
        return NtStatus::INVALID_PARAMETER;
    }
    let mut held = memory.0.lock();
    if held.origin != Origin::Driver {
        return NtStatus::INVALID_DEVICE_REQUEST;
    }
    *held = Buffer {
        address: buffer,
        size: size as usize,
        origin: Origin::Driver,
    };
    NtStatus::SUCCESS
}

/// The address of `length` bytes at `offset` in the memory.
fn range(view: &MemoryView, offset: u64, length: u64) -> Result<u64, NtStatus> {
    match offset.checked_add(length) {
        None => Err(NtStatus::INTEGER_OVERFLOW),
        Some(end) if end > view.size as u64 => Err(NtStatus::INVALID_BUFFER_SIZE),
        Some(_) => Ok(view.address + offset),
    }
}

/// `WdfMemoryCopyToBuffer`: from the memory object to a buffer of the driver's.
fn copy_to_buffer(call: &Call, memory: u64, offset: u64, buffer: u64, length: u64) -> NtStatus {
    call.require(buffer, "Buffer");
    let view = resolve(memory);
    if length == 0 {
        return NtStatus::INVALID_PARAMETER;
    }
    match range(&view, offset, length) {
        Ok(from) => {
            guest::copy(from, buffer, length as usize);
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// `WdfMemoryCopyFromBuffer`: from a buffer of the driver's to the memory object.
fn copy_from_buffer(call: &Call, memory: u64, offset: u64, buffer: u64, length: u64) -> NtStatus {
    call.require(buffer, "Buffer");
    let view = resolve(memory);
    if length == 0 {
        return NtStatus::INVALID_PARAMETER;
    }
    match range(&view, offset, length) {
        Ok(to) => {
            guest::copy(buffer, to, length as usize);
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// The body of a WDFLOOKASIDE: what memory objects made from it are like.
pub struct Lookaside {
    size: usize,
    pool: u32,
    tag: u32,
    attributes: Attributes,
}

impl Body for Lookaside {
    fn kind(&self) -> Kind {
        Kind::Lookaside
    }
}

impl Typed for Lookaside {
    const KIND: Kind = Kind::Lookaside;
}

/// `WdfLookasideListCreate`: a source of memory objects of one size.
fn lookaside_create(
    call: &Call,
    attributes: u64,
    size: u64,
    pool: u32,
    memory_attributes: u64,
    tag: u32,
    out: u64,
) -> NtStatus {
    call.require(out, "Lookaside");
    guest::write(out, 0_u64);
    if size == 0 {
        return NtStatus::INVALID_PARAMETER;
    }
    let read = |address| Attributes::read(address, Rules::PLAIN);
    let (attributes, memory) = match (read(attributes), read(memory_attributes)) {
        (Ok(own), Ok(memory)) => (own, memory),
        (Err(status), _) | (_, Err(status)) => return status,
    };
    let body = Lookaside {
        size: size as usize,
        pool,
        tag,
        attributes: memory,
    };
    let parent = parent_or_driver(call, &attributes);
    match object::create(call.binding, &attributes, parent.as_ref(), body) {
        Ok(lookaside) => {
            guest::write(out, lookaside.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// `WdfMemoryCreateFromLookaside`: a memory object of the list's size.
fn create_from_lookaside(call: &Call, lookaside: u64, out: u64) -> NtStatus {
    call.require(out, "Memory");
    guest::write(out, 0_u64);
    let list = handle::resolve::<Lookaside>(lookaside);
    match make(call, &list.attributes, list.pool, list.tag, list.size) {
        Ok(memory) => {
            guest::write(out, memory.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// A memory object that holds a copy of `data`; its handle goes to `out`.
pub(super) fn make_with(
    call: &Call,
    attributes: &Attributes,
    pool: u32,
    data: &[u8],
    out: u64,
) -> NtStatus {
    match make(call, attributes, pool, 0, data.len()) {
        Ok(memory) => {
            guest::put_bytes(memory.0.lock().address, data);
            guest::write(out, memory.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}
