//! Sending (E.4 and E.5 of the specification).

use std::sync::Arc;

use super::super::ddi::Call;
use super::super::guest;
use super::super::handle::{Ref, WDF_VIOLATION};
use super::super::request::{self, Cancelability, IrpRef, Request};
use super::{Opened, Place, Target, TargetState, cancel, complete};
use crate::nt;
use crate::nt::abi::{DeviceObject, mj};
use crate::nt::status::NtStatus;
use crate::nt::thread::PASSIVE_LEVEL;
use crate::sched::{self, Event};
use crate::verify;

const TIMEOUT: u32 = 1;
const SYNCHRONOUS: u32 = 2;
const IGNORE_TARGET_STATE: u32 = 4;
const SEND_AND_FORGET: u32 = 8;
const KNOWN: u32 = TIMEOUT | SYNCHRONOUS | IGNORE_TARGET_STATE | SEND_AND_FORGET;
const OPTIONS_SIZE: u32 = 16;

/// Judged send options.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    flags: u32,
    timeout: i64,
}

impl Options {
    /// R-TGT-52; a null address is no options.
    pub(super) fn read(address: u64) -> Result<Self, NtStatus> {
        if address == 0 {
            return Ok(Self::default());
        }
        let flags = guest::read::<u32>(address + 4);
        let alone = flags & SEND_AND_FORGET == 0 || flags == SEND_AND_FORGET;
        if guest::read::<u32>(address) != OPTIONS_SIZE || flags & !KNOWN != 0 || !alone {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        Ok(Self {
            flags,
            timeout: guest::read(address + 8),
        })
    }

    /// Time until the timeout, in 100 ns (R-TGT-59).
    pub(super) fn timeout(self) -> Option<i64> {
        (self.flags & TIMEOUT != 0 && self.timeout != 0).then(|| nt::wait::relative(self.timeout))
    }

    pub(super) fn ignores_state(self) -> bool {
        self.flags & IGNORE_TARGET_STATE != 0
    }
}

/// `WdfRequestSend`: false if the request was not handed over; its status then says why (R-TGT-50), and a created one is still
/// to be deleted or reused (R-TGT-113).
pub fn send(call: &Call, request: &Ref<Request>, target: &Ref<Target>, options: u64) -> bool {
    match try_send(call, request, target, options) {
        Ok(()) => true,
        Err(status) => {
            fail(request, status);
            false
        }
    }
}

fn fail(request: &Ref<Request>, status: NtStatus) {
    let mut state = request.state();
    state.sent.failure = status;
    if let Some(irp) = state.irp {
        irp.set_status(status);
    }
}

fn try_send(
    call: &Call,
    request: &Ref<Request>,
    target: &Ref<Target>,
    options: u64,
) -> Result<(), NtStatus> {
    let options = Options::read(options).inspect_err(|_| {
        // R-CHK-27
        call.framework_break("R-TGT-52", "the send options are not valid");
    })?;
    if !request.is_created() {
        request.require_owned(call)?;
    }
    refuse_cancelable(call, request);
    if options.flags & SEND_AND_FORGET != 0 {
        return send_and_forget(call, request, target);
    }
    let synchronous = options.flags & SYNCHRONOUS != 0;
    if !synchronous && !request.is_created() && request.state().routine.is_none() {
        call.framework_break(
            // R-CHK-28
            "R-TGT-53",
            "an I/O request is sent without a completion routine",
        );
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    if synchronous {
        submit_and_wait(call, request, target, options)
    } else {
        submit(call, request, target, options, None)
    }
}

/// R-CAN-54: not checked by the framework at any level.
fn refuse_cancelable(call: &Call, request: &Ref<Request>) {
    let cancelable = matches!(
        request.state().cancelability,
        Cancelability::Marked(_) | Cancelability::Due(_)
    );
    if cancelable {
        verify::violation(
            "R-CAN-54",
            request.explain(&format!("{}: the request is cancelable", call.name)),
        );
    }
}

/// A synchronous send: returns when the request has come back (R-TGT-62).
pub(super) fn submit_and_wait(
    call: &Call,
    request: &Ref<Request>,
    target: &Ref<Target>,
    options: Options,
) -> Result<(), NtStatus> {
    // A spin lock or a dispatch-level callback lock that is held shows as the level (R-TGT-65).
    let irql = nt::thread::current().irql();
    if irql > PASSIVE_LEVEL {
        let text = format!("a synchronous send at IRQL {irql}");
        if !call.verifier() {
            verify::violation("R-TGT-58", request.explain(&text));
        }
        call.framework_break("R-TGT-58", &text);
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    let back = Arc::new(Event::new(true, false));
    let timeout = options.timeout();
    let untimed = Options {
        flags: options.flags & !TIMEOUT,
        timeout: 0,
    };
    submit(call, request, target, untimed, Some(back.clone()))?;
    let in_time = match timeout {
        None => {
            back.wait();
            true
        }
        Some(timeout) => back.wait_timeout(timeout),
    };
    if !in_time {
        // R-TGT-60: the timeout bounds the start of cancellation, not the return.
        let serial = request.state().sent.serial;
        timed_out(request, serial);
        back.wait();
    }
    Ok(())
}

fn timed_out(request: &Ref<Request>, serial: u64) {
    {
        let mut state = request.state();
        if !state.sent.is_at_target() || state.sent.serial != serial {
            return;
        }
        state.sent.timed_out = true;
        state.history.note("the timeout of the send has elapsed");
    }
    cancel::cancel_sent(request);
}

/// Hands the request to the lower driver, or lets a stopped target hold it (R-TGT-55).
fn submit(
    call: &Call,
    request: &Ref<Request>,
    target: &Ref<Target>,
    options: Options,
    waiter: Option<Arc<Event>>,
) -> Result<(), NtStatus> {
    if request.state().sent.is_at_target() {
        verify::bug_check(
            WDF_VIOLATION,
            [6, 3, request.handle(), 0],
            request.explain("the request is sent while it is at an I/O target (R-TGT-54)"),
        );
    }
    let irp = sendable(call, request, target)?;
    let timeout = options.timeout();
    let opened = {
        let mut target_state = target.state.lock();
        let mut state = request.state();
        if state.canceled {
            return Err(NtStatus::CANCELLED); // R-TGT-56
        }
        let opened = target_state
            .opened
            .clone()
            .ok_or(NtStatus::INVALID_DEVICE_STATE)?;
        let ignoring = options.ignores_state();
        let sends = match target_state.state {
            TargetState::Started => true,
            TargetState::Stopped => ignoring,
            TargetState::Purged if ignoring => true,
            closed if ignoring && closed.is_closed() => {
                let busy = !target_state.below.is_empty() || !target_state.ignoring.is_empty();
                if !busy {
                    return Err(NtStatus::INVALID_DEVICE_STATE);
                }
                true
            }
            _ => return Err(NtStatus::INVALID_DEVICE_STATE),
        };
        state.sent.waiter = waiter;
        state.sent.serial += 1;
        state.sent.timed_out = false;
        state.sent.target_handle = target.handle();
        if sends {
            place_below(&mut target_state, &mut state, request, target, !ignoring);
            Some(opened)
        } else {
            let cancelable = irp.current_if_valid().is_some();
            if cancelable && !irp.arm(request.handle(), cancel::CANCEL_ROUTINE) {
                state.sent.waiter = None;
                return Err(NtStatus::CANCELLED);
            }
            let key = target_state.held.push_back(request.clone());
            state.sent.place = Place::Held(target.clone(), key);
            state.history.note("held by the stopped target");
            None
        }
    };
    if let Some(timeout) = timeout {
        start_timer(request, timeout);
    }
    if let Some(opened) = opened {
        call_lower(request, irp, &opened);
    }
    Ok(())
}

/// The request is with the lower driver from here on; its queue still counts it (R-TGT-66).
fn place_below(
    target_state: &mut super::State,
    state: &mut request::State,
    request: &Ref<Request>,
    target: &Ref<Target>,
    tracked: bool,
) {
    let list = if tracked {
        &mut target_state.below
    } else {
        &mut target_state.ignoring
    };
    let key = list.push_back(request.clone());
    state.sent.place = Place::Below {
        target: target.clone(),
        key,
        tracked,
    };
    state.sent.parties = 1;
    state.history.note("sent to the target");
}

/// The IRP, if the request may be sent as it is: formatted (R-TGT-30, R-TGT-31), with room (R-TGT-57).
fn sendable(call: &Call, request: &Ref<Request>, target: &Ref<Target>) -> Result<IrpRef, NtStatus> {
    let (irp, formatted) = {
        let state = request.state();
        (state.irp, state.formatted)
    };
    if !formatted {
        if !call.verifier() {
            verify::violation(
                // R-CHK-31 with the verifier on: no BREAK, the send is refused.
                "R-TGT-31",
                request.explain("the request is sent without a format"),
            );
        }
        return Err(NtStatus::REQUEST_NOT_ACCEPTED);
    }
    let irp = irp.ok_or(NtStatus::REQUEST_NOT_ACCEPTED)?;
    if call.verifier()
        && let Some(size) = target.stack_size()
        && irp.locations_left() < size
    {
        return Err(NtStatus::REQUEST_NOT_ACCEPTED);
    }
    Ok(irp)
}

/// R-TGT-59: the timer's routine runs at DISPATCH_LEVEL.
fn start_timer(request: &Ref<Request>, timeout: i64) {
    let later = request.clone();
    let serial = request.state().sent.serial;
    let token = sched::at(sched::now() + timeout, move || {
        nt::dpc::call(move || timed_out(&later, serial));
    });
    let mut state = request.state();
    if state.sent.is_at_target() {
        state.timer = Some(token);
    } else {
        drop(state);
        sched::cancel(&token);
    }
}

fn call_lower(request: &Ref<Request>, irp: IrpRef, opened: &Opened) {
    nt::irp::set_completion_routine(
        irp.raw(),
        complete::HOOK,
        request.handle() as *mut u8,
        true,
        true,
        true,
    );
    let _: NtStatus = nt::irp::call_driver(opened.device.get(), irp.raw());
}

/// Sends the requests a target held, in order, after it was started (R-TGT-20).
pub(super) fn resend_held(target: &Ref<Target>) {
    loop {
        let (request, irp, opened) = {
            let mut target_state = target.state.lock();
            if target_state.state != TargetState::Started {
                return;
            }
            let Some(opened) = target_state.opened.clone() else {
                return;
            };
            let Some((request, irp)) = take_first_held(&mut target_state) else {
                return;
            };
            let mut state = request.state();
            place_below(&mut target_state, &mut state, &request, target, true);
            drop(state);
            (request, irp, opened)
        };
        // R-TGT-61: its timer has been running.
        call_lower(&request, irp, &opened);
    }
}

/// Takes the first held request that no cancellation has claimed.
pub(super) fn take_first_held(state: &mut super::State) -> Option<(Ref<Request>, IrpRef)> {
    let found = state.held.iter().find_map(|(key, request)| {
        let irp = request.irp()?;
        let cancelable = irp.current_if_valid().is_some();
        (!cancelable || irp.disarm()).then_some((key, irp))
    });
    let (key, irp) = found?;
    let request = state.held.remove(key);
    request.state().sent.place = Place::None;
    Some((request, irp))
}

/// Send-and-forget (R-TGT-70 to R-TGT-76).
fn send_and_forget(
    call: &Call,
    request: &Ref<Request>,
    target: &Ref<Target>,
) -> Result<(), NtStatus> {
    if request.is_created() {
        return Err(NtStatus::INVALID_DEVICE_STATE); // R-TGT-70
    }
    if request.state().format.is_some() {
        call.framework_break(
            // R-CHK-29
            "R-TGT-71",
            "a request formatted for a target cannot be sent and forgotten",
        );
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    let irp = request.irp().ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
    if call.verifier() {
        if request.state().routine.is_some() {
            call.framework_break(
                // R-CHK-30
                "R-TGT-72",
                "the completion routine of a forgotten request is never called",
            );
        }
        let files = request
            .device()
            .is_some_and(|device| device.config().files.is_some());
        if irp.major() == mj::CREATE && files {
            // R-CHK-30
            call.framework_break("R-TGT-73", "the outcome of a create must be observed");
        }
    }
    let opened = target.opened().ok_or(NtStatus::INVALID_DEVICE_STATE)?;
    forget_down(request, opened.device.get());
    Ok(())
}

/// Sends a request down and lets go of it: clean-up comes first, then the IRP goes, then N goes down (R-TGT-75), so that a
/// power-down finds nothing to ask about (R-TGT-77).
pub fn forget_down(request: &Ref<Request>, lower: *mut DeviceObject) {
    let formatted = request.state().formatted;
    let Some(irp) = request::begin_hand_over(request) else {
        return;
    };
    if formatted {
        // The next location was filled in; the IRP passes through ours.
        pass_through(irp);
    } else {
        nt::irp::skip_current(irp.raw());
    }
    // R-TGT-74
    let _: NtStatus = nt::irp::call_driver(lower, irp.raw());
    request::end_hand_over(request);
}

/// No completion routine in the next location; pending is passed on by the I/O manager's rules.
fn pass_through(irp: IrpRef) {
    if let Some(next) = irp.next() {
        next.completion_routine.set(None);
        next.control.set(0);
    }
}
