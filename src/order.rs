//! Order: while something of a handle waits in ferry, what comes later on that handle waits behind it (filter rule 6).
//!
//! A handle's requests wait in at most two places, the older ones in the first:
//!
//! | what already waits of the handle | where the next one waits |
//! |---|---|
//! | something held | the held queue, whatever the rules want |
//! | something delayed | parked behind it; the held queue if a rule holds it |
//! | something in the backlog | the backlog; the held queue if a rule holds or delays it |
//! | nothing | where the rules or the limit want it, or nowhere |
//!
//! So what is delayed or in the backlog is always older than what is held of the same handle, each place is first in, first out for a handle, and
//! a held request may go when nothing of its handle is delayed, in the backlog, or held before it.

use core::sync::atomic::{AtomicU32, Ordering};

use wdf::{
    Status,
    cx::{Anywhere, Cx},
    lock::SpinLock,
    request::FileKey,
};
use zerocopy::FromZeros;

use crate::{attention, device::Crossing, passage::Passage};

/// Handles that have an entry of their own at the same time. What further ones keep shares the last entry: their order is kept too, only
/// more strictly than need be.
const OWN: usize = 128;
/// All entries.
pub(crate) const ENTRIES: usize = OWN + 1;

/// Where a request waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// In the held queue.
    Held,
    /// Parked.
    Delayed,
    /// In the backlog.
    Backlog,
}

/// How much of one handle waits where. Written under the lock, read anywhere.
#[derive(FromZeros)]
pub(crate) struct Entry {
    held: AtomicU32,
    delayed: AtomicU32,
    backlog: AtomicU32,
    /// The last scan of the held queue that met a request of this handle which may not go.
    blocked: AtomicU32,
}

impl Entry {
    const fn of(&self, waits: Waits) -> &AtomicU32 {
        match waits {
            Waits::Held => &self.held,
            Waits::Delayed => &self.delayed,
            Waits::Backlog => &self.backlog,
        }
    }

    fn count(&self, waits: Waits) -> u32 {
        self.of(waits).load(Ordering::Acquire)
    }

    fn is_empty(&self) -> bool {
        [Waits::Held, Waits::Delayed, Waits::Backlog]
            .into_iter()
            .all(|waits| self.count(waits) == 0)
    }

    /// Where the next one of this handle waits.
    fn next(&self, wanted: Option<Waits>) -> Option<Waits> {
        if self.count(Waits::Held) != 0 {
            Some(Waits::Held)
        } else if self.count(Waits::Delayed) != 0 {
            Some(match wanted {
                Some(Waits::Held) => Waits::Held,
                _ => Waits::Delayed,
            })
        } else if self.count(Waits::Backlog) != 0 {
            Some(match wanted {
                Some(Waits::Held | Waits::Delayed) => Waits::Held,
                _ => Waits::Backlog,
            })
        } else {
            wanted
        }
    }
}

/// Whose entries they are. The entries themselves are on the device's shelf.
struct Keys {
    of: [Option<FileKey>; OWN],
    /// Requests that wait, with and without a handle.
    waiting: u32,
}

/// Which handles have something waiting.
pub(crate) struct Order {
    keys: SpinLock<Keys>,
}

impl Order {
    pub(crate) fn new() -> Result<Self, Status> {
        Ok(Self {
            keys: SpinLock::new(Keys {
                of: [None; OWN],
                waiting: 0,
            })?,
        })
    }
}

impl Crossing {
    /// Decides where a request of `handle` waits, given what the rules or the limit want, and notes it there and on the request.
    /// `None`: nowhere. Undone by [`leave`](Self::leave).
    pub(crate) fn enter(
        &self,
        cx: &mut Cx<'_, Anywhere>,
        passage: &Passage,
        handle: Option<FileKey>,
        wanted: Option<Waits>,
    ) -> Option<Waits> {
        self.order.keys.with(cx, |keys| {
            let mut waits = wanted;
            if let Some(handle) = handle {
                let own = keys.of.iter().position(|key| *key == Some(handle));
                // While anything shares the last entry, a handle without one of its own may be among them.
                let shared = || self.shelf.order.get(OWN).filter(|all| !all.is_empty());
                let known = own.map_or_else(
                    || shared().map(|entry| (OWN, entry)),
                    |at| self.shelf.order.get(at).map(|entry| (at, entry)),
                );
                if let Some((_, entry)) = known {
                    waits = entry.next(wanted);
                }
                let at = match (known, waits) {
                    (_, None) => return None,
                    (Some((at, _)), _) => at,
                    (None, Some(_)) => keys.take(handle),
                };
                if let (Some(entry), Some(waits)) = (self.shelf.order.get(at), waits) {
                    entry.of(waits).fetch_add(1, Ordering::AcqRel);
                }
                passage.order.store(number(at), Ordering::Release);
            }
            waits?;
            keys.waiting = keys.waiting.saturating_add(1);
            if keys.waiting == 1 {
                self.attention.set(attention::WAITING, true);
            }
            waits
        })
    }

    /// A request waits no longer: it was sent, or completed; `entry` is what its notes said. True if others of its handle still wait.
    pub(crate) fn leave(&self, cx: &mut Cx<'_, Anywhere>, entry: u32, waits: Waits) -> bool {
        self.order.keys.with(cx, |keys| {
            keys.waiting = keys.waiting.saturating_sub(1);
            if keys.waiting == 0 {
                self.attention.set(attention::WAITING, false);
            }
            let Some((at, entry)) = self.entry(entry) else {
                return false;
            };
            // Under the lock: nobody else writes.
            let left = entry.count(waits).saturating_sub(1);
            entry.of(waits).store(left, Ordering::Release);
            let empty = entry.is_empty();
            if empty && let Some(key) = keys.of.get_mut(at) {
                *key = None;
            }
            !empty
        })
    }

    /// Whether anything of that handle waits.
    pub(crate) fn has_waiting(&self, cx: &mut Cx<'_, Anywhere>, handle: FileKey) -> bool {
        self.order.keys.with(cx, |keys| {
            keys.of.contains(&Some(handle))
                || self.shelf.order.get(OWN).is_some_and(|all| !all.is_empty())
        })
    }

    /// Whether something of the handle goes before a held request of that entry, as far as this scan of the queue has seen.
    pub(crate) fn is_behind(&self, entry: u32, scan: u32) -> bool {
        self.entry(entry).is_some_and(|(_, entry)| {
            entry.blocked.load(Ordering::Relaxed) == scan
                || entry.count(Waits::Delayed) != 0
                || entry.count(Waits::Backlog) != 0
        })
    }

    /// What follows of that handle in this scan may not go.
    pub(crate) fn block(&self, entry: u32, scan: u32) {
        if let Some((_, entry)) = self.entry(entry) {
            entry.blocked.store(scan, Ordering::Relaxed);
        }
    }

    fn entry(&self, number: u32) -> Option<(usize, &Entry)> {
        let at = usize::try_from(number.checked_sub(1)?).ok()?;
        Some((at, self.shelf.order.get(at)?))
    }
}

/// How an entry is noted on a request.
fn number(at: usize) -> u32 {
    u32::try_from(at).map_or(0, |at| at.saturating_add(1))
}

impl Keys {
    /// An entry for a handle that has none.
    fn take(&mut self, handle: FileKey) -> usize {
        let free = self.of.iter().position(Option::is_none);
        if let Some(key) = free.and_then(|at| self.of.get_mut(at)) {
            *key = Some(handle);
        }
        free.unwrap_or(OWN)
    }
}
