//! The methods every object has: create, delete, reference, context.

use super::attributes::{Attributes, Rules};
use super::context;
use super::ddi::{ANY, Call, DISPATCH, export};
use super::guest;
use super::handle::{self, Handle, Part};
use super::lifetime;
use super::object::{self, General, ObjRef, Stage};
use crate::nt::status::NtStatus;
use crate::verify;

export! {
    "WdfObjectCreate" => create[attributes: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfObjectDelete" => delete[object: u64], DISPATCH;
    "WdfObjectReferenceActual" => reference[object: u64, tag: u64, line: u32, file: u64], ANY;
    "WdfObjectDereferenceActual" => dereference[object: u64, tag: u64, line: u32, file: u64], ANY;
    "WdfObjectGetTypedContextWorker" => get_typed_context[object: u64, type_info: u64] -> u64, ANY;
    "WdfObjectAllocateContext" => allocate_context[object: u64, attributes: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfObjectContextGetObject" => context_get_object[context: u64] -> u64, ANY;
}

/// The parent of a new object: the one its attributes name, else the driver (R-OBJ-36), with
/// which it then lives until unload (R-OBJ-37).
pub fn parent_or_driver(call: &Call, attributes: &Attributes) -> Option<ObjRef> {
    attributes
        .parent
        .clone()
        .or_else(|| call.binding.driver().map(|driver| driver.object().clone()))
}

/// `WdfObjectCreate`: an object without a type of its own. IRQL <= DISPATCH_LEVEL.
fn create(call: &Call, attributes: u64, out: u64) -> NtStatus {
    call.require(out, "Object");
    guest::write(out, 0_u64);
    let attributes = match Attributes::read(attributes, Rules::PLAIN.with_level()) {
        Ok(attributes) => attributes,
        Err(status) => return status,
    };
    let parent = parent_or_driver(call, &attributes);
    match object::create(call.binding, &attributes, parent.as_ref(), General) {
        Ok(object) => {
            guest::write(out, object.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// `WdfObjectDelete`: R-OBJ-15 to R-OBJ-22. IRQL <= DISPATCH_LEVEL.
fn delete(call: &Call, object: u64) {
    call.require(object, "Object");
    let object = handle::resolve_any(object);
    if object.is_undeletable() {
        call.framework_break(
            // R-CHK-35
            "R-OBJ-20",
            &format!("{} cannot be deleted by the driver", object.name()),
        );
        return;
    }
    if object.any_body().driver_deletes(&object) {
        lifetime::delete(&object);
    }
}

/// `WdfObjectReference`: R-OBJ-11; on embedded memory, the request's own count (R-OBJ-07).
fn reference(call: &Call, object: u64, _tag: u64, _line: u32, _file: u64) {
    call.require(object, "Object");
    let owner = handle::resolve_any(object);
    match Handle(object).part() {
        Part::Whole => {
            refuse_while_destroyed(&owner, call.name);
            lifetime::reference(&owner);
        }
        part => owner.any_body().reference_embedded(part, 1),
    }
}

/// `WdfObjectDereference`: R-OBJ-11 to R-OBJ-14.
fn dereference(call: &Call, object: u64, _tag: u64, _line: u32, _file: u64) {
    call.require(object, "Object");
    let owner = handle::resolve_any(object);
    match Handle(object).part() {
        Part::Whole => {
            refuse_while_destroyed(&owner, call.name);
            lifetime::dereference(&owner);
        }
        part => owner.any_body().reference_embedded(part, -1),
    }
}

/// R-OBJ-34: in the destroy callback only context access is permitted.
fn refuse_while_destroyed(object: &ObjRef, name: &str) {
    if object.stage() == Stage::Destroyed {
        verify::violation(
            "R-OBJ-34",
            format!("{name} on {} while it is being destroyed", object.name()),
        );
    }
}

/// `WdfObjectGetTypedContextWorker`: R-OBJ-60 to R-OBJ-62; takes no lock.
fn get_typed_context(call: &Call, object: u64, type_info: u64) -> u64 {
    call.require(object, "Handle");
    let owner = handle::resolve_any(object);
    if Handle(object).part() != Part::Whole {
        return 0;
    }
    owner.contexts.find(type_info).unwrap_or(0)
}

/// `WdfObjectAllocateContext`: R-OBJ-65 to R-OBJ-67, R-OBJ-08, R-OBJ-52. IRQL <= DISPATCH_LEVEL.
fn allocate_context(call: &Call, object: u64, attributes: u64, out: u64) -> NtStatus {
    call.require(object, "Handle");
    call.require(attributes, "ContextAttributes");
    let owner = handle::resolve_any(object);
    let attributes = match Attributes::read(attributes, Rules::NO_PARENT) {
        Ok(attributes) => attributes,
        Err(status) => return status,
    };
    if attributes.type_info == 0 {
        return NtStatus::OBJECT_NAME_INVALID;
    }
    if Handle(object).part() != Part::Whole {
        return NtStatus::OBJECT_PATH_INVALID;
    }
    if owner.stage() != Stage::Alive {
        return NtStatus::DELETE_PENDING;
    }
    let (address, status) = match owner
        .contexts
        .add(call.binding, owner.handle(), &attributes)
    {
        Ok(Ok(new)) => (new, NtStatus::SUCCESS),
        Ok(Err(existing)) => (existing, NtStatus::OBJECT_NAME_EXISTS),
        Err(status) => return status,
    };
    guest::write(out, address);
    status
}

/// `WdfObjectContextGetObject`: the object a context belongs to.
fn context_get_object(call: &Call, context: u64) -> u64 {
    call.require(context, "ContextPointer");
    match context::owner(context) {
        Some(handle) => handle,
        None => verify::violation(
            "R-OBJ-60",
            format!("{}: the pointer is no context of an object", call.name),
        ),
    }
}
