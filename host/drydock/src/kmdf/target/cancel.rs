//! Cancelling requests that were sent (D.6 of the specification).

use super::super::ddi;
use super::super::handle::{self, Ref};
use super::super::request::{IrpRef, Request};
use super::{Place, complete};
use crate::nt;
use crate::nt::abi::{Cancel, DeviceObject, Irp};
use crate::nt::status::NtStatus;

/// The routine in the IRP of an I/O request that a stopped target holds (R-CAN-55).
pub(super) const CANCEL_ROUTINE: Cancel = cancel_routine;

extern "win64" fn cancel_routine(_device: *mut DeviceObject, irp: *mut Irp) {
    ddi::guard("the framework's cancel routine of a held request", || {
        let irp = IrpRef::new(irp);
        let request = handle::lookup(irp.armed_for())
            .ok()
            .and_then(Ref::<Request>::of);
        nt::irp::release_cancel_lock(irp.view().cancel_irql.get());
        if let Some(request) = request {
            cancel_held(&request);
        }
    });
}

/// `WdfRequestCancelSentRequest`: true if a cancel routine was called (R-CAN-70). The completion routine may run inside
/// (R-CAN-73).
pub fn cancel_sent(request: &Ref<Request>) -> bool {
    let irp = {
        let mut state = request.state();
        state.canceled = true; // R-CAN-74
        match state.sent.place {
            Place::None => return false,
            Place::Held(..) => None,
            Place::Below { .. } if state.sent.parties == 0 => return false,
            Place::Below { .. } => {
                // As long as we are a party, nobody brings the request back and frees the IRP.
                state.sent.parties += 1;
                state.history.note("canceled at the target");
                state.irp
            }
        }
    };
    let Some(irp) = irp else {
        // R-CAN-78
        // Only the IRP of a request from above has a cancel routine meanwhile.
        let free = request
            .irp()
            .is_none_or(|irp| irp.current_if_valid().is_none() || irp.disarm());
        return free && cancel_held(request);
    };
    let called = nt::irp::cancel(irp.raw());
    complete::leave(request);
    called
}

/// Takes a held request out and brings it back as cancelled. False: somebody else has taken it.
fn cancel_held(request: &Ref<Request>) -> bool {
    if !take_held(request) {
        return false;
    }
    complete::bring_back_unsent(request, NtStatus::CANCELLED);
    true
}

/// Takes a request out of the list of those its target holds.
fn take_held(request: &Ref<Request>) -> bool {
    let Place::Held(target, _) = request.state().sent.place.clone() else {
        return false;
    };
    let mut target_state = target.state.lock();
    let mut state = request.state();
    let Place::Held(_, key) = state.sent.place.clone() else {
        return false;
    };
    target_state.held.remove(key);
    state.sent.place = Place::None;
    state.history.note("taken from the stopped target");
    true
}
