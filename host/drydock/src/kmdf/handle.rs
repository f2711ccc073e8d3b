//! Handles: what a driver holds instead of an object.
//!
//! A handle is not an address, so a driver that dereferences one faults at once. It names a slot and the generation of
//! the object in it; a slot keeps what it knew about its last object, so a stale handle is recognised and explained
//! (R-OBJ-05).
//!
//! | bits | meaning |
//! |---|---|
//! | 63..56 | 0x5D: makes the word non-canonical |
//! | 55..32 | generation of the slot |
//! | 31..3 | index of the slot |
//! | 2..0 | flags (R-OBJ-01): 0 the object itself, 1 and 2 the input and output memory embedded in a request (R-OBJ-07) |

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::kind::Kind;
use super::object::{Body, ObjRef};
use crate::sched::Lock;
use crate::verify;

/// System bug check WDF_VIOLATION.
pub const WDF_VIOLATION: u32 = 0x10D;

const TAG: u64 = 0x5D << 56;
const TAG_MASK: u64 = 0xFF << 56;
const FIRST_SEGMENT: u32 = 1024;
const SEGMENTS: usize = 20;
/// A freed slot is used again only after this many others were freed: stale handles are then explained by name.
const REST: usize = 256;

/// A handle value as a driver sees it; it stays the same as long as the object lives (R-OBJ-02).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u64);

/// Which part of an object a handle denotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The object itself.
    Whole,
    /// The input memory embedded in a request.
    InputMemory,
    /// The output memory embedded in a request.
    OutputMemory,
}

impl Handle {
    fn new(index: u32, generation: u32) -> Self {
        Self(TAG | u64::from(generation & 0xFF_FFFF) << 32 | u64::from(index) << 3)
    }

    fn index(self) -> u32 {
        (self.0 as u32) >> 3
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32 & 0xFF_FFFF
    }

    /// The part of the object this handle denotes.
    pub fn part(self) -> Part {
        match self.0 & 7 {
            1 => Part::InputMemory,
            2 => Part::OutputMemory,
            _ => Part::Whole,
        }
    }

    /// The handle of `part` of the same object.
    pub fn with_part(self, part: Part) -> Self {
        let flags = match part {
            Part::Whole => 0,
            Part::InputMemory => 1,
            Part::OutputMemory => 2,
        };
        Self(self.0 & !7 | flags)
    }
}

/// What is remembered of an object after its end.
struct Tombstone {
    generation: u32,
    kind: Kind,
    serial: u64,
    created_by: &'static str,
    ended_by: &'static str,
}

#[derive(Default)]
struct Cell {
    generation: u32,
    object: Option<ObjRef>,
    tombstone: Option<Tombstone>,
}

type Slot = Lock<Cell>;

/// Segment `n` holds `1024 << n` slots, so a slot never moves and looking one up takes no lock but its own.
static TABLE: [OnceLock<Box<[Slot]>>; SEGMENTS] = [const { OnceLock::new() }; SEGMENTS];
static USED: AtomicU32 = AtomicU32::new(0);
static FREE: Lock<VecDeque<u32>> = Lock::new(VecDeque::new());

fn slot(index: u32) -> Option<&'static Slot> {
    let block = index / FIRST_SEGMENT + 1;
    let segment = block.ilog2();
    let offset = index - FIRST_SEGMENT * ((1 << segment) - 1);
    TABLE.get(segment as usize)?.get()?.get(offset as usize)
}

fn slot_or_new(index: u32) -> &'static Slot {
    let block = index / FIRST_SEGMENT + 1;
    let segment = block.ilog2();
    let offset = index - FIRST_SEGMENT * ((1 << segment) - 1);
    let Some(cell) = TABLE.get(segment as usize) else {
        panic!("more than {index} framework objects at once");
    };
    &cell.get_or_init(|| {
        (0..FIRST_SEGMENT << segment)
            .map(|_| Lock::default())
            .collect()
    })[offset as usize]
}

/// A slot without an object, whose handle is already known.
pub(super) struct Reserved(Handle);

impl Reserved {
    pub(super) fn handle(&self) -> Handle {
        self.0
    }

    /// Makes `object` what the handle names.
    pub(super) fn publish(self, object: ObjRef) {
        slot_or_new(self.0.index()).lock().object = Some(object);
    }

    /// Gives the slot back unused.
    pub(super) fn release(self) {
        FREE.lock().push_back(self.0.index());
    }
}

pub(super) fn reserve() -> Reserved {
    let recycled = {
        let mut free = FREE.lock();
        if free.len() > REST {
            free.pop_front()
        } else {
            None
        }
    };
    let index = recycled.unwrap_or_else(|| USED.fetch_add(1, Ordering::Relaxed));
    let mut cell = slot_or_new(index).lock();
    cell.generation = (cell.generation + 1) & 0xFF_FFFF;
    Reserved(Handle::new(index, cell.generation))
}

/// Ends the life of a handle; its object is gone from now on.
pub(super) fn retire(handle: Handle, ended_by: &'static str) {
    let gone = {
        let mut cell = slot_or_new(handle.index()).lock();
        let object = cell.object.take();
        if let Some(object) = &object {
            cell.tombstone = Some(Tombstone {
                generation: handle.generation(),
                kind: object.kind(),
                serial: object.serial(),
                created_by: object.created_by(),
                ended_by,
            });
        }
        object
    };
    drop(gone);
    FREE.lock().push_back(handle.index());
}

/// Calls `f` with every live object, in the order of their slots.
pub fn for_each_live(mut f: impl FnMut(&ObjRef)) {
    for index in 0..USED.load(Ordering::Relaxed) {
        let object = slot(index).and_then(|slot| slot.lock().object.clone());
        if let Some(object) = object {
            f(&object);
        }
    }
}

/// The live object of `raw`, or `None` with the reason a report can print.
pub fn lookup(raw: u64) -> Result<ObjRef, String> {
    if raw & TAG_MASK != TAG {
        return Err(format!("{raw:#x} is no handle of this framework"));
    }
    let handle = Handle(raw);
    let Some(slot) = slot(handle.index()) else {
        return Err(format!("{raw:#x} was never a handle of this framework"));
    };
    let cell = slot.lock();
    match &cell.object {
        Some(object) if cell.generation == handle.generation() => return Ok(object.clone()),
        _ => {}
    }
    Err(match &cell.tombstone {
        Some(t) if t.generation == handle.generation() => format!(
            "use after free of {} #{}, created by {}, destroyed by {}",
            t.kind.name(),
            t.serial,
            t.created_by,
            t.ended_by
        ),
        _ => format!("use after free: the object of handle {raw:#x} is long gone"),
    })
}

/// The object of `raw`; null stops the run as an invalid handle would (R-OBJ-03), a stale one as use after free
/// (R-OBJ-05).
fn resolve_expecting(raw: u64, expected: Kind) -> ObjRef {
    if raw == 0 {
        verify::bug_check(
            WDF_VIOLATION,
            [5, 0, expected as u64, 0],
            format!(
                "a null handle was passed where a {} is required (R-OBJ-03)",
                expected.name()
            ),
        );
    }
    match lookup(raw) {
        Ok(object) => object,
        Err(why) => verify::violation("R-OBJ-05", why),
    }
}

/// The object of any handle, of whatever type.
pub fn resolve_any(raw: u64) -> ObjRef {
    resolve_expecting(raw, Kind::Object)
}

/// An object known to carry a body of type `B`.
pub struct Ref<B> {
    object: ObjRef,
    body: PhantomData<fn() -> B>,
}

impl<B: Body> Ref<B> {
    /// `object` as a `B`, if it is one.
    pub fn of(object: ObjRef) -> Option<Self> {
        object.is::<B>().then_some(Self {
            object,
            body: PhantomData,
        })
    }

    /// The object.
    pub fn object(&self) -> &ObjRef {
        &self.object
    }

    /// The handle drivers know it by.
    pub fn handle(&self) -> u64 {
        self.object.handle().0
    }
}

impl<B> Clone for Ref<B> {
    fn clone(&self) -> Self {
        Self {
            object: self.object.clone(),
            body: PhantomData,
        }
    }
}

impl<B: Body> Deref for Ref<B> {
    type Target = B;
    fn deref(&self) -> &B {
        match self.object.body::<B>() {
            Some(body) => body,
            None => unreachable!("a Ref is only made for an object of its type"),
        }
    }
}

/// A body type a driver has typed handles of.
pub trait Typed: Body {
    /// The type its handles are checked against.
    const KIND: Kind;
}

/// The object of a typed handle; a null, stale or wrong one stops the run (R-OBJ-03, R-OBJ-04, R-OBJ-05).
pub fn resolve<B: Typed>(raw: u64) -> Ref<B> {
    let object = resolve_expecting(raw, B::KIND);
    let found = object.kind();
    if Handle(raw).part() == Part::Whole
        && let Some(typed) = Ref::of(object)
    {
        return typed;
    }
    verify::bug_check(
        WDF_VIOLATION,
        [5, raw, B::KIND as u64, 0],
        format!(
            "a handle of type {} was passed where a {} is required (R-OBJ-04)",
            found.name(),
            B::KIND.name()
        ),
    )
}

/// As [`resolve`], but null is `None`.
pub fn resolve_optional<B: Typed>(raw: u64) -> Option<Ref<B>> {
    (raw != 0).then(|| resolve(raw))
}
