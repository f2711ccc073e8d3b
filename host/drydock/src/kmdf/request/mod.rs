//! Requests: what stands for an IRP, and who owns it (group C of the specification).
//!
//! At any moment a request has exactly one owner ([`Owner`]); every change of hands is noted in its [`History`], which
//! reports print. A request made for an IRP that arrived is driver-owned until the driver completes it or gives it away; a
//! created request belongs to the driver from creation to deletion.

mod abi;
mod buffers;
mod complete;
mod created;
mod ddi;
mod ddi_buffers;
mod history;
mod irp;
mod ownership;
mod parameters;

use std::sync::atomic::{AtomicI32, Ordering};

pub use abi::{CompletionParams, IoStatus, TYPE_OTHER};
pub use complete::{begin_hand_over, complete_by_framework, discard, end_hand_over};
pub use created::{ensure_stack_size, private, release_format};
pub(in crate::kmdf) use ddi::entries as request_entries;
pub(in crate::kmdf) use ddi_buffers::entries as buffer_entries;
pub use history::History;
pub use irp::IrpRef;
pub use ownership::{Cancelability, Owner, StopAnswer};
pub(super) use parameters::{PARAMETERS_SIZE, write_for as write_parameters};

use super::attributes::Attributes;
use super::bind::Binding;
use super::device::Device;
use super::handle::{Part, Ref, Typed};
use super::kind::Kind;
use super::lifetime;
use super::object::{self, Body, Disposed, ObjRef, Object};
use super::queue::{Key, Queue};
use super::target::{Format, Sent};
use crate::nt::abi::{Address, FileObject, Mdl};
use crate::nt::status::NtStatus;
use crate::sched::{Lock, LockGuard, TimerToken};

/// What a request object was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An IRP that arrived from above.
    Io,
    /// As `Io`, from the reserve of a forward-progress queue (R-QUE-142).
    Reserved,
    /// The driver, to send it (R-TGT-110, R-TGT-111).
    Created,
}

type Ending = Box<dyn FnOnce(NtStatus) + Send>;

/// The part of a request that its lock guards.
pub struct State {
    /// The IRP, until the request is completed or sent and forgotten.
    pub irp: Option<IrpRef>,
    /// Who owns the request.
    pub owner: Owner,
    /// The driver has had its handle (R-OBJ-74, R-CAN-11).
    pub presented: bool,
    /// The queue it came from or is in (R-REQ-47).
    pub queue: Option<Ref<Queue>>,
    /// Its place in the queue's list of waiting or of owned requests.
    pub key: Option<Key>,
    /// Whether EvtRequestCancel is registered, due or called.
    pub cancelability: Cancelability,
    /// The framework's own mark of a cancelled request (R-CAN-50, R-TGT-56).
    pub canceled: bool,
    /// The answer to EvtIoStop (R-QUE-122).
    pub stop: StopAnswer,
    /// Its way through an I/O target.
    pub sent: Sent,
    /// It was formatted since it last came back (R-TGT-31).
    pub formatted: bool,
    /// What the last format for a target left (R-TGT-35, R-TGT-41).
    pub format: Option<Format>,
    /// Completion routine and its context.
    pub routine: Option<(u64, u64)>,
    /// Timer of a send with a timeout.
    pub timer: Option<TimerToken>,
    /// Created requests: the IRP is the framework's and is freed with the object.
    pub frees_irp: bool,
    /// Created requests: made completable (R-REQ-98).
    pub completable: bool,
    /// The MDL built for the system buffer (R-REQ-72).
    pub system_mdl: Option<Address<Mdl>>,
    /// Completed, but referenced: the IRP is given back when the last reference but one goes (R-REQ-98).
    pub unreturned: Option<(IrpRef, i8)>,
    /// As before, for a reserved request: the queue whose reserve it goes back to then (R-QUE-142).
    pub reserve: Option<Ref<Queue>>,
    /// What is to be done when a create completes (R-REQ-20, step 6).
    pub ending: Option<Ending>,
    /// Found in its queue and not retrieved since (R-QUE-97, R-QUE-100).
    pub found: bool,
    /// Who owned it when.
    pub history: History,
}

/// The body of a WDFREQUEST.
pub struct Request {
    role: Role,
    device: Option<Ref<Device>>,
    /// References on the input and output memory (R-OBJ-07).
    memory_references: [AtomicI32; 2],
    state: Lock<State>,
}

impl Request {
    fn new(role: Role, device: Option<Ref<Device>>, irp: Option<IrpRef>, owner: Owner) -> Self {
        Self {
            role,
            device,
            memory_references: [const { AtomicI32::new(0) }; 2],
            state: Lock::new(State {
                irp,
                owner,
                presented: false,
                queue: None,
                key: None,
                cancelability: Cancelability::No,
                canceled: false,
                stop: StopAnswer::None,
                sent: Sent::default(),
                formatted: false,
                format: None,
                routine: None,
                timer: None,
                frees_irp: false,
                completable: false,
                system_mdl: None,
                unreturned: None,
                reserve: None,
                ending: None,
                found: false,
                history: History::default(),
            }),
        }
    }

    /// A request for an IRP that arrived at `device`, owned by the framework (R-QUE-30).
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES.
    pub fn for_irp(device: &Ref<Device>, irp: IrpRef) -> Result<Ref<Self>, NtStatus> {
        let body = Self::new(Role::Io, Some(device.clone()), Some(irp), Owner::Framework);
        object::create(
            device.object().binding(),
            &device.config().request_attributes,
            None,
            body,
        )
    }

    /// A reserved request of `device`, without an IRP (R-QUE-140).
    pub fn reserved(device: &Ref<Device>) -> Result<Ref<Self>, NtStatus> {
        let body = Self::new(Role::Reserved, Some(device.clone()), None, Owner::Framework);
        object::create(
            device.object().binding(),
            &device.config().request_attributes,
            None,
            body,
        )
    }

    /// A created request.
    pub(super) fn created(
        binding: &'static Binding,
        attributes: &Attributes,
        parent: Option<&ObjRef>,
        irp: Option<IrpRef>,
        frees_irp: bool,
    ) -> Result<Ref<Self>, NtStatus> {
        let body = Self::new(Role::Created, None, irp, Owner::Creator);
        body.state.lock().frees_irp = frees_irp;
        object::create(binding, attributes, parent, body)
    }

    /// What it was made for.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether the driver made it.
    pub fn is_created(&self) -> bool {
        self.role == Role::Created
    }

    /// Created, and made completable by reuse: it stands for somebody's IRP (R-REQ-98).
    pub fn is_completable(&self) -> bool {
        let state = self.state.lock();
        self.is_created() && state.completable && state.owner == Owner::Creator
    }

    /// The device whose IRP it stands for; created requests have none.
    pub fn device(&self) -> Option<&Ref<Device>> {
        self.device.as_ref()
    }

    /// Everything that changes.
    pub fn state(&self) -> LockGuard<'_, State> {
        self.state.lock()
    }

    /// The IRP, while it has one.
    pub fn irp(&self) -> Option<IrpRef> {
        self.state.lock().irp
    }

    /// The queue it came from or is in.
    pub fn queue(&self) -> Option<Ref<Queue>> {
        self.state.lock().queue.clone()
    }

    /// Takes the framework's cancel routine back; false if a cancellation has it.
    pub fn disarm(&self) -> bool {
        self.irp().is_some_and(IrpRef::disarm)
    }

    /// The file object its IRP names.
    pub fn wdm_file_object(&self) -> Option<*mut FileObject> {
        self.irp().map(IrpRef::file_object)
    }

    /// Outstanding references on its embedded memory.
    pub(super) fn outstanding_memory_references(&self) -> i32 {
        self.memory_references
            .iter()
            .map(|count| count.load(Ordering::Acquire))
            .sum()
    }
}

impl Request {
    /// `f` is called with the final status when this create is completed, before the I/O manager gets the IRP.
    pub fn on_create_completed(&self, f: impl FnOnce(NtStatus) + Send + 'static) {
        self.state.lock().ending = Some(Box::new(f));
    }
}

impl Ref<Request> {
    /// `text`, with the request's name and the history of its owners, for a report.
    pub fn explain(&self, text: &str) -> String {
        let history = self.state().history.text();
        format!(
            "{text}; {} had these owners:{history}",
            self.object().name()
        )
    }
}

impl Body for Request {
    fn kind(&self) -> Kind {
        Kind::Request
    }

    fn dispose(&self, me: &ObjRef) -> Disposed {
        if self.is_created() {
            created::disposed(self, me);
            return Disposed::CleanupDone;
        }
        Disposed::CallCleanup
    }

    fn destroyed(&self, _me: &Object) {
        created::free_irp(self);
    }

    fn driver_deletes(&self, me: &ObjRef) -> bool {
        complete::driver_deletes(self, me)
    }

    fn one_reference_left(&self, me: &ObjRef) {
        complete::unreferenced(self, me);
    }

    fn embedded_memory(&self, part: Part) -> Option<(u64, usize)> {
        buffers::embedded(self, part)
    }

    fn reference_embedded(&self, part: Part, change: i32) {
        let count = match part {
            Part::InputMemory => &self.memory_references[0],
            Part::OutputMemory => &self.memory_references[1],
            Part::Whole => return,
        };
        if count.fetch_add(change, Ordering::AcqRel) + change < 0 {
            crate::verify::framework_break(
                "R-CHK-34",
                "memory of a request was dereferenced more often than referenced",
            );
        }
    }
}

impl Typed for Request {
    const KIND: Kind = Kind::Request;
}

/// Runs the cleanup callbacks of a request and its children now.
fn clean_up(request: &Ref<Request>) {
    if !request.state().presented {
        // R-OBJ-74
        request.object().suppress_callbacks(true);
    }
    if !lifetime::dispose_early(request.object()) && request.object().binding().checks_of(11) {
        crate::verify::framework_break(
            "R-OBJ-76",
            request.explain(
                "the request is completed at DISPATCH_LEVEL, but a child of it needs PASSIVE_LEVEL for its end",
            ),
        );
    }
}
