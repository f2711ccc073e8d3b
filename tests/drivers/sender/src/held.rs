//! A request kept beyond its handler, and the memory of a request.

use wdf::{
    Status,
    cx::{CanComplete, Cx, IoPassive},
    device::Device,
    request::{Control, Disposition, Ioctl, Kind, PriorityBoost, Request},
};

use crate::{Filter, one};

/// Keeps it; a second one is not taken.
pub(crate) fn keep<'r, K: Kind>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Filter>,
    request: Request<'r, K>,
) -> Disposition<'r> {
    let (gone, held) = request.any().hold();
    if let Err(second) = device.held.put(held) {
        second.complete(cx, Status::DEVICE_NOT_READY);
    }
    gone
}

/// Sends what is kept; says whether there was any, and `STATUS_CANCELLED` if its originator had given it up.
pub(crate) fn release(cx: &mut Cx<'_, IoPassive>, device: &Device<Filter>) -> Status {
    let Some(held) = device.held.take() else {
        return Status::NOT_FOUND;
    };
    let mut canceled = false;
    held.resume(cx, |cx, request| {
        canceled = request.is_canceled();
        one::carried(cx, device, request)
    });
    if canceled {
        Status::CANCELLED
    } else {
        Status::SUCCESS
    }
}

/// Completes what is kept.
pub(crate) fn answer(cx: &mut Cx<'_, impl CanComplete>, device: &Device<Filter>) -> Status {
    let Some(held) = device.held.take() else {
        return Status::NOT_FOUND;
    };
    held.resume(cx, |cx, request| {
        request.complete_with_boost(cx, Status::SUCCESS, PriorityBoost::SOUND)
    });
    Status::SUCCESS
}

/// The input comes back from its end to its beginning.
pub(crate) fn turn_round<'r>(
    cx: &mut Cx<'_, IoPassive>,
    request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    request
        .try_with(cx, |request| {
            let mut bytes = [0; 8];
            let input = request.input_memory()?;
            if input.len() != bytes.len() {
                return Err(Status::INFO_LENGTH_MISMATCH);
            }
            input.copy_to(0, &mut bytes)?;
            // One byte behind the end is not there.
            if input.copy_to(1, &mut bytes).is_ok() || request.input_mdl()?.len() != bytes.len() {
                return Err(Status::INTERNAL_ERROR);
            }
            bytes.reverse();
            let mut output = request.output_memory()?;
            output.copy_from(0, &bytes)?;
            if output.copy_from(1, &bytes).is_ok() {
                return Err(Status::INTERNAL_ERROR);
            }
            let Control::Buffered(buffer) = request.buffers()? else {
                return Err(Status::INVALID_DEVICE_REQUEST);
            };
            // It lies in the one buffer of both sides already.
            Ok(buffer.echo())
        })
        .map_or_else(
            |gone| gone,
            |(request, written)| request.complete_written(cx, written),
        )
}
