//! Queues: where requests wait, and how they are handed to the driver (group B of the specification).
//!
//! A request in a queue is either *waiting* (the queue owns it, it can be cancelled) or *driver-owned* (the driver has its
//! handle). The specification calls their numbers W and N. One routine, [`dispatch::visit`], makes all queue callbacks; D
//! counts the frames inside it. Whatever changes a queue does so under the queue's lock and then visits it.
//!
//! Lock order: a queue's lock, then the state of one of its requests. Neither is ever held across a callback.

mod arrive;
mod cancel;
mod config;
mod constraints;
mod create;
mod ddi;
mod dispatch;
mod forward;
mod list;
pub mod package;
mod power;
mod progress;
mod retrieve;
mod state;

use std::collections::VecDeque;
use std::sync::Arc;

pub use arrive::finished;
pub use config::{Dispatching, QueueConfig};
pub use constraints::CallbackLock;
pub(in crate::kmdf) use ddi::entries;
pub use forward::{forward, mark_cancelable, requeue, unmark_cancelable};
pub use list::{Key, List};
pub use package::IoPackage;
pub use progress::reserved_is_free;

use super::device::Device;
use super::handle::{Ref, Typed};
use super::kind::{ExecutionLevel, Kind};
use super::object::{Body, Disposed, ObjRef};
use super::request::Request;
use crate::sched::{Event, Lock};

/// A callback for a change of a queue's state, with the context to pass.
#[derive(Clone, Copy, Debug)]
struct StateCallback {
    function: u64,
    context: u64,
}

/// What is to happen once the driver owns no request, or the queue is empty.
#[derive(Debug)]
enum Waiter {
    /// Call the driver.
    Driver(StateCallback),
    /// Wake the thread in a synchronous form.
    Thread(Arc<Event>),
}

/// The queue's side of the device's power state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    /// Requests are delivered.
    On,
    /// No more deliveries; frames inside the loop are still to leave.
    Stopping,
    /// Deliveries have ended; the driver is not yet told.
    Quiet,
    /// EvtIoStop is being called for each owned request (R-QUE-121).
    NotifyingStop,
    /// The owned requests are waited for (R-QUE-122).
    AwaitingDriver,
    /// Nothing is delivered.
    Off,
    /// EvtIoResume is being called for each owned request (R-QUE-129).
    NotifyingResume,
    /// The driver was told; deliveries have not begun.
    Resumed,
    /// EvtIoStop is being called with action Purge (R-QUE-128).
    NotifyingPurge,
    /// The owned requests are waited for after a purge.
    AwaitingPurge,
}

/// How far deletion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deletion {
    No,
    /// Purged; waiting for the last request and the last frame (R-QUE-17).
    Emptying,
    Done,
}

/// The part of a queue that its lock guards.
struct State {
    accepts: bool,
    dispatches: bool,
    /// The device is being removed: Start does not bring acceptance back (R-QUE-72).
    shut_down: bool,
    /// Owned requests that come back are treated as cancelled (R-QUE-74).
    cancel_dispatched: bool,
    /// D.
    frames: u32,
    /// W is its length.
    waiting: List<Ref<Request>>,
    /// N is its length.
    owned: List<Ref<Request>>,
    /// EvtRequestCancel is due for these.
    cancel_due: VecDeque<Ref<Request>>,
    /// EvtIoCanceledOnQueue is due for these; they count as owned.
    canceled_on_queue: VecDeque<Ref<Request>>,
    stop_done: Option<Waiter>,
    empty_done: Option<Waiter>,
    ready: Option<StateCallback>,
    /// The queue went from empty to not empty and no ready notification has told it (R-QUE-112).
    became_nonempty: bool,
    /// The next arrival counts as such a transition (R-QUE-116).
    next_arrival_counts: bool,
    power: Power,
    /// Requests EvtIoStop or EvtIoResume is still to be called for.
    to_notify: VecDeque<Ref<Request>>,
    deletion: Deletion,
    /// A DPC or work item will visit the queue.
    deferred: bool,
    /// It is to do so once more.
    deferred_again: bool,
}

/// The body of a WDFQUEUE.
pub struct Queue {
    device: Ref<Device>,
    config: QueueConfig,
    dispatching: Dispatching,
    power_managed: bool,
    /// The level callbacks run at.
    level: ExecutionLevel,
    /// What `WdfObjectAcquireLock` takes; around callbacks only if `synchronized` (R-QUE-61, R-QUE-66).
    callback_lock: Arc<CallbackLock>,
    synchronized: bool,
    state: Lock<State>,
    /// Set when a power step the PnP thread waits for is done.
    power_step: Event,
    /// Set when deletion may go on.
    emptied: Event,
    progress: Lock<Option<progress::ForwardProgress>>,
}

impl Queue {
    /// The device it belongs to.
    pub fn device(&self) -> &Ref<Device> {
        &self.device
    }

    /// How requests are handed out.
    pub fn dispatching(&self) -> Dispatching {
        self.dispatching
    }

    /// Whether it follows the device's power state.
    pub fn is_power_managed(&self) -> bool {
        self.power_managed
    }

    /// What `WdfObjectAcquireLock` takes (R-QUE-66).
    pub fn callback_lock(&self) -> &Arc<CallbackLock> {
        &self.callback_lock
    }

    /// Whether callbacks run under [`Queue::callback_lock`].
    pub fn is_synchronized(&self) -> bool {
        self.synchronized
    }

    /// The level its callbacks run at.
    pub fn execution_level(&self) -> ExecutionLevel {
        self.level
    }

    fn verifier(&self) -> bool {
        self.device.object().binding().verifier()
    }
}

impl Body for Queue {
    fn kind(&self) -> Kind {
        Kind::Queue
    }

    fn dispose(&self, me: &ObjRef) -> Disposed {
        if let Some(queue) = Ref::of(me.clone()) {
            state::empty_for_deletion(&queue);
        }
        Disposed::CallCleanup
    }
}

impl Typed for Queue {
    const KIND: Kind = Kind::Queue;
}
