//! Where requests arrive, and what becomes of each: forwarded, held or delayed.

use ferry_abi::control::ops;
use wdf::{
    cx::{Cx, Io},
    device::Device,
    request::{Any, Disposition, InternalIoctl, Ioctl, Read, Request, Write},
};

use crate::{delay, device::Crossing, forward::forward, hold};

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

/// A hold goes before a delay. Only what a program's handle waits for is ever kept: the kernel's own requests pass (filter rule 13).
fn carry<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Any>,
    op: u32,
) -> Disposition<'r> {
    let (hold, delay) = (device.hold.matches(op), device.delay.matches(op));
    if (hold || delay)
        && !device.is_leaving()
        && request.is_from_user_mode()
        && request.file_key().is_some()
    {
        if hold {
            hold::keep(cx, device, request)
        } else {
            delay::park(cx, device, request)
        }
    } else {
        forward(cx, device, request)
    }
}
