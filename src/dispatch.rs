//! Where requests arrive. A device of which nobody has asked anything sends them on at once; else [`arrive`] decides.

use ferry_abi::control::ops;
use wdf::{
    cx::{Cx, Io},
    device::Device,
    request::{
        Disposition, InternalIoctl, Ioctl, IoctlParameters, Read, Request, TransferParameters,
        Write,
    },
};

use crate::{
    arrive::{Shape, arrive},
    device::Crossing,
    forward,
};

pub(crate) fn read<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Read>,
) -> Disposition<'r> {
    device.counters.reads.count();
    if device.attention.is_quiet() {
        return forward::plain(cx, device, request.any());
    }
    let shape = transfer(ops::READ, request.parameters());
    arrive(cx, device, request.any(), &shape)
}

pub(crate) fn write<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Write>,
) -> Disposition<'r> {
    device.counters.writes.count();
    if device.attention.is_quiet() {
        return forward::plain(cx, device, request.any());
    }
    let shape = transfer(ops::WRITE, request.parameters());
    arrive(cx, device, request.any(), &shape)
}

pub(crate) fn ioctl<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    device.counters.controls.count();
    if device.attention.is_quiet() {
        return forward::plain(cx, device, request.any());
    }
    let shape = control(ops::CONTROL, request.parameters());
    arrive(cx, device, request.any(), &shape)
}

/// Internal controls are other drivers' business: nothing keeps them (filter rules 13 and 17).
pub(crate) fn internal_ioctl<'r>(
    cx: &mut Cx<'_, Io>,
    device: &Device<Crossing>,
    request: Request<'r, InternalIoctl>,
) -> Disposition<'r> {
    device.counters.internal.count();
    if device.attention.is_quiet() {
        return forward::plain(cx, device, request.any());
    }
    let shape = control(ops::INTERNAL, request.parameters());
    arrive(cx, device, request.any(), &shape)
}

fn transfer(op: u32, parameters: TransferParameters) -> Shape {
    Shape {
        op,
        code: 0,
        length: parameters.length as u64,
        offset: parameters.offset.cast_unsigned(),
    }
}

fn control(op: u32, parameters: IoctlParameters) -> Shape {
    Shape {
        op,
        code: parameters.code,
        length: parameters.input.max(parameters.output) as u64,
        offset: 0,
    }
}
