//! Requests coming back from a target (E.6 of the specification).

use super::super::callback;
use super::super::ddi;
use super::super::handle::{self, Ref};
use super::super::lifetime::Hold;
use super::super::request::{CompletionParams, IoStatus, Request};
use super::{Place, Target};
use crate::nt::abi::{Completion, DeviceObject, Irp};
use crate::nt::status::NtStatus;
use crate::sched;

/// The framework's completion routine in the IRP of a sent request; its context is the request's handle.
pub(super) const HOOK: Completion = hook;

extern "win64" fn hook(_device: *mut DeviceObject, _irp: *mut Irp, context: *mut u8) -> NtStatus {
    ddi::guard("the framework's completion routine", || {
        match handle::lookup(context as u64).map(Ref::<Request>::of) {
            Ok(Some(request)) => leave(&request),
            Ok(None) => {}
            Err(why) => crate::verify::violation(
                "R-TGT-114",
                format!("a sent request has come back after its end: {why}"),
            ),
        }
        // R-TGT-88
        NtStatus::MORE_PROCESSING_REQUIRED
    })
}

/// One party less; the last one brings the request back to the driver, once (R-TGT-80), and nobody has its handle in use then
/// but whoever brings it (R-CAN-81).
pub(super) fn leave(request: &Ref<Request>) {
    let last = {
        let mut state = request.state();
        state.sent.parties -= 1;
        state.sent.parties == 0
    };
    if last {
        bring_back(request);
    }
}

/// A request that no lower driver has seen comes back with `status`.
pub(super) fn bring_back_unsent(request: &Ref<Request>, status: NtStatus) {
    if let Some(irp) = request.irp() {
        irp.set_status(status);
        irp.set_information(0);
    }
    bring_back(request);
}

/// Gives a request that is back to the driver: copies data, calls the completion routine, wakes the waiter. In the thread
/// that completes, cancels, purges or closes, under no lock of the framework (R-TGT-81, R-QUE-62).
fn bring_back(request: &Ref<Request>) {
    // R-TGT-115, R-OBJ-73: the framework keeps the object across the routine.
    let _hold = Hold::new(request.object());
    let (place, routine, waiter, params, timer, target_handle) = {
        let mut state = request.state();
        let place = std::mem::take(&mut state.sent.place);
        let waiter = state.sent.waiter.take();
        state.formatted = false; // R-TGT-32
        if let Some(irp) = state.irp
            && std::mem::take(&mut state.sent.timed_out)
            && irp.status() == NtStatus::CANCELLED
        {
            irp.set_status(NtStatus::IO_TIMEOUT); // R-TGT-60
        }
        if let (Some(irp), Some(format)) = (state.irp, state.format.as_mut()) {
            format.copy_back(irp);
        }
        let params = completion_params(&mut state);
        state.history.note("back from the target");
        // R-TGT-82
        (
            place,
            state.routine.take(),
            waiter,
            params,
            state.timer.take(),
            state.sent.target_handle,
        )
    };
    if let Some(timer) = timer {
        sched::cancel(&timer);
    }
    if let Some((function, context)) = routine {
        // The driver reads it in place.
        let params = Box::new(params);
        callback::call(
            function,
            &[
                request.handle(),
                target_handle,
                std::ptr::from_ref(&*params) as u64,
                context,
            ],
        );
    }
    if let Place::Below {
        target,
        key,
        tracked,
    } = place
    {
        forget(&target, key, tracked); // R-TGT-24: after the routine
    }
    if let Some(waiter) = waiter {
        waiter.set();
    }
}

fn forget(target: &Ref<Target>, key: super::Key, tracked: bool) {
    let mut state = target.state.lock();
    let list = if tracked {
        &mut state.below
    } else {
        &mut state.ignoring
    };
    list.remove(key);
    if list.is_empty() {
        target.emptied.set();
    }
}

/// What the driver is told (R-TGT-86).
pub(in crate::kmdf) fn completion_params(
    state: &mut super::super::request::State,
) -> CompletionParams {
    let mut params = CompletionParams::empty();
    if let Some(irp) = state.irp {
        params.io_status = IoStatus {
            status: irp.status().0 as u32 as u64,
            information: irp.information(),
        };
    }
    if let Some(format) = state.format.as_mut() {
        format.fill(&mut params);
    }
    params
}
