//! Start, stop, drain, purge, and the end of a queue (R-QUE-70 to R-QUE-85, R-QUE-17).

use std::sync::Arc;

use super::super::handle::{Ref, WDF_VIOLATION};
use super::super::long_wait;
use super::{Deletion, Power, Queue, StateCallback, Waiter, cancel, dispatch, progress};
use crate::nt::status::NtStatus;
use crate::sched::Event;
use crate::verify;

/// What to do with the requests of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Stop,
    StopAndPurge,
    Drain,
    Purge,
}

impl Change {
    fn cancels(self) -> bool {
        matches!(self, Self::StopAndPurge | Self::Purge)
    }

    fn stops(self) -> bool {
        matches!(self, Self::Stop | Self::StopAndPurge)
    }
}

/// The bits of `WdfIoQueueGetState`, W and N (R-QUE-70); drivers put them together to the predicates of R-QUE-71.
pub(super) fn get(queue: &Queue) -> (u32, u32, u32) {
    let state = queue.state.lock();
    let held = queue.power_managed && state.power != Power::On;
    let bits = u32::from(state.accepts)
        | u32::from(state.dispatches) << 1
        | u32::from(state.waiting.is_empty()) << 2
        | u32::from(state.owned.is_empty()) << 3
        | u32::from(held) << 4;
    (bits, state.waiting.len() as u32, state.owned.len() as u32)
}

/// R-QUE-72
pub(super) fn start(queue: &Ref<Queue>) {
    let mut state = queue.state.lock();
    state.accepts = !state.shut_down;
    state.dispatches = true;
    state.cancel_dispatched = false;
    // R-QUE-115
    if !state.waiting.is_empty() {
        state.became_nonempty = true;
    }
    // R-QUE-50
    dispatch::visit(queue, state, None);
}

/// Begins a change; `callback` is called once it is complete.
pub(super) fn change(queue: &Ref<Queue>, change: Change, callback: Option<StateCallback>) {
    begin(queue, change, callback.map(Waiter::Driver));
}

/// Begins a change and waits until it is complete; the caller has checked that it may wait. From a handler of the queue, or
/// by who alone could complete its requests, that is for ever, and reported (R-QUE-83, R-QUE-84).
pub(super) fn change_and_wait(queue: &Ref<Queue>, change: Change) {
    let done = Arc::new(Event::new(true, false));
    begin(queue, change, Some(Waiter::Thread(done.clone())));
    long_wait::wait(queue.object(), &done);
}

fn begin(queue: &Ref<Queue>, change: Change, waiter: Option<Waiter>) {
    let mut state = queue.state.lock();
    if state.deletion == Deletion::Done {
        drop(state);
        fatal(
            queue,
            NtStatus::DELETE_PENDING,
            "R-QUE-81: the queue is deleted",
        );
    }
    if let Some(waiter) = waiter {
        let place = if change.stops() {
            &mut state.stop_done
        } else {
            &mut state.empty_done
        };
        if place.is_some() {
            drop(state);
            // R-QUE-80
            fatal(
                queue,
                NtStatus::INVALID_DEVICE_REQUEST,
                "R-QUE-80: an earlier operation of the same kind is not complete",
            );
        }
        *place = Some(waiter);
    }
    if change.stops() {
        // R-QUE-73
        state.accepts = !state.shut_down;
        state.dispatches = false;
    } else {
        // R-QUE-75, R-QUE-76; dispatching stays as it is (R-QUE-77).
        state.accepts = false;
    }
    if change.cancels() {
        let mode_applies = change.stops() || queue.device.object().binding().minor() >= 11;
        state.cancel_dispatched = mode_applies && !state.owned.is_empty();
        drop(state);
        purge(queue);
    } else {
        drop(state);
    }
    dispatch::visit_unless_active(queue, queue.state.lock());
}

/// Cancels what waits at this moment, and makes EvtRequestCancel due for what is cancelable (R-QUE-74, R-QUE-76).
fn purge(queue: &Ref<Queue>) {
    cancel::cancel_all_waiting(queue, |_| true);
    progress::cancel_waiting(queue);
    cancel::cancel_marked(&mut queue.state.lock());
}

/// Removal of the device: no request is accepted any more, whatever Start says (R-QUE-12, R-QUE-128).
pub(super) fn shut_down_and_purge(queue: &Ref<Queue>) {
    let mut state = queue.state.lock();
    state.shut_down = true;
    state.accepts = false;
    state.cancel_dispatched = !state.owned.is_empty();
    drop(state);
    purge(queue);
    // The cancel callbacks run before the driver is told to stop.
    dispatch::visit_unless_active(queue, queue.state.lock());
}

/// The object is being deleted: purges it and waits until nobody is in it (R-QUE-17).
pub(super) fn empty_for_deletion(queue: &Ref<Queue>) {
    begin_deletion(queue);
    long_wait::wait(queue.object(), &queue.emptied);
    queue.device.io().forget(queue);
    super::progress::release(queue);
}

fn begin_deletion(queue: &Ref<Queue>) {
    shut_down_and_purge(queue);
    let mut state = queue.state.lock();
    state.deletion = Deletion::Emptying;
    dispatch::visit(queue, state, None);
}

fn fatal(queue: &Ref<Queue>, status: NtStatus, text: &str) -> ! {
    verify::bug_check(
        WDF_VIOLATION,
        [0xA, queue.handle(), 0, status.0 as u32 as u64],
        format!("{}: {text}", queue.object().name()),
    )
}
