//! Cancellation by the originator, of waiting and of cancelable requests (D.1 to D.4 of the specification).

use super::super::ddi;
use super::super::handle::{self, Ref};
use super::super::request::{self, Cancelability, Owner, Request};
use super::{Queue, State, dispatch};
use crate::nt;
use crate::nt::abi::{Cancel, DeviceObject, Irp};
use crate::nt::status::NtStatus;
use crate::sched::LockGuard;

/// The routine the framework sets in the IRP of a request that waits or is cancelable.
pub(super) const CANCEL_ROUTINE: Cancel = cancel_routine;

extern "win64" fn cancel_routine(_device: *mut DeviceObject, irp: *mut Irp) {
    ddi::guard("the framework's cancel routine", || {
        let irp = request::IrpRef::new(irp);
        let handle = irp.armed_for();
        // A waiting or cancelable request cannot end while its cancel routine is on the way: whoever wants to take it
        // out finds the routine gone and leaves it to us. (With the verifier on, a driver may have completed it all
        // the same, R-REQ-25.)
        let request = handle::lookup(handle).ok().and_then(Ref::<Request>::of);
        nt::irp::release_cancel_lock(irp.view().cancel_irql.get());
        if let Some(request) = request {
            canceled(&request);
        }
    });
}

fn canceled(request: &Ref<Request>) {
    let Some(queue) = request.queue() else { return };
    let mut state = queue.state.lock();
    let owner = request.state().owner;
    if owner == Owner::Waiting {
        let key = request.state().key.take();
        if let Some(key) = key {
            state.waiting.remove(key);
        }
        cancel_waiting(&queue, state, request);
        dispatch::visit_unless_active(&queue, queue.state.lock());
    } else {
        schedule_cancel(&queue, state, request);
    }
}

/// Ends the wait of a request that was cancelled and is out of the waiting list: EvtIoCanceledOnQueue if the driver has seen
/// it and the queue has one, else completion (R-CAN-10 to R-CAN-14).
pub(super) fn cancel_waiting<'q>(
    queue: &'q Ref<Queue>,
    mut state: LockGuard<'q, State>,
    request: &Ref<Request>,
) {
    let told = {
        let mut request = request.state();
        request.canceled = true;
        request.presented && queue.config.evt_canceled_on_queue != 0
    };
    if told {
        state.own(request, Owner::CanceledOnQueue, "canceled on the queue");
        state.canceled_on_queue.push_back(request.clone());
        dispatch::visit_unless_active(queue, state);
    } else {
        drop(state);
        request::complete_by_framework(request, NtStatus::CANCELLED, 0);
    }
}

/// The request was marked cancelable and is cancelled: EvtRequestCancel is due (R-CAN-42).
fn schedule_cancel<'q>(
    queue: &'q Ref<Queue>,
    mut state: LockGuard<'q, State>,
    request: &Ref<Request>,
) {
    {
        let mut request = request.state();
        let Cancelability::Marked(callback) = request.cancelability else {
            return;
        };
        request.cancelability = Cancelability::Due(callback);
        request.canceled = true;
        request.history.note("canceled while cancelable");
    }
    state.cancel_due.push_back(request.clone());
    dispatch::visit_unless_active(queue, state);
}

/// `WdfRequestMarkCancelable(Ex)` after the checks: the request is owned and not cancelable.
///
/// # Errors
/// STATUS_CANCELLED if it is cancelled already and `fail_if_canceled` (R-CAN-23).
pub(super) fn mark(
    queue: &Ref<Queue>,
    request: &Ref<Request>,
    callback: u64,
    fail_if_canceled: bool,
) -> Result<(), NtStatus> {
    let Some(irp) = request.irp() else {
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    };
    let state = queue.state.lock();
    // The callback is in place before the routine: it can run as soon as that is set (R-CAN-27).
    request.state().cancelability = Cancelability::Marked(callback);
    if !state.cancel_dispatched && irp.arm(request.handle(), CANCEL_ROUTINE) {
        request.state().history.note("marked cancelable");
        return Ok(());
    }
    if fail_if_canceled {
        let mut request = request.state();
        request.cancelability = Cancelability::No;
        request.history.note("not marked: already canceled");
        return Err(NtStatus::CANCELLED);
    }
    // R-CAN-24
    schedule_cancel(queue, state, request);
    Ok(())
}

/// `WdfRequestUnmarkCancelable` after the checks. Who takes the cancel routine out of the IRP has the request: the finisher
/// here, or the canceller (R-CAN-80). In EvtRequestCancel the answer is what the callback says already (R-CAN-35).
///
/// # Errors
/// STATUS_CANCELLED if the cancellation has won (R-CAN-31).
pub(super) fn unmark(queue: &Ref<Queue>, request: &Ref<Request>) -> Result<(), NtStatus> {
    let _state = queue.state.lock();
    let mut inner = request.state();
    if matches!(inner.cancelability, Cancelability::Marked(_))
        && inner.irp.is_some_and(request::IrpRef::disarm)
    {
        inner.cancelability = Cancelability::No; // R-CAN-36: it can be marked again
        inner.history.note("unmarked");
        return Ok(());
    }
    inner.history.note("unmark: the cancellation has won");
    Err(NtStatus::CANCELLED)
}

/// Makes EvtRequestCancel due for every cancelable owned request, as a purge does (R-QUE-74, R-QUE-76).
pub(super) fn cancel_marked(state: &mut State) {
    let marked: Vec<Ref<Request>> = state
        .owned
        .iter()
        .map(|(_, request)| request)
        .filter(|request| {
            let inner = request.state();
            matches!(inner.cancelability, Cancelability::Marked(_))
                && inner.irp.is_some_and(request::IrpRef::disarm)
        })
        .cloned()
        .collect();
    for request in marked {
        {
            let mut inner = request.state();
            if let Cancelability::Marked(callback) = inner.cancelability {
                inner.cancelability = Cancelability::Due(callback);
            }
            inner.canceled = true;
            inner.history.note("canceled by a purge");
        }
        state.cancel_due.push_back(request);
    }
}

/// Cancels the requests that wait at this moment and that `wanted` names, oldest first (R-CAN-14, R-QUE-74).
pub(super) fn cancel_all_waiting(queue: &Ref<Queue>, wanted: impl Fn(&Ref<Request>) -> bool) {
    let requests: Vec<Ref<Request>> = {
        let state = queue.state.lock();
        let waiting = state.waiting.iter().map(|(_, request)| request);
        waiting.filter(|request| wanted(request)).cloned().collect()
    };
    for request in requests {
        let mut state = queue.state.lock();
        if let Some(request) = state.take_this(&request) {
            request.state().key = None;
            cancel_waiting(queue, state, &request);
        }
    }
}
