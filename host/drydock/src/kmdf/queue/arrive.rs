//! How requests get into a queue: by arriving, by being forwarded, by being put back.

use super::super::handle::Ref;
use super::super::request::{self, Owner, Request};
use super::{Key, Queue, State, cancel, constraints, dispatch};
use crate::nt;
use crate::nt::status::NtStatus;
use crate::sched::LockGuard;

/// Where in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Head,
    Tail,
}

impl State {
    /// Makes `request` wait. False: its IRP was cancelled before, and it is not in the queue.
    pub(super) fn wait(&mut self, request: &Ref<Request>, end: End, what: &'static str) -> bool {
        let Some(irp) = request.irp() else {
            return false;
        };
        if !irp.arm(request.handle(), cancel::CANCEL_ROUTINE) {
            return false;
        }
        let key = match end {
            End::Head => self.waiting.push_front(request.clone()),
            End::Tail => self.waiting.push_back(request.clone()),
        };
        request.state().enter(Owner::Waiting, Some(key), what);
        // R-QUE-112, R-QUE-116
        if self.waiting.len() == 1 || std::mem::take(&mut self.next_arrival_counts) {
            self.became_nonempty = true;
        }
        true
    }
}

/// An IRP has arrived and `request` stands for it: delivers it or makes it wait. Gives what the dispatch routine returns.
pub fn arrived(queue: &Ref<Queue>, request: Ref<Request>) -> NtStatus {
    let Some(irp) = request.irp() else {
        return NtStatus::INVALID_DEVICE_REQUEST;
    };
    let mut state = queue.state.lock();
    if !state.accepts {
        drop(state);
        // R-QUE-33, X-03
        request::complete_by_framework(&request, NtStatus::INVALID_DEVICE_STATE, 0);
        return NtStatus::INVALID_DEVICE_STATE;
    }
    nt::irp::mark_pending(irp.raw());
    request.state().queue = Some(queue.clone());
    // An arriving request overtakes none that waits (R-QUE-40), and enters the loop whoever else is inside (R-QUE-47).
    let at_once = state.waiting.is_empty()
        && state.may_deliver(queue.dispatching)
        && !state.has_urgent_work()
        && constraints::may_run_here(queue);
    if at_once {
        state.own(&request, Owner::Driver, "arrived, delivered at once");
        dispatch::visit(queue, state, Some(request));
    // Where the loop is deferred, the request waits in its place meanwhile (R-QUE-53).
    } else if state.wait(&request, End::Tail, "arrived, waiting") {
        drop(request);
        dispatch::visit(queue, state, None);
    } else {
        // R-QUE-57
        drop(state);
        request::complete_by_framework(&request, NtStatus::CANCELLED, 0);
        drop(request);
        dispatch::visit(queue, queue.state.lock(), None);
    }
    // R-QUE-32
    NtStatus::PENDING
}

/// Puts a request that the driver hands over at the tail (R-REQ-85, R-REQ-89), and gives the key by which it is still
/// counted in N of the queue it came from (R-REQ-90).
///
/// # Errors
/// STATUS_WDF_BUSY if the queue does not accept; nothing has changed then (R-REQ-86).
pub(super) fn handed_over(
    queue: &Ref<Queue>,
    request: &Ref<Request>,
) -> Result<Option<Key>, NtStatus> {
    let mut state = queue.state.lock();
    if !state.accepts {
        return Err(NtStatus::WDF_BUSY); // R-REQ-05
    }
    let counted = request.state().key.take();
    if let Some(irp) = request.irp() {
        nt::irp::mark_pending(irp.raw());
    }
    request.state().queue = Some(queue.clone());
    // R-QUE-49: the handler may run, and complete the request, before this returns.
    if state.wait(request, End::Tail, "forwarded, waiting") {
        dispatch::visit(queue, state, None);
    } else {
        cancel::cancel_waiting(queue, state, request);
        dispatch::visit(queue, queue.state.lock(), None);
    }
    Ok(counted)
}

/// Puts an owned request back at the head of its queue (R-REQ-82 to R-REQ-84).
pub(super) fn put_back<'q>(
    queue: &'q Ref<Queue>,
    mut state: LockGuard<'q, State>,
    request: &Ref<Request>,
) {
    state.disown(request);
    if !state.cancel_dispatched && state.wait(request, End::Head, "requeued, waiting") {
        dispatch::visit(queue, state, None);
    } else {
        cancel::cancel_waiting(queue, state, request);
        dispatch::visit(queue, queue.state.lock(), None);
    }
}

impl State {
    /// Takes `request` out of N.
    pub(super) fn disown(&mut self, request: &Ref<Request>) {
        let key = request.state().key.take();
        self.uncount(key);
    }

    /// Takes the request of `key` out of N.
    pub(super) fn uncount(&mut self, key: Option<Key>) {
        if let Some(key) = key {
            self.owned.remove(key);
        }
        if self.owned.is_empty() {
            // R-QUE-74: the mode lasts until N = 0.
            self.cancel_dispatched = false;
        }
    }
}

/// A driver-owned request of `queue` has been completed, or sent and forgotten: N goes down (R-QUE-44), and the queue is
/// visited unless a frame is inside the loop (R-QUE-45, R-QUE-46).
pub fn finished(queue: &Ref<Queue>, request: &Ref<Request>) {
    let mut state = queue.state.lock();
    state.disown(request);
    request.state().queue = None;
    dispatch::visit_unless_active(queue, state);
}
