//! Requests the driver makes to send them (E.8 of the specification), and reuse.

use super::super::attributes::{Attributes, Rules};
use super::super::ddi::Call;
use super::super::guest;
use super::super::handle::{Ref, resolve_optional};
use super::super::kind::Kind;
use super::super::lifetime;
use super::super::object::ObjRef;
use super::super::parent_or_driver;
use super::super::target::Target;
use super::{Cancelability, IrpRef, Owner, Request};
use crate::nt;
use crate::nt::abi::Irp;
use crate::nt::status::NtStatus;
use crate::verify;

/// `WDF_REQUEST_REUSE_SET_NEW_IRP`.
const SET_NEW_IRP: u32 = 1;
/// Makes a created request completable (R-REQ-98).
const MUST_COMPLETE: u32 = 2;
const REUSE_SIZE: u32 = 24;

/// `WdfRequestCreate` (R-TGT-110).
pub(super) fn create(call: &Call, attributes: u64, target: u64) -> Result<Ref<Request>, NtStatus> {
    let attributes = Attributes::read(attributes, Rules::PLAIN)?;
    let target = resolve_optional::<Target>(target);
    let irp = match &target {
        None => None,
        Some(target) => {
            let size = target.stack_size().ok_or(NtStatus::INVALID_DEVICE_STATE)?;
            Some(IrpRef::new(nt::irp::allocate(size)))
        }
    };
    let parent = parent_or_driver(call, &attributes);
    let made = Request::created(call.binding, &attributes, parent.as_ref(), irp, true);
    if made.is_err()
        && let Some(irp) = irp
    {
        nt::irp::free(irp.raw());
    }
    made
}

/// `WdfRequestCreateFromIrp` (R-TGT-111).
pub(super) fn create_from_irp(
    call: &Call,
    attributes: u64,
    irp: u64,
    frees: bool,
) -> Result<Ref<Request>, NtStatus> {
    call.require(irp, "Irp");
    let attributes = Attributes::read(attributes, Rules::PLAIN)?;
    let parent = parent_or_driver(call, &attributes);
    let irp = IrpRef::new(irp as *mut Irp);
    Request::created(call.binding, &attributes, parent.as_ref(), Some(irp), frees)
}

/// The IRP of a created request gets room for `size` devices (R-TGT-33): a bigger one replaces it if it is the
/// framework's.
pub fn ensure_stack_size(request: &Ref<Request>, size: i8) -> Result<(), NtStatus> {
    let irp = request.irp();
    if let Some(irp) = irp {
        let room = if request.is_created() && irp.current_if_valid().is_none() {
            irp.view().stack_count.get()
        } else {
            irp.locations_left()
        };
        if room >= size {
            return Ok(());
        }
    }
    let replaceable = request.is_created() && (irp.is_none() || request.state().frees_irp);
    if !replaceable {
        return Err(NtStatus::REQUEST_NOT_ACCEPTED);
    }
    let bigger = IrpRef::new(nt::irp::allocate(size));
    let old = {
        let mut state = request.state();
        state.frees_irp = true;
        state.irp.replace(bigger)
    };
    if let Some(old) = old {
        bigger.set_status(old.status());
        bigger.set_information(old.information());
        nt::irp::free(old.raw());
    }
    Ok(())
}

/// `WdfRequestReuse` (R-TGT-83 to R-TGT-85).
pub(super) fn reuse(call: &Call, request: &Ref<Request>, parameters: u64) -> Result<(), NtStatus> {
    let size = guest::read::<u32>(parameters);
    let flags = guest::read::<u32>(parameters + 4);
    let status = NtStatus(guest::read::<i32>(parameters + 8));
    let new_irp = guest::read::<u64>(parameters + 16);
    let mut known = SET_NEW_IRP;
    if call.binding.minor() >= 11 {
        known |= MUST_COMPLETE;
    }
    if size != REUSE_SIZE || flags & !known != 0 {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    if request.state().sent.is_at_target() {
        let text = "the request is at an I/O target";
        if !call.verifier() {
            verify::violation(
                "R-TGT-85",
                request.explain(&format!("{}: {text}", call.name)),
            );
        }
        // R-CHK-32
        call.framework_break("R-TGT-85", text);
    }
    if flags & SET_NEW_IRP != 0 && !request.is_created() {
        return Err(NtStatus::WDF_REQUEST_INVALID_STATE); // R-TGT-84
    }
    release_format(request);
    let old = {
        let mut state = request.state();
        if call.binding.minor() >= 9 {
            state.routine = None;
        }
        state.canceled = false;
        state.formatted = false;
        state.completable |= flags & MUST_COMPLETE != 0;
        state.history.note("reused");
        if state.cancelability == Cancelability::Called {
            state.cancelability = Cancelability::No;
        }
        if flags & SET_NEW_IRP != 0 {
            let old = state.irp.replace(IrpRef::new(new_irp as *mut Irp));
            let frees = std::mem::replace(&mut state.frees_irp, false);
            old.filter(|_| frees)
        } else {
            None
        }
    };
    if let Some(old) = old {
        nt::irp::free(old.raw());
    }
    if let Some(irp) = request.irp() {
        if flags & MUST_COMPLETE != 0 {
            // Somebody waits for the end of this one: what is in it stays.
            irp.set_status(status);
        } else if request.is_created() {
            nt::irp::reuse(irp.raw(), status);
        } else {
            // R-TGT-83: an originator's cancellation that was pending is forgotten.
            irp.view().cancel.set(0);
            irp.set_status(status);
        }
    }
    Ok(())
}

/// Releases what the last format holds (R-TGT-35).
pub fn release_format(request: &Ref<Request>) {
    let format = request.state().format.take();
    if let Some(format) = format {
        format.release(request);
    }
}

/// Disposal of a created request: cleanup callbacks, then what its last format holds.
pub(super) fn disposed(request: &Request, me: &ObjRef) {
    // R-TGT-12: a closed target has brought its requests back.
    let below_target = me
        .parent()
        .is_some_and(|parent| parent.kind() == Kind::Target);
    if below_target && request.state().sent.is_at_target() && !me.binding().verifier() {
        verify::violation(
            "R-OBJ-40",
            format!(
                "{} is at an I/O target while its parent, a target, is deleted",
                me.name()
            ),
        );
    }
    lifetime::run_cleanup(me);
    let format = request.state().format.take();
    if let (Some(format), Some(typed)) = (format, Ref::<Request>::of(me.clone())) {
        format.release(&typed);
    }
    let mut state = request.state();
    if let Some(timer) = state.timer.take() {
        crate::sched::cancel(&timer);
    }
    state.enter_kept(Owner::Gone, "deleted");
}

/// The IRP ends with the object that owns it.
pub(super) fn free_irp(request: &Request) {
    let irp = {
        let mut state = request.state();
        let frees = std::mem::replace(&mut state.frees_irp, false);
        state.irp.take().filter(|_| frees)
    };
    if let Some(irp) = irp {
        nt::irp::free(irp.raw());
    }
}

/// A request of the framework's own, for a synchronous method without a request (R-TGT-100). Delete it after use.
pub fn private(call: &Call, parent: &ObjRef) -> Result<Ref<Request>, NtStatus> {
    Request::created(
        call.binding,
        &Attributes::default(),
        Some(parent),
        None,
        true,
    )
}
