//! WDFWORKITEM (R-DEV-80, R-DEV-81, R-DEV-85, R-DEV-87).

use super::attributes::{Attributes, Rules};
use super::automatic::{self, Serialization};
use super::callback;
use super::ddi::{Call, DISPATCH, PASSIVE, export, guard};
use super::guest;
use super::handle::{self, Ref, Typed};
use super::kind::{ExecutionLevel, Kind};
use super::object::{self, Body, Disposed, ObjRef};
use super::running::Runs;
use crate::nt;
use crate::nt::status::NtStatus;
use crate::sched::Lock;

export! {
    "WdfWorkItemCreate" => create[config: u64, attributes: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfWorkItemEnqueue" => enqueue[item: u64], DISPATCH;
    "WdfWorkItemGetParentObject" => get_parent[item: u64] -> u64, DISPATCH;
    "WdfWorkItemFlush" => flush[item: u64], PASSIVE;
}

const CONFIG_SIZE: u32 = 24;

#[derive(Default)]
struct State {
    queued: bool,
    deleted: bool,
    /// Its own callback has deleted it: a run that is still promised does not happen (R-DEV-88).
    over: bool,
}

/// The body of a WDFWORKITEM.
pub struct WorkItem {
    callback: u64,
    serialization: Serialization,
    state: Lock<State>,
    runs: Runs,
}

impl Body for WorkItem {
    fn kind(&self) -> Kind {
        Kind::WorkItem
    }

    /// A work item that is used once is deleted by its own callback (EvtWorkItem's documentation asks for it): that
    /// one run is not waited for.
    fn dispose(&self, _me: &ObjRef) -> Disposed {
        let inside = self.runs.is_inside();
        {
            let mut state = self.state.lock();
            state.deleted = true;
            state.over = inside;
        }
        if !inside {
            self.runs.wait_idle();
        }
        Disposed::CallCleanup
    }
}

impl Typed for WorkItem {
    const KIND: Kind = Kind::WorkItem;
}

/// `WdfWorkItemCreate`: R-DEV-80, R-DEV-81. IRQL <= DISPATCH_LEVEL.
fn create(call: &Call, config: u64, attributes: u64, out: u64) -> NtStatus {
    call.require(config, "Config");
    call.require(out, "WorkItem");
    guest::write(out, 0_u64);
    match make(call, config, attributes) {
        Ok(item) => {
            guest::write(out, item.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

fn make(call: &Call, config: u64, attributes: u64) -> Result<Ref<WorkItem>, NtStatus> {
    if guest::read::<u32>(config) != CONFIG_SIZE {
        return Err(NtStatus::INFO_LENGTH_MISMATCH);
    }
    let callback = guest::read::<u64>(config + 8);
    call.require(callback, "Config->EvtWorkItemFunc");
    let serialized = guest::read::<u8>(config + 16) != 0;
    let attributes = Attributes::read(attributes, Rules::PARENT_REQUIRED)?;
    let parent = automatic::parent_below_device(attributes.parent.as_ref())?;
    let serialization = Serialization::below(&parent, serialized, ExecutionLevel::Passive)?;
    let body = WorkItem {
        callback,
        serialization,
        state: Lock::new(State::default()),
        runs: Runs::default(),
    };
    let item = object::create(call.binding, &attributes, Some(&parent), body)?;
    item.object().set_passive_dispose();
    Ok(item)
}

/// `WdfWorkItemEnqueue`: R-DEV-85.
fn enqueue(call: &Call, item: u64) {
    let item = handle::resolve::<WorkItem>(item);
    {
        let mut state = item.state.lock();
        if state.deleted {
            drop(state);
            call.framework_break("R-CHK-36", "the work item is being deleted");
            return;
        }
        if std::mem::replace(&mut state.queued, true) {
            return;
        }
        item.runs.promise();
    }
    nt::workitem::queue(nt::workitem::Queue::Delayed, move || {
        guard("a work item", || run(&item));
    });
}

fn run(item: &Ref<WorkItem>) {
    let over = {
        let mut state = item.state.lock();
        // R-DEV-85: from here on an enqueue queues another run.
        state.queued = false;
        state.over
    };
    if over {
        item.runs.end();
        return;
    }
    item.runs.run(|| {
        item.serialization.run(|| {
            callback::call(item.callback, &[item.handle()]);
        });
    });
}

/// `WdfWorkItemFlush`: waits for outstanding runs. PASSIVE_LEVEL.
fn flush(call: &Call, item: u64) {
    let item = handle::resolve::<WorkItem>(item);
    if item.runs.is_inside() {
        call.framework_break("R-CHK-36", "a flush inside the work item's own callback");
        return;
    }
    item.runs.wait_idle();
}

/// `WdfWorkItemGetParentObject`: the parent.
fn get_parent(_call: &Call, item: u64) -> u64 {
    automatic::parent_handle(&handle::resolve::<WorkItem>(item))
}
