//! Parked requests in the order of their due times, without allocation.
//!
//! The links are in the requests' own cells. The list holds the [`Parked`] tokens: references, not ownership. A request
//! whose cancel handler ran is taken off by that handler with [`ParkedList::remove`]; one that nobody removed is
//! found out when it is taken: its `unpark` returns false.

use core::{marker::PhantomData, ptr, sync::atomic::Ordering};

use crate::{
    Status,
    clock::Instant,
    cx::{Cx, Place},
    lock::SpinLock,
    request::{Cell, FileKey, Kind, Owned, Parked, RawParked, RequestContext},
};

/// The part of a request's cell that a list uses. All zero is valid.
///
/// Invariant: while the cell's `list` names a list, these are read and written under the lock of that list only, and `token` is the
/// one put there, of the list's kind; while `list` is 0 nobody touches them but the list that is about to set it.
pub(crate) struct Links {
    next: *const Cell,
    previous: *const Cell,
    token: RawParked,
    due: Instant,
    key: Option<FileKey>,
}

/// Head and tail. Invariant: the cells between them are linked both ways, ordered by `due`, each with its cell's `list` set and
/// its object referenced by the list.
struct Ends {
    head: *const Cell,
    tail: *const Cell,
    length: u32,
}

// SAFETY: the pointers are to cells of referenced objects; they are only followed under the lock.
unsafe impl Send for Ends {}

/// An ordered list of parked requests of kind `K`. `Send + Sync`; lives in a device's context.
pub struct ParkedList<K: Kind> {
    ends: SpinLock<Ends>,
    kind: PhantomData<fn() -> K>,
}

/// # Safety
/// `cell` is the cell of an object the list references, and the list's lock is held by the caller, who makes no second reference.
unsafe fn links<'a>(cell: *const Cell) -> Option<&'a mut Links> {
    // SAFETY: contract: the object exists.
    let cell = unsafe { cell.as_ref() }?;
    // SAFETY: contract: the lock is held, this is the only reference.
    unsafe { cell.links.get().as_mut() }
}

impl Ends {
    /// Takes `cell` off. The caller holds the lock and gets the token; none if the cell is on no list.
    fn unlink(&mut self, cell: *const Cell) -> RawParked {
        // SAFETY: on this list (callers found it there), lock held.
        let Some(links_of_it) = (unsafe { links(cell) }) else {
            return RawParked::NONE;
        };
        let next = core::mem::take(&mut links_of_it.next);
        let previous = core::mem::take(&mut links_of_it.previous);
        let token = core::mem::replace(&mut links_of_it.token, RawParked::NONE);
        // SAFETY: a neighbour on the same list.
        match unsafe { links(previous) } {
            Some(before) => before.next = next,
            None => self.head = next,
        }
        // SAFETY: as above.
        match unsafe { links(next) } {
            Some(behind) => behind.previous = previous,
            None => self.tail = previous,
        }
        // SAFETY: the object is referenced: by the token about to be handed out.
        if let Some(cell) = unsafe { cell.as_ref() } {
            cell.list.store(0, Ordering::Release);
        }
        self.length = self.length.saturating_sub(1);
        token
    }

    /// The first cell that satisfies `wanted`, from the head.
    fn find(&self, mut wanted: impl FnMut(&Links) -> bool) -> Option<*const Cell> {
        let mut at = self.head;
        // SAFETY: cells of this list, lock held; the reference ends before the next is made.
        while let Some(links) = unsafe { links(at) } {
            if wanted(links) {
                return Some(at);
            }
            at = links.next;
        }
        None
    }
}

impl<K: Kind> ParkedList<K> {
    /// An empty list. IRQL <= `DISPATCH_LEVEL`.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new() -> Result<Self, Status> {
        let ends = SpinLock::new(Ends {
            head: ptr::null(),
            tail: ptr::null(),
            length: 0,
        })?;
        Ok(Self {
            ends,
            kind: PhantomData,
        })
    }

    /// Adds a parked request behind all that are due no later. IRQL <= `DISPATCH_LEVEL`.
    ///
    /// False: its cancel handler has it already, or will; it was not added.
    pub fn insert(
        &self,
        cx: &mut Cx<'_, impl Place>,
        parked: Parked<K>,
        due: Instant,
        key: Option<FileKey>,
    ) -> bool {
        let Some(cell) = parked.cell() else {
            return false;
        };
        let identity = self.ends.identity();
        let (inserted, leftover) = self.ends.with(cx, |ends| {
            // SAFETY: the token keeps the object.
            let shared = unsafe { cell.as_ref() };
            // A cancel handler that runs from now on blocks on this lock in `remove` and then finds the request here.
            if !parked.lasts(shared) {
                return (false, Some(parked));
            }
            let cell: *const Cell = cell.as_ptr();
            // A token of an earlier parking that nobody removed.
            let stale = if shared.list.load(Ordering::Acquire) == identity {
                ends.unlink(cell)
            } else {
                RawParked::NONE
            };
            if shared
                .list
                .compare_exchange(0, identity, Ordering::AcqRel, Ordering::Acquire)
                .is_err()
            {
                // On another list: there it stays.
                return (false, Some(parked));
            }
            let mut before = ends.tail;
            // SAFETY: cells of this list, lock held.
            while let Some(links) = unsafe { links(before) } {
                if links.due <= due {
                    break;
                }
                before = links.previous;
            }
            // SAFETY: as above.
            let next = match unsafe { links(before) } {
                Some(links) => core::mem::replace(&mut links.next, cell),
                None => core::mem::replace(&mut ends.head, cell),
            };
            // SAFETY: as above.
            match unsafe { links(next) } {
                Some(links) => links.previous = cell,
                None => ends.tail = cell,
            }
            let token = parked.into_raw();
            // SAFETY: the cell being inserted, now referenced by the list.
            if let Some(links) = unsafe { links(cell) } {
                *links = Links {
                    next,
                    previous: before,
                    token,
                    due,
                    key,
                };
            }
            ends.length = ends.length.saturating_add(1);
            // SAFETY: the token of this kind that `insert` had put there.
            (true, unsafe { Parked::from_raw(stale) })
        });
        // References are given back outside the lock: the last one destroys the object.
        drop(leftover);
        inserted
    }

    fn take(
        &self,
        cx: &mut Cx<'_, impl Place>,
        wanted: impl FnMut(&Links) -> bool,
    ) -> Option<Parked<K>> {
        let token = self
            .ends
            .with(cx, |ends| ends.find(wanted).map(|cell| ends.unlink(cell)))?;
        // SAFETY: `insert` put a token of this kind there; unlinking hands it out once.
        unsafe { Parked::from_raw(token) }
    }

    /// Takes the first request that is due at `now`.
    pub fn take_due(&self, cx: &mut Cx<'_, impl Place>, now: Instant) -> Option<Parked<K>> {
        let mut first = true;
        // Ordered: only the head can be the answer.
        self.take(cx, |links| {
            core::mem::replace(&mut first, false) && links.due <= now
        })
    }

    /// Takes the first request, due or not.
    pub fn take_any(&self, cx: &mut Cx<'_, impl Place>) -> Option<Parked<K>> {
        self.take(cx, |_| true)
    }

    /// Takes the first request whose context `wanted` says yes to. `wanted` runs under the list's lock.
    pub fn take_if<T: RequestContext>(
        &self,
        cx: &mut Cx<'_, impl Place>,
        mut wanted: impl FnMut(&T) -> bool,
    ) -> Option<Parked<K>> {
        self.take(cx, |links| {
            // SAFETY: the list's token keeps the object while it is on the list.
            let context = unsafe { links.token.context::<T>() };
            context.is_some_and(&mut wanted)
        })
    }

    /// Takes the first request of one open instance.
    pub fn take_of(&self, cx: &mut Cx<'_, impl Place>, key: FileKey) -> Option<Parked<K>> {
        self.take(cx, |links| links.key == Some(key))
    }

    /// Takes off the request a cancel or stop handler has just been given, if it is here.
    pub fn remove(&self, cx: &mut Cx<'_, impl Place>, request: &impl Owned) -> bool {
        // SAFETY: owned by the caller: the object exists.
        let Some(cell) = (unsafe { Cell::of(request.raw()) }) else {
            return false;
        };
        let identity = self.ends.identity();
        let taken = self.ends.with(cx, |ends| {
            if cell.list.load(Ordering::Acquire) == identity {
                ends.unlink(cell)
            } else {
                RawParked::NONE
            }
        });
        // SAFETY: a token of this kind, handed out once. Its reference goes outside the lock.
        unsafe { Parked::<K>::from_raw(taken) }.is_some()
    }

    /// Makes every request that is here due at `now`, those that were due before left alone. IRQL <= `DISPATCH_LEVEL`.
    pub fn make_due(&self, cx: &mut Cx<'_, impl Place>, now: Instant) {
        self.ends.with(cx, |ends| {
            let mut at = ends.head;
            // Ordered before, ordered after: what was due later is due together.
            // SAFETY: cells of this list, lock held; the reference ends before the next is made.
            while let Some(links) = unsafe { links(at) } {
                if links.due > now {
                    links.due = now;
                }
                at = links.next;
            }
        });
    }

    /// When the first request is due.
    pub fn next_due(&self, cx: &mut Cx<'_, impl Place>) -> Option<Instant> {
        self.ends.with(cx, |ends| {
            // SAFETY: the head of this list, lock held.
            unsafe { links(ends.head) }.map(|links| links.due)
        })
    }

    /// When the last request of one open instance is due.
    pub fn last_due_of(&self, cx: &mut Cx<'_, impl Place>, key: FileKey) -> Option<Instant> {
        self.ends.with(cx, |ends| {
            let mut last = None;
            ends.find(|links| {
                if links.key == Some(key) {
                    last = Some(links.due);
                }
                false
            });
            last
        })
    }

    /// How many are on the list.
    pub fn len(&self, cx: &mut Cx<'_, impl Place>) -> u32 {
        self.ends.with(cx, |ends| ends.length)
    }

    /// Whether there are none.
    pub fn is_empty(&self, cx: &mut Cx<'_, impl Place>) -> bool {
        self.len(cx) == 0
    }
}

impl<K: Kind> Drop for ParkedList<K> {
    fn drop(&mut self) {
        let ends = self.ends.get_mut();
        while !ends.head.is_null() {
            let token = ends.unlink(ends.head);
            // SAFETY: a token of this kind, handed out once.
            if unsafe { Parked::<K>::from_raw(token) }.is_none() {
                return;
            }
        }
    }
}
