//! Observing: who does, and what is in flight.

use ferry_abi::control::{Observe, Select};
use wdf::{
    Status,
    cx::{Cx, IoPassive},
    request::{Buffered, Ioctl, Output, Request, SharedIn, Written},
};
use zerocopy::IntoBytes;

use super::{
    Controller,
    answer::{find, input, invalid, nothing, read},
};
use crate::{Ferry, registry::Registry, rules::Owner, watch};

pub(super) fn observe<'r>(
    registry: &mut Registry,
    ferry: &Ferry,
    owner: Owner,
    buffer: Buffered<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let observe: Observe = input(&buffer)?;
    observe.check().map_err(invalid)?;
    let device = (observe.device != 0).then_some(observe.device);
    if let Some(id) = device {
        find(registry, id)?;
    }
    if observe.on == 0 {
        registry.end_to_observe(owner.handle, device);
    } else {
        let new = registry.observer(owner.handle).is_none();
        if new {
            // Its first event is one that comes after this: before it is told of any, its place must say so.
            let free = registry.observer(0).ok_or(Status::INSUFFICIENT_RESOURCES)?;
            ferry.events.begin(free);
        }
        registry
            .begin_to_observe(owner.handle, device)
            .ok_or(Status::INSUFFICIENT_RESOURCES)?;
    }
    Ok(nothing(buffer))
}

/// Which observer a wait is of.
pub(super) fn observer(
    cx: &mut Cx<'_, IoPassive>,
    ferry: &Ferry,
    request: &Request<'_, Ioctl>,
    room: usize,
) -> Result<u32, Status> {
    if !watch::has_room(room) {
        return Err(Status::BUFFER_TOO_SMALL);
    }
    let owner = request
        .file::<Controller>()
        .map(Controller::owner)
        .ok_or(Status::INVALID_DEVICE_STATE)?;
    ferry.registry.with(cx, |registry, _| {
        if !registry.has_filters() {
            return Err(Status::NO_SUCH_DEVICE);
        }
        registry
            .observer(owner.handle)
            .and_then(|at| u32::try_from(at).ok())
            .ok_or(Status::INVALID_DEVICE_STATE)
    })
}

/// What is in flight: through raw user addresses, locked in the caller's context. The memory is shared with the caller, who may write it
/// meanwhile: the input is copied once, before it is looked at.
pub(super) fn in_flight<'r>(
    registry: &Registry,
    input: &SharedIn<'_>,
    mut output: Output<'_, 'r>,
) -> Result<Written<'r>, Status> {
    let mut bytes = [0; size_of::<Select>()];
    if input.copy_to(0, &mut bytes) != bytes.len() {
        return Err(Status::INFO_LENGTH_MISMATCH);
    }
    let select: Select = read(&bytes)?;
    select.check().map_err(invalid)?;
    let device = find(registry, select.device)?;
    for (number, entry) in device.shelf.table.entries().enumerate() {
        if !output.append(entry.as_bytes()) {
            if number == 0 {
                return Err(Status::BUFFER_TOO_SMALL);
            }
            break;
        }
    }
    Ok(output.written())
}
