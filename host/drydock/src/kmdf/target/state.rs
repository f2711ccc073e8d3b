//! Start, stop, purge and removal of targets (E.2 of the specification).

use super::super::ddi::Call;
use super::super::handle::Ref;
use super::super::long_wait;
use super::super::request::Request;
use super::{Target, TargetState, cancel, complete, send};
use crate::nt;
use crate::nt::status::NtStatus;
use crate::nt::thread::PASSIVE_LEVEL;
use crate::verify;

/// `WDF_IO_TARGET_SENT_IO_ACTION`.
const CANCEL_SENT: u32 = 1;
const WAIT_FOR_SENT: u32 = 2;
const LEAVE_PENDING: u32 = 3;
/// `WDF_IO_TARGET_PURGE_IO_ACTION`.
const PURGE_AND_WAIT: u32 = 1;
const PURGE_ONLY: u32 = 2;

/// A wait needs PASSIVE_LEVEL: with the verifier on BREAK and no effect, with it off the end of the run.
fn may_wait(call: &Call, statement: &'static str) -> bool {
    let irql = nt::thread::current().irql();
    if irql == PASSIVE_LEVEL {
        return true;
    }
    let text = format!("a waiting operation on a target at IRQL {irql}");
    if !call.verifier() {
        verify::violation(statement, format!("{}: {text}", call.name));
    }
    call.framework_break(statement, &text);
    false
}

/// `WdfIoTargetStart` (R-TGT-20).
pub(super) fn start(call: &Call, target: &Ref<Target>) -> Result<(), NtStatus> {
    loop {
        let mut state = target.state.lock();
        if state.state == TargetState::Deleted {
            return Err(NtStatus::INVALID_DEVICE_STATE);
        }
        if state.waiters == 0 {
            state.state = TargetState::Started;
            break;
        }
        drop(state);
        if !may_wait(call, "R-TGT-20") {
            return Err(NtStatus::INVALID_DEVICE_REQUEST);
        }
        target.unwatched.wait();
    }
    send::resend_held(target);
    Ok(())
}

/// `WdfIoTargetStop` (R-TGT-21 to R-TGT-24).
pub(super) fn stop(call: &Call, target: &Ref<Target>, action: u32) {
    match action {
        CANCEL_SENT | WAIT_FOR_SENT if !may_wait(call, "R-TGT-22") => return,
        CANCEL_SENT | WAIT_FOR_SENT | LEAVE_PENDING => {}
        _ => return,
    }
    {
        let mut state = target.state.lock();
        if matches!(state.state, TargetState::Started | TargetState::Purged) {
            state.state = TargetState::Stopped;
        }
    }
    if action == CANCEL_SENT {
        cancel_below(target, false);
    }
    if action != LEAVE_PENDING {
        wait_for_below(target, false);
    }
}

/// `WdfIoTargetPurge` (R-TGT-25).
pub(super) fn purge(call: &Call, target: &Ref<Target>, action: u32) {
    match action {
        PURGE_AND_WAIT if !may_wait(call, "R-TGT-25") => return,
        PURGE_AND_WAIT | PURGE_ONLY => {}
        _ => return,
    }
    {
        let mut state = target.state.lock();
        if matches!(state.state, TargetState::Started | TargetState::Stopped) {
            state.state = TargetState::Purged;
        }
    }
    fail_held(target);
    cancel_below(target, false);
    if action == PURGE_AND_WAIT {
        wait_for_below(target, false);
    }
}

/// Close and deletion: everything comes back, ignore-state requests too (R-TGT-26, R-TGT-10).
pub(super) fn remove(target: &Ref<Target>, into: TargetState) {
    target.state.lock().state = into;
    fail_held(target);
    cancel_below(target, true);
    wait_for_below(target, true);
}

/// Held requests come back unsent.
fn fail_held(target: &Ref<Target>) {
    loop {
        let taken = send::take_first_held(&mut target.state.lock());
        let Some((request, _)) = taken else { return };
        complete::bring_back_unsent(&request, NtStatus::WDF_DEVICE_REMOVED_NOT_SENT);
    }
}

fn cancel_below(target: &Ref<Target>, ignoring_too: bool) {
    let requests: Vec<Ref<Request>> = {
        let state = target.state.lock();
        let ignoring = ignoring_too.then_some(&state.ignoring);
        [Some(&state.below), ignoring]
            .into_iter()
            .flatten()
            .flat_map(|list| list.iter().map(|(_, request)| request.clone()))
            .collect()
    };
    for request in &requests {
        cancel::cancel_sent(request);
    }
}

/// R-TGT-24
fn wait_for_below(target: &Ref<Target>, ignoring_too: bool) {
    target.state.lock().waiters += 1;
    target.unwatched.clear();
    loop {
        let state = target.state.lock();
        if state.below.is_empty() && (!ignoring_too || state.ignoring.is_empty()) {
            break;
        }
        target.emptied.clear();
        drop(state);
        long_wait::wait(target.object(), &target.emptied);
    }
    let mut state = target.state.lock();
    state.waiters -= 1;
    if state.waiters == 0 {
        target.unwatched.set();
    }
}
