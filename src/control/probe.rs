//! Taking back what is below, and asking the lower device whether it still answers. Both call the lower driver: no lock is held.

use core::{num::NonZeroU32, sync::atomic::Ordering};

use ferry_abi::control::{Abort, Aborted, Probe, Probed, ops};
use wdf::{
    Status,
    clock::Stamp,
    cx::{Cx, IoPassive},
    device::Device,
    request::{Buffered, Control, Ioctl, Part, Request, Written},
    target::Timeout,
};

use super::answer::{find, input, invalid, optional, output};
use crate::{Ferry, device::Crossing};

fn buffered<'a, 'r>(request: &'a mut Request<'r, Ioctl>) -> Result<Buffered<'a, 'r>, Status> {
    match request.buffers()? {
        Control::Buffered(buffer) => Ok(buffer),
        _ => Err(Status::INVALID_DEVICE_REQUEST),
    }
}

fn device(cx: &mut Cx<'_, IoPassive>, ferry: &Ferry, id: u32) -> Result<Device<Crossing>, Status> {
    ferry
        .registry
        .with(cx, |registry, _| find(registry, id).cloned())
}

/// Cancels everything that is below: the target is purged, which cancels what was sent through it, and started again. What is sent in
/// between is aborted too (see [`crate::forward`]).
pub(super) fn abort<'r>(
    cx: &mut Cx<'_, IoPassive>,
    ferry: &Ferry,
    request: &mut Request<'r, Ioctl>,
) -> Result<Written<'r>, Status> {
    let buffer = buffered(request)?;
    let abort: Abort = input(&buffer)?;
    abort.check().map_err(invalid)?;
    if abort.request != 0 {
        return Err(Status::NOT_SUPPORTED);
    }
    if buffer.has_output() && !buffer.has_room(size_of::<Aborted>()) {
        return Err(Status::BUFFER_TOO_SMALL);
    }
    let device = device(cx, ferry, abort.device)?;
    let below = device.counters.below();
    device.aborting.fetch_add(1, Ordering::SeqCst);
    device.lower.purge(cx);
    // A device that goes keeps its target purged.
    let restarted = if device.is_leaving() {
        Err(Status::DEVICE_NOT_CONNECTED)
    } else {
        device.lower.start(cx)
    };
    device.aborting.fetch_sub(1, Ordering::SeqCst);
    if device.is_leaving() {
        // It began to go meanwhile, and had purged before the target was started again.
        device.lower.purge(cx);
    }
    restarted?;
    device.counters.aborted.add(below);
    let count = u32::try_from(below).unwrap_or(u32::MAX);
    optional(buffer, &Aborted::new(count, 0))
}

/// Sends a request of ferry's own and waits for it, at most for its timeout. One at a time for each device.
pub(super) fn probe<'r>(
    cx: &mut Cx<'_, IoPassive>,
    ferry: &Ferry,
    request: &mut Request<'r, Ioctl>,
) -> Result<Written<'r>, Status> {
    let buffer = buffered(request)?;
    let probe: Probe = input(&buffer)?;
    probe.check().map_err(invalid)?;
    let timeout = NonZeroU32::new(probe.timeout_ms).ok_or(Status::INVALID_PARAMETER)?;
    if !buffer.has_room(size_of::<Probed>()) {
        return Err(Status::BUFFER_TOO_SMALL);
    }
    let device = device(cx, ferry, probe.device)?;
    let own = device.prober.take().ok_or(Status::DEVICE_BUSY)?;
    let part = Part {
        offset: 0,
        length: usize::try_from(probe.length).map_err(|_| Status::INVALID_PARAMETER)?,
    };
    let formatted = if probe.op == ops::READ {
        own.format_read(
            &device.lower,
            &device.probed,
            part,
            probe.offset.cast_signed(),
        )
    } else {
        let output = (part.length != 0).then_some((&device.probed, part));
        own.format_ioctl(&device.lower, probe.code, None, output)
    };
    let begun = Stamp::now();
    // The request goes back where it was taken from, whatever becomes of it: there is room, for it came from there.
    let (own, status, information) = match formatted {
        Ok(formatted) => match formatted.send_sync(cx, Timeout::milliseconds(timeout)) {
            Ok((done, completion)) => (done.split().0, completion.status, completion.information),
            Err(failed) => (failed.done.split().0, failed.status, 0),
        },
        Err(failed) => (failed.request, failed.status, 0),
    };
    drop(device.prober.put(own));
    let elapsed = Stamp::now().units().saturating_sub(begun.units());
    output(
        buffer,
        &Probed::new(status.raw().cast_unsigned(), 0, information as u64, elapsed),
    )
}
