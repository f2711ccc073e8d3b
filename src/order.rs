//! Order: while something of a handle waits in ferry, what comes later on that handle waits behind it (filter rule 6).

use core::sync::atomic::{AtomicU32, Ordering};

use wdf::{
    Status,
    cx::{Cx, Place},
    lock::SpinLock,
    request::FileKey,
};

/// Handles whose order is kept at the same time. Requests of further ones wait no longer than their own rule says: nothing is
/// allocated for them.
const HANDLES: usize = 128;

/// Where a request waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// In the held queue.
    Held,
    /// Parked.
    Delayed,
}

/// What of one handle waits where.
#[derive(Clone, Copy)]
struct Waiting {
    handle: FileKey,
    held: u32,
    delayed: u32,
}

/// Which handles have something waiting.
pub(crate) struct Order {
    /// Entries in use, so that a device nothing waits in pays one load.
    handles: AtomicU32,
    table: SpinLock<[Option<Waiting>; HANDLES]>,
}

impl Order {
    pub(crate) fn new() -> Result<Self, Status> {
        Ok(Self {
            handles: AtomicU32::new(0),
            table: SpinLock::new([None; HANDLES])?,
        })
    }

    /// Whether nothing waits at all.
    pub(crate) fn is_idle(&self) -> bool {
        self.handles.load(Ordering::Acquire) == 0
    }

    /// Decides where a request of `handle` waits, given what the rules want, and notes it there. A hold goes before a delay.
    pub(crate) fn enter(
        &self,
        cx: &mut Cx<'_, impl Place>,
        handle: FileKey,
        wanted: Option<Waits>,
    ) -> Option<Waits> {
        self.table.with(cx, |table| {
            let known = table
                .iter_mut()
                .flatten()
                .find(|waiting| waiting.handle == handle);
            let waits = match (&known, wanted) {
                (_, Some(Waits::Held)) => Waits::Held,
                (Some(waiting), _) if waiting.held != 0 => Waits::Held,
                (Some(_), _) | (None, Some(Waits::Delayed)) => Waits::Delayed,
                (None, None) => return None,
            };
            if let Some(waiting) = known {
                waiting.add(waits);
            } else if let Some(room) = table.iter_mut().find(|entry| entry.is_none()) {
                let mut waiting = Waiting {
                    handle,
                    held: 0,
                    delayed: 0,
                };
                waiting.add(waits);
                *room = Some(waiting);
                self.handles.fetch_add(1, Ordering::AcqRel);
            }
            Some(waits)
        })
    }

    /// A request of `handle` waits no longer: it was sent, or completed.
    pub(crate) fn leave(&self, cx: &mut Cx<'_, impl Place>, handle: Option<FileKey>, waits: Waits) {
        self.table.with(cx, |table| {
            for entry in table {
                let Some(waiting) = entry
                    .as_mut()
                    .filter(|waiting| Some(waiting.handle) == handle)
                else {
                    continue;
                };
                waiting.take(waits);
                if waiting.held == 0 && waiting.delayed == 0 {
                    *entry = None;
                    self.handles.fetch_sub(1, Ordering::AcqRel);
                }
                return;
            }
        });
    }
}

impl Waiting {
    const fn add(&mut self, waits: Waits) {
        match waits {
            Waits::Held => self.held = self.held.saturating_add(1),
            Waits::Delayed => self.delayed = self.delayed.saturating_add(1),
        }
    }

    const fn take(&mut self, waits: Waits) {
        match waits {
            Waits::Held => self.held = self.held.saturating_sub(1),
            Waits::Delayed => self.delayed = self.delayed.saturating_sub(1),
        }
    }
}
