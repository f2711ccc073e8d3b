//! A queue and the power state of its device (B.9 of the specification).
//!
//! The PnP thread drives every queue through the same steps and waits for each; the work of a step is done by the dispatch
//! loop, in whatever thread is inside it.

use super::super::callback;
use super::super::device::Device;
use super::super::handle::Ref;
use super::super::lifetime::Hold;
use super::super::long_wait;
use super::super::request::{Cancelability, Owner, Request, StopAnswer};
use super::{Power, Queue, State, arrive, cancel, constraints, dispatch, state};

/// WdfRequestStopActionSuspend.
const ACTION_SUSPEND: u64 = 1;
/// WdfRequestStopActionPurge.
const ACTION_PURGE: u64 = 2;
/// WdfRequestStopRequestCancelable.
const CANCELABLE: u64 = 0x1000_0000;

/// What the dispatch loop is to do for power.
pub(super) enum Step {
    Stop(Ref<Request>, u64),
    Resume(Ref<Request>),
    Done,
}

impl Power {
    /// Cancellation is postponed while the driver is being told (R-QUE-130).
    pub(super) fn is_notifying(self) -> bool {
        matches!(
            self,
            Self::NotifyingStop | Self::NotifyingResume | Self::NotifyingPurge
        )
    }
}

/// The next step, if the queue is in transition.
pub(super) fn next_step(state: &mut State, queue: &Queue) -> Option<Step> {
    loop {
        match state.power {
            Power::On | Power::Off | Power::Quiet | Power::Resumed => return None,
            Power::Stopping => {
                // R-QUE-120: the other frames inside the loop leave first.
                if state.frames > 1 {
                    return None;
                }
                state.power = Power::Quiet;
                return Some(Step::Done);
            }
            Power::NotifyingStop | Power::NotifyingPurge => {
                let purge = state.power == Power::NotifyingPurge;
                if let Some(request) = next_to_notify(state) {
                    let action = if purge { ACTION_PURGE } else { ACTION_SUSPEND };
                    return Some(Step::Stop(request, action));
                }
                state.power = if purge {
                    Power::AwaitingPurge
                } else {
                    Power::AwaitingDriver
                };
            }
            Power::AwaitingDriver | Power::AwaitingPurge => {
                if !all_answered(state) {
                    return None;
                }
                state.power = if state.power == Power::AwaitingDriver {
                    Power::Off
                } else {
                    power_after_purge(queue)
                };
                return Some(Step::Done);
            }
            Power::NotifyingResume => {
                if let Some(request) = next_to_notify(state) {
                    return Some(Step::Resume(request));
                }
                state.power = Power::Resumed;
                return Some(Step::Done);
            }
        }
    }
}

fn power_after_purge(queue: &Queue) -> Power {
    if queue.power_managed {
        Power::Off
    } else {
        Power::On
    }
}

/// Takes the next request the driver is to be told of: still owned, not cancelled (R-QUE-121, R-QUE-129).
fn next_to_notify(state: &mut State) -> Option<Ref<Request>> {
    while let Some(request) = state.to_notify.pop_front() {
        let inner = request.state();
        let tell = inner.key.is_some() && inner.owner == Owner::Driver && !inner.canceled;
        drop(inner);
        if tell {
            return Some(request);
        }
    }
    None
}

/// R-QUE-122: every owned request is completed, back in the queue, or acknowledged; what is kept may stay cancelable
/// (R-QUE-132).
fn all_answered(state: &State) -> bool {
    state
        .owned
        .iter()
        .all(|(_, request)| request.state().stop == StopAnswer::Keep)
}

/// Performs a step outside the queue's lock.
pub(super) fn run(queue: &Ref<Queue>, step: Step) {
    match step {
        Step::Done => {
            queue.power_step.set();
        }
        Step::Stop(request, action) => call_stop(queue, &request, action),
        Step::Resume(request) => {
            let _hold = Hold::new(request.object());
            request.state().history.note("told to resume");
            constraints::synchronized(queue, || {
                callback::call_hooked(
                    queue.verifier(),
                    "EvtIoResume",
                    queue.config.evt_resume as u64,
                    &[queue.handle(), request.handle()],
                );
            });
        }
    }
}

fn call_stop(queue: &Ref<Queue>, request: &Ref<Request>, action: u64) {
    // R-QUE-127: somebody else may complete it meanwhile.
    let _hold = Hold::new(request.object());
    let flags = {
        let mut inner = request.state();
        inner.stop = StopAnswer::Asked;
        inner.history.note("told to stop");
        match inner.cancelability {
            // R-QUE-126
            Cancelability::Marked(_) => action | CANCELABLE,
            _ => action,
        }
    };
    constraints::synchronized(queue, || {
        callback::call_hooked(
            queue.verifier(),
            "EvtIoStop",
            queue.config.evt_stop as u64,
            &[queue.handle(), request.handle(), flags],
        );
    });
    let answer = {
        let mut inner = request.state();
        let answer = inner.stop;
        if answer == StopAnswer::Asked {
            inner.stop = StopAnswer::Pending;
        }
        answer
    };
    if answer == StopAnswer::Requeue {
        take_back(queue, request);
    }
}

/// R-QUE-124: back to the head, of any dispatch type, to be delivered anew.
fn take_back(queue: &Ref<Queue>, request: &Ref<Request>) {
    let mut state = queue.state.lock();
    request.state().stop = StopAnswer::None;
    state.disown(request);
    let canceled = state.cancel_dispatched;
    if canceled || !state.wait(request, arrive::End::Head, "acknowledged with requeue") {
        cancel::cancel_waiting(queue, state, request);
    }
}

/// Begins to leave D0: nothing more is delivered (R-QUE-120). Returns when no frame is inside the loop.
fn stop_delivering(queue: &Ref<Queue>) {
    {
        let mut state = queue.state.lock();
        if state.power != Power::On {
            return;
        }
        queue.power_step.clear();
        state.power = Power::Stopping;
        dispatch::visit_unless_active(queue, state);
    }
    long_wait::wait(queue.object(), &queue.power_step);
}

/// Tells the driver of its owned requests and waits until each is answered (R-QUE-121, R-QUE-122).
fn power_off(queue: &Ref<Queue>) {
    if begin_notification(
        queue,
        Power::Quiet,
        Power::NotifyingStop,
        queue.config.evt_stop,
    ) {
        long_wait::wait(queue.object(), &queue.power_step);
    }
}

/// Tells the driver of the requests it kept (R-QUE-129); deliveries begin with [`resume_delivering`].
fn power_on(queue: &Ref<Queue>) {
    if begin_notification(
        queue,
        Power::Off,
        Power::NotifyingResume,
        queue.config.evt_resume,
    ) {
        long_wait::wait(queue.object(), &queue.power_step);
        for (_, request) in queue.state.lock().owned.iter() {
            request.state().stop = StopAnswer::None;
        }
    }
}

/// Delivers again (R-QUE-115, R-QUE-50).
fn resume_delivering(queue: &Ref<Queue>) {
    let mut state = queue.state.lock();
    if state.power != Power::Resumed {
        return;
    }
    state.power = Power::On;
    if !state.waiting.is_empty() {
        state.became_nonempty = true;
    }
    dispatch::visit(queue, state, None);
}

/// Removal: purges the queue, tells the driver of the requests it still owns, and waits for them (R-QUE-128).
fn purge(queue: &Ref<Queue>) {
    state::shut_down_and_purge(queue);
    let from = queue.state.lock().power;
    if begin_notification(queue, from, Power::NotifyingPurge, queue.config.evt_stop) {
        long_wait::wait(queue.object(), &queue.power_step);
    }
}

/// Whether the step has begun; the caller then waits for it.
fn begin_notification(queue: &Ref<Queue>, from: Power, to: Power, callback: usize) -> bool {
    let mut state = queue.state.lock();
    if state.power != from {
        return false;
    }
    queue.power_step.clear();
    state.power = to;
    for (_, request) in state.owned.iter() {
        // What was acknowledged for low power is asked anew for removal.
        if to != Power::NotifyingResume {
            request.state().stop = StopAnswer::None;
        }
    }
    state.to_notify = if callback == 0 {
        Default::default()
    } else {
        state
            .owned
            .iter()
            .map(|(_, request)| request.clone())
            .collect()
    };
    dispatch::visit_unless_active(queue, state);
    true
}

/// The device leaves D0: every power-managed queue stops delivering, then each in turn is powered off (R-QUE-120).
///
/// PASSIVE_LEVEL, on the PnP thread; blocks until the driver has answered for every request it owns (R-QUE-122).
pub fn queues_power_down(device: &Ref<Device>) {
    device.io().set_power(false);
    let queues = managed(device, true);
    queues.iter().for_each(stop_delivering);
    queues.iter().for_each(power_off);
}

/// The device is in D0 again: every power-managed queue is powered, then all deliver (R-QUE-129).
pub fn queues_power_up(device: &Ref<Device>) {
    device.io().set_power(true);
    let queues = managed(device, true);
    queues.iter().for_each(power_on);
    queues.iter().for_each(resume_delivering);
}

/// Removal clean-up: purges the power-managed queues (R-QUE-128, R-DEV-62).
pub fn queues_purge_power_managed(device: &Ref<Device>) {
    managed(device, true).iter().for_each(purge);
}

/// The removed state: purges the other queues (R-QUE-128, R-DEV-62). No queue made from now on accepts (R-QUE-12).
pub fn queues_purge_not_power_managed(device: &Ref<Device>) {
    device.io().shut_down();
    managed(device, false).iter().for_each(purge);
}

fn managed(device: &Ref<Device>, managed: bool) -> Vec<Ref<Queue>> {
    let mut queues = device.io().queues();
    queues.retain(|queue| queue.power_managed == managed);
    queues
}
