//! Where requests arrive, and what becomes of each: forwarded, held or delayed.

use ferry_abi::control::ops;
use wdf::{
    cx::{Cx, Io},
    device::Device,
    request::{Any, Disposition, InternalIoctl, Ioctl, Read, Request, Write},
};

use crate::{delay, device::Crossing, forward::forward, hold, order::Waits};

pub(crate) fn read<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Read>,
) -> Disposition<'r> {
    device.counters.reads.count();
    carry(cx, device, request.any(), ops::READ)
}

pub(crate) fn write<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Write>,
) -> Disposition<'r> {
    device.counters.writes.count();
    carry(cx, device, request.any(), ops::WRITE)
}

pub(crate) fn ioctl<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    device.counters.controls.count();
    carry(cx, device, request.any(), ops::CONTROL)
}

/// Internal controls are other drivers' business: never held, never delayed (filter rules 13 and 17).
pub(crate) fn internal_ioctl<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, InternalIoctl>,
) -> Disposition<'r> {
    device.counters.internal.count();
    forward(cx, device, request.any())
}

/// Only what a program's handle waits for is ever kept: the kernel's own requests pass (filter rule 13).
fn carry<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Any>,
    op: u32,
) -> Disposition<'r> {
    let wanted = if device.hold.matches(op) {
        Some(Waits::Held)
    } else if device.delay.matches(op) {
        Some(Waits::Delayed)
    } else {
        None
    };
    if (wanted.is_none() && device.order.is_idle())
        || device.is_leaving()
        || !request.is_from_user_mode()
    {
        return forward(cx, device, request);
    }
    let Some(handle) = request.file_key() else {
        return forward(cx, device, request);
    };
    match device.order.enter(cx, handle, wanted) {
        Some(Waits::Held) => hold::keep(cx, device, request, wanted == Some(Waits::Held)),
        Some(Waits::Delayed) => delay::park(cx, device, request, handle, wanted.is_some()),
        None => forward(cx, device, request),
    }
}
