//! I/O targets: devices that requests are sent to (group E of the specification).
//!
//! A request at a target is either *held* (the target is stopped) or *below* (a lower driver has the IRP). Whoever takes it
//! out of that place, under the target's lock, brings it back to the driver: the completion hook, a canceller, a purge.

mod cancel;
mod complete;
mod ddi;
mod ddi_sync;
mod format;
mod memory;
mod open;
mod removal;
mod send;
mod state;

use std::sync::Arc;

pub use cancel::cancel_sent;
pub(super) use complete::completion_params;
pub(in crate::kmdf) use ddi::entries as target_entries;
pub(in crate::kmdf) use ddi_sync::entries as synchronous_entries;
pub use format::{Format, using_current_type, using_stack_location};
pub use send::{forget_down, send};

use super::attributes::Attributes;
use super::device::Device;
use super::device_init::IoType;
use super::handle::{Ref, Typed};
use super::kind::Kind;
use super::lifetime;
use super::object::{self, Body, Disposed, ObjRef, Object};
use super::queue::{Key, List};
use super::request::{Request, ensure_stack_size};
use crate::nt::abi::{self as nt_abi, Address, DO_BUFFERED_IO, DO_DIRECT_IO, DeviceObject};
use crate::nt::file::Handle;
use crate::nt::pnp::notify::Registration;
use crate::nt::status::NtStatus;
use crate::sched::{Event, Lock};

/// `WDF_IO_TARGET_STATE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// Requests are sent.
    Started = 1,
    /// Requests are held.
    Stopped = 2,
    /// Closed, because the device below is asked to go.
    ClosedForQueryRemove = 3,
    /// Closed.
    Closed = 4,
    /// Being deleted.
    Deleted = 5,
    /// Requests are failed until the next start.
    Purged = 6,
}

impl TargetState {
    fn is_closed(self) -> bool {
        matches!(
            self,
            Self::ClosedForQueryRemove | Self::Closed | Self::Deleted
        )
    }
}

/// Where a request is on its way through a target.
#[derive(Clone, Default)]
enum Place {
    /// Not at a target.
    #[default]
    None,
    /// A stopped target holds it.
    Held(Ref<Target>, Key),
    /// A lower driver has the IRP; `tracked`: stop and purge count it (R-TGT-23).
    Below {
        target: Ref<Target>,
        key: Key,
        tracked: bool,
    },
}

/// A request's way through a target.
#[derive(Default)]
pub struct Sent {
    place: Place,
    /// The one who brings this to zero brings the request back: the completion hook, or a canceller that was faster
    /// (R-CAN-73).
    parties: u32,
    /// A thread that waits for the request to come back.
    waiter: Option<Arc<Event>>,
    /// The timeout has elapsed (R-TGT-60).
    timed_out: bool,
    /// Counts the sends: a timer that is late must not hit the next one.
    serial: u64,
    /// Handle of the target it was last sent to.
    target_handle: u64,
    /// Why the last send failed, for a request that has no IRP to say so.
    failure: NtStatus,
}

impl Sent {
    /// Whether the request is at a target.
    pub fn is_at_target(&self) -> bool {
        !matches!(self.place, Place::None)
    }

    /// Why the last send failed.
    pub fn failure(&self) -> NtStatus {
        self.failure
    }
}

/// What an opened target leads to.
#[derive(Clone, Debug)]
struct Opened {
    device: Address<DeviceObject>,
    file: u64,
    /// The file of an open by name.
    handle: Option<Arc<Handle>>,
    stack_size: i8,
    io_type: IoType,
}

impl Opened {
    fn on(device: *mut DeviceObject, file: u64, handle: Option<Arc<Handle>>) -> Self {
        let view = nt_abi::at(device);
        let io_type = match view.flags.get() & (DO_BUFFERED_IO | DO_DIRECT_IO) {
            0 => IoType::Neither,
            flags if flags & DO_BUFFERED_IO != 0 => IoType::Buffered,
            _ => IoType::Direct,
        };
        Self {
            device: Address(device),
            file,
            handle,
            stack_size: view.stack_size.get(),
            io_type,
        }
    }
}

/// The part of a target that its lock guards.
struct State {
    state: TargetState,
    opened: Option<Opened>,
    opening: bool,
    /// Parameters of the last open by name (R-TGT-07).
    by_name: Option<open::ByName>,
    callbacks: removal::RemoveCallbacks,
    /// While it is open with a file, and while it is closed for the removal of the device.
    registration: Option<Registration>,
    held: List<Ref<Request>>,
    below: List<Ref<Request>>,
    ignoring: List<Ref<Request>>,
    /// Threads in a waiting stop, purge or close.
    waiters: u32,
}

/// The body of a WDFIOTARGET.
pub struct Target {
    device: Ref<Device>,
    local: bool,
    state: Lock<State>,
    /// Set whenever a list of sent requests becomes empty.
    emptied: Event,
    /// Set whenever no thread waits for sent requests.
    unwatched: Event,
}

impl Target {
    fn new(device: &Ref<Device>, opened: Option<Opened>) -> Self {
        Self {
            device: device.clone(),
            local: opened.is_some(),
            state: Lock::new(State {
                state: TargetState::Started, // R-TGT-03
                opened,
                opening: false,
                by_name: None,
                callbacks: removal::RemoveCallbacks::default(),
                registration: None,
                held: List::default(),
                below: List::default(),
                ignoring: List::default(),
                waiters: 0,
            }),
            emptied: Event::new(true, false),
            unwatched: Event::new(true, true),
        }
    }

    /// The device it belongs to.
    pub fn device(&self) -> &Ref<Device> {
        &self.device
    }

    /// Stack locations a request for it needs; none while it is not open (R-TGT-33).
    pub fn stack_size(&self) -> Option<i8> {
        let state = self.state.lock();
        if state.state.is_closed() {
            return None;
        }
        state.opened.as_ref().map(|opened| opened.stack_size)
    }

    fn opened(&self) -> Option<Opened> {
        self.state.lock().opened.clone()
    }
}

/// The default target of a device: the next lower one of its stack (R-TGT-01).
///
/// # Errors
/// As for creating any object.
pub fn create_default(device: &Ref<Device>) -> Result<ObjRef, NtStatus> {
    let Some(lower) = device.lower() else {
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    };
    let target = object::create(
        device.object().binding(),
        &Attributes::default(),
        Some(device.object()),
        Target::new(device, Some(Opened::on(lower, 0, None))),
    )?;
    target.object().set_passive_dispose();
    target.object().set_undeletable(true);
    Ok(target.object().clone())
}

/// The device is being removed: what was sent to its default target comes back before the lower devices hear of it
/// (R-TGT-11).
pub fn remove_with_device(target: &ObjRef) {
    if let Some(target) = Ref::of(target.clone()) {
        state::remove(&target, TargetState::Closed);
    }
}

/// The IRP of `request` has room for `target`, which must be open (R-TGT-33).
///
/// # Errors
/// STATUS_INVALID_DEVICE_STATE, STATUS_REQUEST_NOT_ACCEPTED.
pub fn validate(request: &Ref<Request>, target: &Ref<Target>) -> Result<(), NtStatus> {
    let size = target.stack_size().ok_or(NtStatus::INVALID_DEVICE_STATE)?;
    ensure_stack_size(request, size)
}

impl Body for Target {
    fn kind(&self) -> Kind {
        Kind::Target
    }

    fn dispose(&self, me: &ObjRef) -> Disposed {
        // R-TGT-10: the cleanup callback first, then the I/O is cancelled and waited for.
        lifetime::run_cleanup(me);
        if let Some(target) = Ref::of(me.clone()) {
            state::remove(&target, TargetState::Deleted);
            open::close_handles(&target);
            open::forget_device(&target);
        }
        Disposed::CleanupDone
    }

    fn destroyed(&self, _me: &Object) {}
}

impl Typed for Target {
    const KIND: Kind = Kind::Target;
}
