//! The dispatch loop: the one place that calls the driver for a queue (R-QUE-40 to R-QUE-58).

use super::super::callback;
use super::super::handle::Ref;
use super::super::request::{self, Owner, Request};
use super::{Deletion, Dispatching, Power, Queue, QueueConfig, State, StateCallback, Waiter};
use super::{constraints, power};
use crate::nt::abi::mj;
use crate::nt::status::NtStatus;
use crate::sched::LockGuard;

/// The next thing to do for a queue.
enum Step {
    Cancel(Ref<Request>),
    CanceledOnQueue(Ref<Request>),
    Stopped(Waiter),
    Empty(Waiter),
    Power(power::Step),
    Deliver(Ref<Request>),
    Ready(StateCallback),
    Emptied,
}

impl State {
    /// D frames inside the loop, N owned, and nothing in between: whether the driver is out of the queue.
    fn driver_is_out(&self) -> bool {
        self.owned.is_empty() && self.frames == 1
    }

    /// Whether the type and the power and dispatch state allow one more delivery.
    pub(super) fn may_deliver(&self, dispatching: Dispatching) -> bool {
        // R-QUE-41, R-QUE-42, R-QUE-43, R-QUE-55
        self.power == Power::On
            && self.dispatches
            && match dispatching {
                Dispatching::Sequential => self.owned.is_empty(),
                Dispatching::Parallel(limit) => self.owned.len() < limit as usize,
                Dispatching::Manual => false,
            }
    }

    /// Whether callbacks of higher priority than a delivery are due.
    pub(super) fn has_urgent_work(&self) -> bool {
        !self.cancel_due.is_empty()
            || !self.canceled_on_queue.is_empty()
            || (self.stop_done.is_some() && self.owned.is_empty())
            || !matches!(self.power, Power::On | Power::Off)
            || self.deletion != Deletion::No
    }

    /// Takes the first waiting request that no cancellation has claimed (R-QUE-94): who gets the cancel routine out of the IRP
    /// gets the request, so it is delivered or canceled, never both (R-CAN-17).
    pub(super) fn take_waiting(
        &mut self,
        wanted: impl Fn(&Ref<Request>) -> bool,
    ) -> Option<Ref<Request>> {
        let mut at = self.waiting.first();
        while let Some(key) = at {
            at = self.waiting.after(key);
            let request = self.waiting.get(key)?;
            if wanted(request) && request.disarm() {
                return Some(self.waiting.remove(key));
            }
        }
        None
    }

    /// Counts `request` in N.
    pub(super) fn own(&mut self, request: &Ref<Request>, owner: Owner, what: &'static str) {
        let key = self.owned.push_back(request.clone());
        request.state().enter(owner, Some(key), what);
    }

    /// R-QUE-54: what is due, in order of priority.
    fn next_step(&mut self, queue: &Queue) -> Option<Step> {
        // R-QUE-130: cancellation waits while the driver is being notified.
        if !self.power.is_notifying() {
            if let Some(request) = self.cancel_due.pop_front() {
                return Some(Step::Cancel(request));
            }
            if let Some(request) = self.canceled_on_queue.pop_front() {
                return Some(Step::CanceledOnQueue(request));
            }
        }
        // R-QUE-78
        if self.driver_is_out() {
            if let Some(waiter) = self.stop_done.take() {
                return Some(Step::Stopped(waiter));
            }
            if self.waiting.is_empty()
                && let Some(waiter) = self.empty_done.take()
            {
                return Some(Step::Empty(waiter));
            }
        }
        let notifying = self.power.is_notifying();
        if let Some(step) = power::next_step(self, queue) {
            return Some(Step::Power(step));
        }
        if notifying && !self.power.is_notifying() {
            // The phase that held cancellations back is over.
            return self.next_step(queue);
        }
        if self.deletion == Deletion::Emptying && self.waiting.is_empty() && self.driver_is_out() {
            self.deletion = Deletion::Done;
            return Some(Step::Emptied);
        }
        if self.may_deliver(queue.dispatching) {
            if let Some(request) = self.take_waiting(|_| true) {
                self.own(&request, Owner::Driver, "taken for delivery");
                return Some(Step::Deliver(request));
            }
            return None;
        }
        self.due_ready_notification(queue).map(Step::Ready)
    }

    fn due_ready_notification(&mut self, queue: &Queue) -> Option<StateCallback> {
        // R-QUE-112, R-QUE-113: the mark is consumed only by a notification.
        if queue.dispatching != Dispatching::Manual
            || !self.became_nonempty
            || self.power != Power::On
            || !self.dispatches
        {
            return None;
        }
        let ready = self.ready?;
        self.became_nonempty = false;
        Some(ready)
    }
}

/// Does everything that is due for the queue, in the calling thread, unless its constraints defer it (R-QUE-51, R-QUE-52).
///
/// `direct` is a request that arrived, is already owned, and is to be delivered first.
pub(super) fn visit<'q>(
    queue: &'q Ref<Queue>,
    mut state: LockGuard<'q, State>,
    direct: Option<Ref<Request>>,
) {
    debug_assert!(direct.is_none() || constraints::may_run_here(queue));
    if direct.is_none() && !constraints::may_run_here(queue) {
        constraints::defer(queue, state);
        return;
    }
    state.frames += 1;
    let mut next = direct.map(Step::Deliver);
    loop {
        let step = match next.take() {
            Some(step) => step,
            None => match state.next_step(queue) {
                Some(step) => step,
                None => break,
            },
        };
        drop(state);
        run(queue, step);
        state = queue.state.lock();
    }
    state.frames -= 1;
}

/// As [`visit`], but leaves the work to a frame that is already inside the loop (R-QUE-45, R-QUE-46).
pub(super) fn visit_unless_active<'q>(queue: &'q Ref<Queue>, state: LockGuard<'q, State>) {
    if state.frames == 0 {
        visit(queue, state, None);
    }
}

fn run(queue: &Ref<Queue>, step: Step) {
    match step {
        Step::Cancel(request) => call_cancel(queue, &request),
        // Owned from here on and not cancelable (R-CAN-15); the frame inside the loop calls, under the lock (R-CAN-16).
        Step::CanceledOnQueue(request) => {
            let handle = request.handle();
            request
                .state()
                .enter_kept(Owner::Driver, "given to EvtIoCanceledOnQueue");
            drop(request);
            constraints::synchronized(queue, || {
                callback::call_hooked(
                    queue.verifier(),
                    "EvtIoCanceledOnQueue",
                    queue.config.evt_canceled_on_queue as u64,
                    &[queue.handle(), handle],
                );
            });
        }
        Step::Stopped(Waiter::Thread(event)) | Step::Empty(Waiter::Thread(event)) => {
            event.set();
        }
        // X-07, R-QUE-61: the stop-complete callback is not given the lock, the other is.
        Step::Stopped(Waiter::Driver(told)) => {
            callback::call(told.function, &[queue.handle(), told.context]);
        }
        Step::Empty(Waiter::Driver(told)) => constraints::synchronized(queue, || {
            callback::call(told.function, &[queue.handle(), told.context]);
        }),
        Step::Power(step) => power::run(queue, step),
        Step::Deliver(request) => deliver(queue, request),
        Step::Ready(told) => constraints::synchronized(queue, || {
            callback::call(told.function, &[queue.handle(), told.context]);
        }),
        Step::Emptied => {
            queue.emptied.set();
        }
    }
}

/// EvtRequestCancel (R-CAN-40 to R-CAN-47); the framework keeps the object while it runs (R-CAN-45). Requests the driver has
/// sent on behalf of this one are left alone (R-CAN-56).
fn call_cancel(queue: &Ref<Queue>, request: &Ref<Request>) {
    let Some(callback) = request.state().take_cancel_callback() else {
        return;
    };
    let _hold = super::super::lifetime::Hold::new(request.object());
    constraints::synchronized(queue, || {
        callback::call(callback, &[request.handle()]);
    });
}

/// The handler that takes a request (R-QUE-25).
enum Handler {
    /// The one for the type; its arguments depend on the type.
    ForType(u64),
    /// EvtIoDefault.
    Default(u64),
}

fn handler_of(config: &QueueConfig, major: u8) -> Option<Handler> {
    let for_type = match major {
        mj::READ => config.evt_read,
        mj::WRITE => config.evt_write,
        mj::DEVICE_CONTROL => config.evt_device_control,
        mj::INTERNAL_DEVICE_CONTROL => config.evt_internal_device_control,
        _ => 0,
    };
    if for_type != 0 {
        Some(Handler::ForType(for_type as u64))
    } else {
        (config.evt_default != 0).then_some(Handler::Default(config.evt_default as u64))
    }
}

/// Hands an owned request to its handler.
fn deliver(queue: &Ref<Queue>, request: Ref<Request>) {
    let Some(irp) = request.irp() else { return };
    let location = irp.current();
    let major = location.major_function.get();
    if queue.completes_empty_transfer(&request) {
        request::complete_by_framework(&request, NtStatus::SUCCESS, 0);
        return;
    }
    let Some(handler) = handler_of(&queue.config, major) else {
        // R-QUE-24
        request::complete_by_framework(&request, NtStatus::INVALID_DEVICE_REQUEST, 0);
        return;
    };
    let (me, handle) = (queue.handle(), request.handle());
    request.state().present("given to its handler");
    drop(request);
    let verifier = queue.verifier();
    constraints::synchronized(queue, || {
        // R-QUE-26
        match handler {
            Handler::Default(address) => {
                callback::call_hooked(verifier, "EvtIoDefault", address, &[me, handle])
            }
            Handler::ForType(address) if matches!(major, mj::READ | mj::WRITE) => {
                let length = location.length().into();
                callback::call_hooked(
                    verifier,
                    "EvtIoRead or EvtIoWrite",
                    address,
                    &[me, handle, length],
                )
            }
            Handler::ForType(address) => callback::call_hooked(
                verifier,
                "EvtIoDeviceControl or EvtIoInternalDeviceControl",
                address,
                &[
                    me,
                    handle,
                    location.output_length().into(),
                    location.input_length().into(),
                    location.io_control_code().into(),
                ],
            ),
        };
    });
}

impl Queue {
    /// Whether a handler could take a request of this major function (R-QUE-25).
    pub fn has_handler(&self, major: u8) -> bool {
        handler_of(&self.config, major).is_some()
    }

    /// R-QUE-56: a read or write of length zero ends when it would be delivered, unless the queue asked for them.
    pub(super) fn completes_empty_transfer(&self, request: &Ref<Request>) -> bool {
        self.config.allow_zero_length == 0
            && request.irp().is_some_and(|irp| {
                let location = irp.current();
                matches!(location.major_function.get(), mj::READ | mj::WRITE)
                    && location.length() == 0
            })
    }
}
