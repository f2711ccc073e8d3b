//! Fetching requests from a queue: retrieve, find, ready notification (B.6 and B.7 of the specification).

use super::super::ddi::Call;
use super::super::handle::{Ref, WDF_VIOLATION};
use super::super::lifetime;
use super::super::request::{self, Owner, Request};
use super::{Deletion, Dispatching, Key, Power, Queue, State, StateCallback, dispatch};
use crate::nt::abi::FileObject;
use crate::nt::status::NtStatus;
use crate::verify;

/// Which request is wanted.
pub(super) enum Wanted<'a> {
    Next,
    OfFile(*mut FileObject),
    Found(&'a Ref<Request>),
}

/// `WdfIoQueueRetrieveNextRequest`, `...RetrieveRequestByFileObject` and `...RetrieveFoundRequest`: the request is the
/// driver's then (R-QUE-95).
pub(super) fn retrieve(
    call: &Call,
    queue: &Ref<Queue>,
    wanted: Wanted<'_>,
) -> Result<Ref<Request>, NtStatus> {
    let found_form = matches!(wanted, Wanted::Found(_));
    if found_form && call.verifier() && queue.dispatching != Dispatching::Manual {
        // R-QUE-99
        call.framework_break("R-QUE-99", "the queue is not manual");
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    if matches!(queue.dispatching, Dispatching::Parallel(_)) {
        return Err(NtStatus::INVALID_DEVICE_STATE); // R-QUE-90
    }
    loop {
        let mut state = queue.state.lock();
        if call.verifier() && queue.dispatching == Dispatching::Sequential && state.owned.is_empty()
        {
            drop(state);
            call.framework_break(
                // R-CHK-26
                "R-QUE-91",
                "the sequential queue has no driver-owned request",
            );
            state = queue.state.lock();
        }
        // R-QUE-92: transitional power states still allow retrieval.
        if state.power == Power::Off || !state.dispatches {
            return Err(NtStatus::WDF_PAUSED);
        }
        let Some(request) = take(&mut state, &wanted) else {
            if let Wanted::Found(tag) = wanted
                && call.verifier()
            {
                drop(state);
                require_not_elsewhere(call, queue, tag);
                return Err(NtStatus::NOT_FOUND);
            }
            // R-QUE-116
            if !found_form && !state.waiting.is_empty() {
                state.next_arrival_counts = true;
            }
            return Err(if found_form {
                NtStatus::NOT_FOUND
            } else {
                NtStatus::NO_MORE_ENTRIES
            });
        };
        state.own(&request, Owner::Driver, "retrieved");
        drop(state);
        if !queue.completes_empty_transfer(&request) {
            request.state().present("given to the driver by retrieval");
            return Ok(request);
        }
        // R-QUE-101
        request::complete_by_framework(&request, NtStatus::SUCCESS, 0);
        if found_form {
            return Err(NtStatus::NOT_FOUND);
        }
    }
}

/// With the verifier on, the removal of a request that waits in another queue is a bug check (G.2, 0x6/0x5). One that waits
/// nowhere has only been quicker.
fn require_not_elsewhere(call: &Call, queue: &Ref<Queue>, tag: &Ref<Request>) {
    let waits = tag.state().owner == Owner::Waiting;
    let elsewhere = tag.queue().filter(|other| other.handle() != queue.handle());
    if let Some(other) = elsewhere
        && waits
        && call.binding.checks_of(11)
    {
        verify::bug_check(
            WDF_VIOLATION,
            [0x6, 0x5, tag.handle(), 0],
            format!(
                "{} is retrieved from {}, and waits in {} (R-QUE-99)",
                tag.object().name(),
                queue.object().name(),
                other.object().name()
            ),
        );
    }
}

fn take(state: &mut State, wanted: &Wanted<'_>) -> Option<Ref<Request>> {
    match *wanted {
        Wanted::Next => state.take_waiting(|_| true),
        Wanted::OfFile(file) => {
            state.take_waiting(|request| request.wdm_file_object() == Some(file))
        }
        Wanted::Found(tag) => state.take_this(tag),
    }
}

impl State {
    /// Where `request` waits in this queue, if it does.
    fn position(&self, request: &Ref<Request>) -> Option<Key> {
        let key = {
            let inner = request.state();
            inner.key.filter(|_| inner.owner == Owner::Waiting)?
        };
        let entry = self.waiting.get(key)?;
        (entry.handle() == request.handle()).then_some(key)
    }

    /// Takes exactly this request out, if it waits here and no cancellation has claimed it (R-QUE-99).
    pub(super) fn take_this(&mut self, request: &Ref<Request>) -> Option<Ref<Request>> {
        let key = self.position(request)?;
        request.disarm().then(|| self.waiting.remove(key))
    }
}

/// With the verifier on, a driver built for a framework before 1.11 must name a request by a handle that it has found, or
/// that it owns (R-QUE-100).
///
/// # Errors
/// STATUS_INVALID_PARAMETER.
pub(super) fn require_tag(call: &Call, tag: &Ref<Request>) -> Result<(), NtStatus> {
    let known = {
        let inner = tag.state();
        inner.found || inner.owner == Owner::Driver
    };
    if known || !call.verifier() || call.binding.minor() >= 11 {
        return Ok(());
    }
    call.framework_break(
        "R-QUE-100",
        "the request was neither found by WdfIoQueueFindRequest nor is it owned",
    );
    Err(NtStatus::INVALID_PARAMETER)
}

/// `WdfIoQueueFindRequest`: the first waiting request after `tag` that matches, with a reference added (R-QUE-96).
///
/// `look` is shown its IRP before the queue lets go of it: a moment later a cancellation may have completed it.
pub(super) fn find(
    queue: &Ref<Queue>,
    tag: Option<&Ref<Request>>,
    file: Option<*mut FileObject>,
    look: impl FnOnce(request::IrpRef),
) -> Result<Ref<Request>, NtStatus> {
    let state = queue.state.lock();
    let mut at = match tag {
        None => state.waiting.first(),
        Some(tag) => {
            let key = state.position(tag).ok_or(NtStatus::NOT_FOUND)?; // R-QUE-98
            state.waiting.after(key)
        }
    };
    while let Some(key) = at {
        at = state.waiting.after(key);
        let Some(request) = state.waiting.get(key) else {
            break;
        };
        let canceled = request.irp().is_some_and(request::IrpRef::is_canceled);
        if !canceled && file.is_none_or(|file| request.wdm_file_object() == Some(file)) {
            if let Some(irp) = request.irp() {
                look(irp);
            }
            lifetime::reference(request.object());
            let mut inner = request.state();
            inner.found = true;
            inner.history.note("found, not owned");
            drop(inner);
            return Ok(request.clone());
        }
    }
    Err(NtStatus::NO_MORE_ENTRIES)
}

/// `WdfIoQueueReadyNotify` (R-QUE-110 to R-QUE-113).
pub(super) fn ready_notify(
    call: &Call,
    queue: &Ref<Queue>,
    callback: Option<StateCallback>,
) -> Result<(), NtStatus> {
    if queue.dispatching != Dispatching::Manual {
        // R-CHK-25
        call.framework_break("R-QUE-110", "the queue is not manual");
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    let mut state = queue.state.lock();
    if state.deletion == Deletion::Done {
        return Err(NtStatus::DELETE_PENDING);
    }
    let refused = match (callback.is_some(), state.ready.is_some()) {
        (true, true) => Some("a notification is registered already"),
        (false, false) => Some("no notification is registered"),
        (false, true) if state.dispatches => {
            Some("the queue must be stopped before the notification is taken back")
        }
        _ => None,
    };
    if let Some(text) = refused {
        drop(state);
        // R-CHK-25
        call.framework_break("R-QUE-111", text);
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    }
    state.ready = callback;
    if state.ready.is_some() {
        dispatch::visit(queue, state, None);
    }
    Ok(())
}
