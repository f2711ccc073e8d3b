//! Completion (C.2 of the specification).

use super::super::ddi::Call;
use super::super::handle::{Ref, WDF_VIOLATION};
use super::super::lifetime;
use super::super::object::ObjRef;
use super::super::queue::{self, Queue};
use super::{Cancelability, IrpRef, Owner, Request, Role, clean_up};
use crate::nt;
use crate::nt::abi::{irp_flags, mj};
use crate::nt::status::NtStatus;
use crate::verify;

/// The three forms of `WdfRequestComplete`, from the driver.
pub(super) fn complete(
    call: &Call,
    request: &Ref<Request>,
    status: NtStatus,
    information: Option<u64>,
    boost: Option<i8>,
) {
    if !may_complete(call, request, status) {
        return;
    }
    if let (Some(irp), Some(information)) = (request.irp(), information) {
        irp.set_information(information);
    }
    check_information(call, request, status);
    finish(request, status, boost);
}

/// R-REQ-15, R-REQ-23 to R-REQ-27, and ownership.
fn may_complete(call: &Call, request: &Ref<Request>, status: NtStatus) -> bool {
    let stop = |statement: &'static str, text: &str| -> ! {
        verify::violation(
            statement,
            request.explain(&format!("{}: {text}", call.name)),
        )
    };
    let (owner, cancelability, completable, at_target) = {
        let state = request.state();
        (
            state.owner,
            state.cancelability,
            state.completable,
            state.sent.is_at_target(),
        )
    };
    if owner == Owner::Gone {
        let text = "double completion: the request is completed already";
        if !call.verifier() {
            stop("R-REQ-26", text);
        }
        call.framework_break("R-REQ-26", &request.explain(text));
        return false;
    }
    if request.is_created() && !completable {
        // R-CAN-91
        let text = "a created request is deleted, never completed";
        // R-CHK-20
        call.framework_break("R-REQ-27", &request.explain(text));
        if !call.verifier() {
            stop("R-REQ-27", text);
        }
        return false;
    }
    if !request.is_created() && request.require_owned(call).is_err() {
        return false;
    }
    if request
        .device()
        .is_some_and(|device| device.pnp().in_surprise_removal())
    {
        stop("R-CAN-82", "completed by EvtDeviceSurpriseRemoval");
    }
    if at_target {
        stop("R-TGT-51", "the request is at an I/O target");
    }
    if status == NtStatus::PENDING {
        stop("R-REQ-15", "STATUS_PENDING is no status to complete with");
    }
    match cancelability {
        Cancelability::Marked(_) => {
            let text = "the request is still cancelable";
            if !call.verifier() {
                stop("R-REQ-24", text);
            }
            // R-CHK-17
            call.framework_break("R-REQ-23", &request.explain(text));
            request.disarm();
        }
        Cancelability::Due(_) => {
            let text = "the request was cancelled and EvtRequestCancel has not been called yet";
            if !call.verifier() {
                stop("R-CAN-31", text);
            }
            // R-CHK-18
            call.framework_break("R-REQ-25", &request.explain(text));
        }
        Cancelability::No | Cancelability::Called => {}
    }
    true
}

/// Information must not exceed what the originator has room for (R-REQ-16 to R-REQ-19).
fn check_information(call: &Call, request: &Ref<Request>, status: NtStatus) {
    let Some(irp) = request.irp() else { return };
    let information = irp.information();
    let location = irp.current();
    let major = location.major_function.get();
    let user = irp.is_from_user_mode();
    let output = location.output_length();
    let room = match major {
        mj::READ | mj::WRITE => Some(location.length()),
        mj::DEVICE_CONTROL if user && output > 0 => Some(output),
        _ => None,
    };
    if status.is_success()
        && let Some(room) = room
        && information > room.into()
    {
        let text = format!(
            "{}: Information is {information}, the buffer has {room} bytes",
            call.name
        );
        if call.verifier() {
            verify::bug_check(
                WDF_VIOLATION,
                [6, 4, request.handle(), information],
                request.explain(&format!("{text} (R-REQ-16)")),
            );
        }
        // Nothing is copied for an originator in kernel mode.
        if user {
            verify::violation("R-REQ-17", request.explain(&text));
        }
    }
    if major == mj::DEVICE_CONTROL
        && user
        && location.io_control_code() & 3 == 0
        && output == 0
        && information != 0
    {
        call.framework_break(
            // R-CHK-44
            "R-REQ-19",
            "Information is not zero, but there is no output buffer; nothing is copied",
        );
        irp.view()
            .flags
            .update(|flags| flags & !irp_flags::INPUT_OPERATION);
    }
}

/// R-REQ-14
fn translated(status: NtStatus) -> NtStatus {
    const FACILITY_WDF: u32 = 0x20;
    let facility = (status.0 as u32 >> 16) & 0xFFF;
    if facility != FACILITY_WDF || status.is_success() {
        return status;
    }
    match status {
        NtStatus::WDF_PAUSED | NtStatus::WDF_BUSY => NtStatus::DEVICE_BUSY,
        NtStatus::WDF_INTERNAL_ERROR => NtStatus::INTERNAL_ERROR,
        NtStatus::WDF_NOT_ENOUGH_MAP_REGISTERS => NtStatus::INSUFFICIENT_RESOURCES,
        _ => NtStatus::INVALID_DEVICE_REQUEST,
    }
}

/// Completes a request that the framework owns, or that its queue counts: no handler, zero length, cancelled.
pub fn complete_by_framework(request: &Ref<Request>, status: NtStatus, information: u64) {
    if let Some(irp) = request.irp() {
        irp.set_information(information);
    }
    finish(request, status, None);
}

/// The sequence of R-REQ-20 from step 2 on. Cleanup callbacks run here, while the IRP is still there (R-OBJ-72). The
/// originator's code runs at the caller's level and under its locks (R-REQ-29), and what it sends to the same queue arrives
/// before N is decremented (R-QUE-48).
fn finish(request: &Ref<Request>, status: NtStatus, boost: Option<i8>) {
    let status = translated(status);
    let Some(irp) = request.irp() else { return };
    let boost =
        boost.unwrap_or_else(|| request.device().map_or(0, |device| device.priority_boost()));
    leave_format(request);
    if request.role() == Role::Io {
        clean_up(request);
    }
    check_memory_references(request);
    free_system_mdl(request);
    // Information stays what the driver or a lower driver has set (R-REQ-10, R-TGT-89).
    irp.set_status(status);
    let (queue, ending) = {
        let mut state = request.state();
        state.irp = None;
        state.enter_kept(Owner::Gone, "completed");
        (state.queue.clone(), state.ending.take())
    };
    if let Some(ending) = ending {
        ending(status);
    }
    if request.is_created() {
        leave_queue(request, queue.as_ref());
        request.state().unreturned = Some((irp, boost));
        end_if_unreferenced(request);
        return;
    }
    nt::irp::complete(irp.raw(), boost);
    leave_queue(request, queue.as_ref());
    end(request, queue);
}

fn end_if_unreferenced(request: &Ref<Request>) {
    if request.object().references() == 1 {
        unreferenced(request, request.object());
    }
}

/// Only the creator's reference is left. A created request that is completed gives the IRP back to whoever waits for it
/// (R-REQ-98); a reserved one serves again (R-QUE-142).
pub(super) fn unreferenced(request: &Request, me: &ObjRef) {
    let (unreturned, reserve) = {
        let mut state = request.state();
        (state.unreturned.take(), state.reserve.take())
    };
    if let Some((irp, boost)) = unreturned {
        nt::irp::complete(irp.raw(), boost);
    }
    if let (Some(queue), Some(request)) = (reserve, Ref::<Request>::of(me.clone())) {
        queue::reserved_is_free(&queue, &request);
    }
}

/// Releases what the last format for a target took from the driver and restores the IRP (R-TGT-35, R-TGT-41). Memory of a
/// parent that a sub-request still holds is found by the parent's completion (R-REQ-22).
fn leave_format(request: &Ref<Request>) {
    let format = request.state().format.take();
    if let Some(format) = format {
        format.release(request);
    }
}

/// R-REQ-21
fn check_memory_references(request: &Ref<Request>) {
    let references = request.outstanding_memory_references();
    if references != 0 {
        verify::bug_check(
            WDF_VIOLATION,
            [3, request.handle(), references as u64, 0],
            request.explain(
                "the request is completed while its memory is referenced, by a created request that is not deleted, \
                 reused or reformatted, or by WdfObjectReference (R-REQ-21)",
            ),
        );
    }
}

fn free_system_mdl(request: &Ref<Request>) {
    let mdl = request.state().system_mdl.take();
    if let Some(mdl) = mdl {
        nt::mdl::free(mdl.get());
    }
}

/// The framework lets go of the object (R-REQ-20, step 9).
fn end(request: &Ref<Request>, queue: Option<Ref<Queue>>) {
    match request.role() {
        Role::Io => lifetime::release_disposed(request.object()),
        Role::Reserved => {
            request.state().reserve = queue;
            end_if_unreferenced(request);
        }
        Role::Created => {}
    }
}

/// First half of send-and-forget: everything of the driver's is cleaned up before the IRP goes down (R-TGT-75),
/// and its handle dies (R-OBJ-75).
pub fn begin_hand_over(request: &Ref<Request>) -> Option<IrpRef> {
    leave_format(request);
    let irp = request.irp()?;
    if request.role() == Role::Io {
        clean_up(request);
    }
    free_system_mdl(request);
    let mut state = request.state();
    state.irp = None;
    state.enter_kept(Owner::Gone, "sent and forgotten");
    Some(irp)
}

/// Second half of send-and-forget, after the IRP went down.
pub fn end_hand_over(request: &Ref<Request>) {
    let queue = request.queue();
    leave_queue(request, queue.as_ref());
    end(request, queue);
}

/// The queue counts the request no longer, if it did (R-REQ-20, step 8).
fn leave_queue(request: &Ref<Request>, queue: Option<&Ref<Queue>>) {
    let counted = request.state().key.is_some();
    match queue {
        Some(queue) if counted => queue::finished(queue, request),
        // R-REQ-28: a request from the caller context is counted nowhere.
        _ => request.state().queue = None,
    }
}

/// Lets go of a request that nobody has seen, without touching its IRP.
pub fn discard(request: &Ref<Request>) {
    request.state().irp = None;
    lifetime::discard(request.object());
}

/// `WdfObjectDelete` on a request: fatal for one that stands for an IRP (R-OBJ-21, X-01); a created one must not be at a
/// target (R-TGT-114).
pub(super) fn driver_deletes(request: &Request, me: &ObjRef) -> bool {
    let Some(request) = (if request.is_created() {
        Ref::<Request>::of(me.clone())
    } else {
        let text = match Ref::<Request>::of(me.clone()) {
            Some(request) => request.explain("WdfObjectDelete on a request that stands for an IRP"),
            None => String::new(),
        };
        verify::violation("R-OBJ-21", text)
    }) else {
        return true;
    };
    if request.state().sent.is_at_target() {
        let text = request.explain("WdfObjectDelete on a request that is at an I/O target");
        if !me.binding().verifier() {
            verify::violation("R-TGT-114", text);
        }
        // R-CHK-32
        verify::framework_break("R-TGT-114", text);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-REQ-14
    #[test]
    fn statuses_of_the_framework_are_translated_at_completion() {
        for (given, expected) in [
            (0xC020_0203_u32, 0x8000_0011_u32),
            (0xC020_0204, 0x8000_0011),
            (0xC020_0201, 0xC000_00E5),
            (0xC020_020A, 0xC000_0010),
            (0xC020_0213, 0xC000_0010),
            (0xC020_0214, 0xC000_009A),
            (0xC020_020B, 0xC000_0010),
            (0xC020_0208, 0xC000_0010),
            (0x8000_0011, 0x8000_0011),
            (0xE000_1234, 0xE000_1234),
        ] {
            assert_eq!(
                translated(NtStatus(given as i32)),
                NtStatus(expected as i32),
                "{given:#x}"
            );
        }
    }
}
