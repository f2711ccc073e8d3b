//! Where requests arrive.

use wdf::{
    Status,
    cx::{Cx, Io, Stop},
    device::Device,
    request::{
        Claim, Disposition, InternalIoctl, Ioctl, Read, Request, StopAction, StopContext, Write,
    },
};

use crate::{device::Crossing, forward::forward};

pub(crate) fn read<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Read>,
) -> Disposition<'r> {
    forward(cx, device, request.any())
}

pub(crate) fn write<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Write>,
) -> Disposition<'r> {
    forward(cx, device, request.any())
}

pub(crate) fn ioctl<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    forward(cx, device, request.any())
}

pub(crate) fn internal_ioctl<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, InternalIoctl>,
) -> Disposition<'r> {
    forward(cx, device, request.any())
}

/// `EvtIoStop` of a queue that is never power-managed: the device is being removed.
pub(crate) fn stop<'s>(
    cx: &mut Cx<'_, Stop>,
    _device: &Device<Crossing>,
    request: StopContext<'s>,
) -> StopAction<'s> {
    match request.claim(cx) {
        Claim::Owned(request) => request.complete(cx, Status::DEVICE_NOT_CONNECTED),
        Claim::Canceled(request) => request.complete(cx, Status::CANCELLED).into(),
        Claim::Sent(request) => request.cancel(cx),
        Claim::Elsewhere(request) => request.leave(),
    }
}
