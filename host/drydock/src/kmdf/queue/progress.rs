//! Guaranteed forward progress: requests reserved for times without memory (B.10 of the specification).

use std::collections::VecDeque;

use super::super::callback;
use super::super::ddi::Call;
use super::super::guest;
use super::super::handle::Ref;
use super::super::lifetime;
use super::super::request::{self, IrpRef, Request, Role};
use super::{Queue, arrive};
use crate::nt;
use crate::nt::abi::{Cancel, DeviceObject, Irp, irp_flags};
use crate::nt::status::NtStatus;

const SIZE: u32 = 40;
/// `WDF_IO_FORWARD_PROGRESS_RESERVED_POLICY`.
const ALWAYS: u32 = 1;
const EXAMINE: u32 = 2;
const PAGING_IO: u32 = 3;
/// `WdfIoForwardProgressActionUseReservedRequest`.
const USE_RESERVED: u64 = 2;

/// The policy of a queue and its reserve.
pub(super) struct ForwardProgress {
    policy: u32,
    examine: u64,
    allocate_resources: u64,
    free: Vec<Ref<Request>>,
    /// IRPs without a request, which wait for one (R-QUE-141).
    waiting: VecDeque<IrpRef>,
}

/// `WdfIoQueueAssignForwardProgressPolicy` (R-QUE-140).
pub(super) fn assign(call: &Call, queue: &Ref<Queue>, policy: u64) -> Result<(), NtStatus> {
    if guest::read::<u32>(policy) != SIZE {
        return Err(NtStatus::INFO_LENGTH_MISMATCH);
    }
    let total = guest::read::<u32>(policy + 4);
    let kind = guest::read::<u32>(policy + 8);
    let examine = guest::read::<u64>(policy + 16);
    let reserve_resources = guest::read::<u64>(policy + 24);
    let allocate_resources = guest::read::<u64>(policy + 32);
    if total == 0
        || !matches!(kind, ALWAYS | EXAMINE | PAGING_IO)
        || (kind == EXAMINE && examine == 0)
    {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    if queue.progress.lock().is_some() {
        call.framework_break(
            "R-QUE-140",
            "the queue has a forward-progress policy already",
        );
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let mut free = Vec::new();
    for _ in 0..total {
        let made = reserve(queue, reserve_resources);
        match made {
            Ok(request) => free.push(request),
            Err(status) => {
                free.iter().for_each(delete);
                return Err(status);
            }
        }
    }
    *queue.progress.lock() = Some(ForwardProgress {
        policy: kind,
        examine,
        allocate_resources,
        free,
        waiting: VecDeque::new(),
    });
    Ok(())
}

fn reserve(queue: &Ref<Queue>, resources: u64) -> Result<Ref<Request>, NtStatus> {
    let request = Request::reserved(&queue.device)?;
    if resources != 0 {
        let status = callback::call(resources, &[queue.handle(), request.handle()]);
        let status = NtStatus(status as u32 as i32);
        if !status.is_success() {
            delete(&request);
            return Err(status);
        }
    }
    Ok(request)
}

fn delete(request: &Ref<Request>) {
    lifetime::delete(request.object());
}

/// Whether the queue has a policy.
pub(super) fn is_assured(queue: &Queue) -> bool {
    queue.progress.lock().is_some()
}

/// Whether the driver could get the resources for a normal request; without a policy or callback there are none to get.
pub(super) fn has_resources(queue: &Ref<Queue>, request: &Ref<Request>) -> bool {
    let function = queue
        .progress
        .lock()
        .as_ref()
        .map_or(0, |progress| progress.allocate_resources);
    function == 0 || {
        let status = callback::call(function, &[queue.handle(), request.handle()]);
        NtStatus(status as u32 as i32).is_success()
    }
}

/// An IRP for which there is no normal request (R-QUE-141).
pub(super) fn arrived(queue: &Ref<Queue>, irp: IrpRef) -> NtStatus {
    if !wants_reserved(queue, irp) {
        irp.set_status(NtStatus::INSUFFICIENT_RESOURCES);
        irp.set_information(0);
        nt::irp::complete(irp.raw(), 0);
        return NtStatus::INSUFFICIENT_RESOURCES;
    }
    let reserved = {
        let mut progress = queue.progress.lock();
        let Some(progress) = progress.as_mut() else {
            return NtStatus::INSUFFICIENT_RESOURCES;
        };
        match progress.free.pop() {
            Some(request) => Some(request),
            None => {
                nt::irp::mark_pending(irp.raw());
                if irp.arm(queue.handle(), CANCEL_ROUTINE) {
                    progress.waiting.push_back(irp);
                    return NtStatus::PENDING;
                }
                None
            }
        }
    };
    match reserved {
        Some(request) => {
            request.adopt(irp);
            arrive::arrived(queue, request)
        }
        None => {
            cancel(irp);
            NtStatus::PENDING
        }
    }
}

fn wants_reserved(queue: &Ref<Queue>, irp: IrpRef) -> bool {
    let (policy, examine) = match queue.progress.lock().as_ref() {
        Some(progress) => (progress.policy, progress.examine),
        None => return false,
    };
    match policy {
        ALWAYS => true,
        EXAMINE => {
            callback::call(examine, &[queue.handle(), irp.raw() as u64]) as u32 as u64
                == USE_RESERVED
        }
        _ => irp.view().flags.get() & irp_flags::PAGING_IO != 0,
    }
}

const CANCEL_ROUTINE: Cancel = cancel_routine;

extern "win64" fn cancel_routine(_device: *mut DeviceObject, irp: *mut Irp) {
    super::super::ddi::guard("the framework's cancel routine of a bare IRP", || {
        let irp = IrpRef::new(irp);
        let queue = super::super::handle::lookup(irp.armed_for())
            .ok()
            .and_then(Ref::<Queue>::of);
        nt::irp::release_cancel_lock(irp.view().cancel_irql.get());
        if let Some(queue) = queue
            && let Some(progress) = queue.progress.lock().as_mut()
        {
            progress.waiting.retain(|&other| other != irp);
        }
        cancel(irp);
    });
}

fn cancel(irp: IrpRef) {
    irp.set_status(NtStatus::CANCELLED);
    irp.set_information(0);
    nt::irp::complete(irp.raw(), 0);
}

/// A reserved request is completed: it serves the next waiting IRP, or goes back to the reserve (R-QUE-142).
pub fn reserved_is_free(queue: &Ref<Queue>, request: &Ref<Request>) {
    let next = {
        let mut progress = queue.progress.lock();
        let Some(progress) = progress.as_mut() else {
            return;
        };
        let next = loop {
            match progress.waiting.pop_front() {
                Some(irp) if irp.disarm() => break Some(irp),
                Some(_) => {}
                None => break None,
            }
        };
        if next.is_none() {
            progress.free.push(request.clone());
        }
        next
    };
    if let Some(irp) = next {
        request.adopt(irp);
        let _: NtStatus = arrive::arrived(queue, request.clone());
    }
}

/// The queue is deleted: so is its reserve.
pub(super) fn release(queue: &Ref<Queue>) {
    let progress = queue.progress.lock().take();
    for request in progress.into_iter().flat_map(|progress| progress.free) {
        debug_assert_eq!(request.role(), Role::Reserved);
        request.state().presented = true;
        delete(&request);
    }
}

/// Completes the bare IRPs of a queue that is purged.
pub(super) fn cancel_waiting(queue: &Ref<Queue>) {
    loop {
        let irp = match queue.progress.lock().as_mut() {
            Some(progress) => progress.waiting.pop_front(),
            None => None,
        };
        let Some(irp) = irp else { return };
        if irp.disarm() {
            cancel(irp);
        }
    }
}

impl Request {
    /// A reserved request stands for `irp` from now on.
    fn adopt(&self, irp: IrpRef) {
        let mut state = self.state();
        state.irp = Some(irp);
        state.presented = false;
        state.canceled = false;
        state.cancelability = request::Cancelability::No;
        state.formatted = false;
        state.routine = None;
        state.enter_kept(request::Owner::Framework, "a reserved request is taken");
    }
}
