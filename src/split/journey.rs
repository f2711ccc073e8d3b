//! What is known of a transfer on its way in chunks: how far it is, what went wrong first, and the rights to cancel what is below.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use wdf::{
    Status,
    cx::{CanComplete, Cx},
    request::{OwnRequest, SentToken, Slot},
    target::Completion,
};

use super::{Child, DEPTH};

/// Nothing has gone wrong.
const NEVER: u64 = u64::MAX;

/// One of the children that walk through a transfer, each taking the next chunk when it is back from the last one.
pub(super) struct Walker {
    /// See [`super::walk`].
    pub(super) phase: AtomicU8,
    /// The child, between its return and whoever goes on with it.
    pub(super) back: Slot<OwnRequest<Child>>,
    /// The right to cancel it.
    sent: Slot<SentToken>,
    /// How its last chunk ended, if that ended the transfer.
    status: AtomicU32,
    information: AtomicU64,
}

/// One transfer on its way.
pub(super) struct Journey {
    /// Given back under the lock of [`super::Journeys`].
    pub(super) busy: AtomicBool,
    /// The open instance it is for, scrambled.
    pub(super) handle: AtomicU64,
    canceled: AtomicBool,
    whole: AtomicU64,
    chunk: AtomicU64,
    /// Where the next chunk begins.
    next: AtomicU64,
    /// The first chunk that failed or was short: its number, and in the lowest byte whose it was.
    bad: AtomicU64,
    pub(super) walkers: [Walker; DEPTH],
    /// Its own child, while no transfer uses it.
    pub(super) first: Slot<OwnRequest<Child>>,
}

impl Journey {
    pub(super) fn new() -> Self {
        Self {
            busy: AtomicBool::new(false),
            handle: AtomicU64::new(0),
            canceled: AtomicBool::new(false),
            whole: AtomicU64::new(0),
            chunk: AtomicU64::new(0),
            next: AtomicU64::new(0),
            bad: AtomicU64::new(NEVER),
            walkers: [(); DEPTH].map(|()| Walker {
                phase: AtomicU8::new(0),
                back: Slot::new(),
                sent: Slot::new(),
                status: AtomicU32::new(0),
                information: AtomicU64::new(0),
            }),
            first: Slot::new(),
        }
    }

    /// A transfer sets out. Nothing of it is below yet.
    pub(super) fn begin(&self, handle: u64, whole: u64, chunk: u64) {
        self.whole.store(whole, Ordering::Relaxed);
        self.chunk.store(chunk, Ordering::Relaxed);
        self.next.store(0, Ordering::Relaxed);
        self.bad.store(NEVER, Ordering::Relaxed);
        self.canceled.store(false, Ordering::Relaxed);
        self.handle.store(handle, Ordering::Release);
    }

    /// The next chunk: its number, offset and length. `None`: no more are to be sent.
    pub(super) fn next(&self) -> Option<(u64, u64, u64)> {
        if self.bad.load(Ordering::Acquire) != NEVER || self.canceled.load(Ordering::Acquire) {
            return None;
        }
        let whole = self.whole.load(Ordering::Relaxed);
        let chunk = self.chunk.load(Ordering::Relaxed);
        let step = |next: u64| (next < whole).then(|| next.saturating_add(chunk));
        let offset = self
            .next
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, step)
            .ok()?;
        let number = offset.checked_div(chunk)?;
        Some((number, offset, whole.saturating_sub(offset).min(chunk)))
    }

    /// A chunk is back.
    pub(super) fn note(&self, walker: usize, number: u64, length: u64, completion: Completion) {
        let moved = (completion.information as u64).min(length);
        if completion.status.is_success() && moved == length {
            return;
        }
        self.spoil(walker, number, completion.status, moved);
    }

    /// A chunk ends the transfer: if it is the first one that does, it decides how.
    pub(super) fn spoil(&self, walker: usize, number: u64, status: Status, moved: u64) {
        let Some(of) = self.walkers.get(walker) else {
            return;
        };
        of.status
            .store(status.raw().cast_unsigned(), Ordering::Relaxed);
        of.information.store(moved, Ordering::Relaxed);
        let mark = (number << 8) | walker as u64;
        self.bad.fetch_min(mark, Ordering::AcqRel);
    }

    /// How the transfer ended: contiguous bytes from the start. Everything is back.
    pub(super) fn result(&self) -> (Status, u64) {
        const ERROR: u32 = 3;
        let bad = self.bad.load(Ordering::Acquire);
        if bad == NEVER {
            let whole = self.whole.load(Ordering::Relaxed);
            let done = self.next.load(Ordering::Acquire) >= whole;
            // Nothing went wrong and not all was sent: it was canceled between two chunks.
            return if done {
                (Status::SUCCESS, whole)
            } else {
                (Status::CANCELLED, 0)
            };
        }
        let walker = usize::try_from(bad & 0xFF)
            .ok()
            .and_then(|at| self.walkers.get(at));
        let Some(walker) = walker else {
            return (Status::INTERNAL_ERROR, 0);
        };
        let status = walker.status.load(Ordering::Relaxed);
        // Every chunk before it was sent before it, and came back whole.
        let before = (bad >> 8).saturating_mul(self.chunk.load(Ordering::Relaxed));
        let moved = before.saturating_add(walker.information.load(Ordering::Relaxed));
        let moved = if status >> 30 == ERROR { 0 } else { moved };
        (Status::from_raw(status.cast_signed()), moved)
    }

    /// From now on no chunk is sent.
    pub(super) fn stop(&self) {
        self.canceled.store(true, Ordering::Release);
    }

    /// The rights to cancel what is below.
    pub(super) fn rights(&self) -> [Option<SentToken>; DEPTH] {
        self.walkers.each_ref().map(|walker| walker.sent.take())
    }

    /// Keeps the right to cancel a chunk; uses it if the cancellation has been here already.
    pub(super) fn track(&self, cx: &Cx<'_, impl CanComplete>, walker: usize, token: SentToken) {
        if let Some(walker) = self.walkers.get(walker) {
            drop(walker.sent.take());
            drop(walker.sent.put(token));
        }
        if self.canceled.load(Ordering::Acquire) {
            cancel(cx, self.rights());
        }
    }
}

/// Cancels what is below. No lock is held: completion routines may run inside.
pub(super) fn cancel(cx: &Cx<'_, impl CanComplete>, rights: [Option<SentToken>; DEPTH]) {
    for right in rights.into_iter().flatten() {
        right.cancel(cx);
    }
}
