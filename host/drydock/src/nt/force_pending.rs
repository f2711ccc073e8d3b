//! Forced pending: what a lower driver completes at once reaches the driver above later, from another thread.
//!
//! A driver that passes an IRP down must be ready for STATUS_PENDING, and for its completion routine to run before or
//! after the call returns; drivers below rarely give it both. With the setting on, a completion that comes during the
//! call is stopped before it leaves the lower driver's stack location, which is marked pending; the call returns STATUS_PENDING; and the
//! completion goes on from a clock interrupt. The lower driver owns the IRP until then, as far as the one above can tell.

use super::abi::{Address, Irp, at, sl};
use super::irp;
use super::status::NtStatus;
use crate::sched::{self, Lock};

/// A call of a lower driver in progress.
struct Call {
    irp: Address<Irp>,
    serial: u64,
    /// The lower driver's stack location.
    location: i8,
    /// The IRP was completed during the call.
    deferred: bool,
}

#[derive(Default)]
struct Calls {
    next: u64,
    /// The innermost call of an IRP comes last.
    open: Vec<Call>,
}

static CALLS: Lock<Calls> = Lock::new(Calls {
    next: 0,
    open: Vec::new(),
});

/// Passes the IRP to a lower driver by `pass`, and keeps its completion back until that has returned.
pub(super) fn around(request: *mut Irp, pass: impl FnOnce() -> NtStatus) -> NtStatus {
    let serial = {
        let mut calls = CALLS.lock();
        calls.next += 1;
        let serial = calls.next;
        calls.open.push(Call {
            irp: Address(request),
            serial,
            location: at(request).current_location.get() - 1,
            deferred: false,
        });
        serial
    };
    let status = pass();
    let deferred = {
        let mut calls = CALLS.lock();
        let position = calls.open.iter().rposition(|call| call.serial == serial);
        position.is_some_and(|position| calls.open.remove(position).deferred)
    };
    if !deferred {
        return status;
    }
    let request = Address(request);
    sched::at(sched::now(), move || {
        super::dpc::call(move || irp::go_on_completing(request.get()));
    });
    NtStatus::PENDING
}

/// Whether the completion of the IRP stops here: the call that brought it to its present location is in progress.
pub(super) fn stops(request: *mut Irp) -> bool {
    let location = at(request).current_location.get();
    let mut calls = CALLS.lock();
    let call = calls
        .open
        .iter_mut()
        .rev()
        .find(|call| call.irp.0 == request && call.location == location && !call.deferred);
    let Some(call) = call else { return false };
    call.deferred = true;
    irp::current(request)
        .control
        .update(|control| control | sl::PENDING_RETURNED);
    true
}
