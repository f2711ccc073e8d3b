//! Device controls that stand for work: the echoes and the sum.

use core::sync::atomic::Ordering;

use ferry_abi::pier::{
    IOCTL_PIER_ECHO, IOCTL_PIER_ECHO_DIRECT, IOCTL_PIER_ECHO_NEITHER, IOCTL_PIER_SET_BOOST,
    IOCTL_PIER_SET_FAULT, IOCTL_PIER_SET_LATENCY, IOCTL_PIER_SET_MAX_TRANSFER, IOCTL_PIER_STAMP,
    IOCTL_PIER_STATE, IOCTL_PIER_SUM, Stamp,
};
use wdf::{
    Status,
    cx::{CanComplete, Cx},
    request::{Control, Disposition, Ioctl, PriorityBoost, Request, SharedIn, Written},
};

use zerocopy::IntoBytes;

use crate::{device::Port, handle::Handle, settings};

const ECHO: u32 = IOCTL_PIER_ECHO.0;
const ECHO_DIRECT: u32 = IOCTL_PIER_ECHO_DIRECT.0;
const ECHO_NEITHER: u32 = IOCTL_PIER_ECHO_NEITHER.0;
const SUM: u32 = IOCTL_PIER_SUM.0;
const SET_LATENCY: u32 = IOCTL_PIER_SET_LATENCY.0;
const STAMP: u32 = IOCTL_PIER_STAMP.0;
const STATE: u32 = IOCTL_PIER_STATE.0;
const SET_MAX_TRANSFER: u32 = IOCTL_PIER_SET_MAX_TRANSFER.0;
const SET_FAULT: u32 = IOCTL_PIER_SET_FAULT.0;
const SET_BOOST: u32 = IOCTL_PIER_SET_BOOST.0;

/// Whether the latency applies: to what stands for work, not to what manages the device.
pub(crate) const fn takes_time(code: u32) -> bool {
    matches!(code, ECHO | ECHO_DIRECT | ECHO_NEITHER | SUM)
}

/// How a control ends well.
enum Answer<'r> {
    /// With the output that was written.
    Output(Written<'r>),
    /// With nothing but an Information.
    Count(usize),
}

pub(crate) fn answer<'r>(
    cx: &mut Cx<'_, impl CanComplete>,
    port: &Port,
    mut request: Request<'r, Ioctl>,
    boost: PriorityBoost,
) -> Disposition<'r> {
    let answered = match request.parameters().code {
        ECHO | ECHO_DIRECT | ECHO_NEITHER => echo(&mut request).map(Answer::Output),
        STAMP => stamp(&mut request).map(Answer::Output),
        SUM => sum(&mut request).map(Answer::Count),
        STATE => settings::state(port, &mut request).map(Answer::Output),
        SET_LATENCY => settings::latency(port, &mut request).map(|()| Answer::Count(0)),
        SET_MAX_TRANSFER => settings::max_transfer(port, &mut request).map(|()| Answer::Count(0)),
        SET_FAULT => settings::fault(cx, port, &mut request).map(|()| Answer::Count(0)),
        SET_BOOST => settings::boost(port, &mut request).map(|()| Answer::Count(0)),
        _ => Err(Status::INVALID_DEVICE_REQUEST),
    };
    match answered {
        Ok(Answer::Output(written)) => {
            request.set_written(written);
            request.complete_with_boost(cx, Status::SUCCESS, boost)
        }
        Ok(Answer::Count(information)) => request.complete_counted(cx, information),
        Err(status) => request.complete_empty(cx, status),
    }
}

fn echo<'r>(request: &mut Request<'r, Ioctl>) -> Result<Written<'r>, Status> {
    match request.buffers()? {
        Control::Buffered(buffer) => Ok(buffer.echo()),
        Control::OutDirect(input, mut output) => {
            let bytes = input.len().min(output.room());
            output.append(input.get(..bytes).unwrap_or_default());
            Ok(output.written())
        }
        Control::Locked(input, mut output) => {
            output.append_shared(&input);
            Ok(output.written())
        }
        Control::InDirect(..) => Err(Status::INVALID_DEVICE_REQUEST),
    }
}

fn sum(request: &mut Request<'_, Ioctl>) -> Result<usize, Status> {
    let Control::InDirect(input, data) = request.buffers()? else {
        return Err(Status::INVALID_DEVICE_REQUEST);
    };
    let sum = sum_of(input).wrapping_add(sum_of_shared(&data));
    // Information may not exceed the length of the output buffer.
    Ok(sum.checked_rem(data.len().saturating_add(1)).unwrap_or(0))
}

fn sum_of(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |sum, byte| sum.wrapping_add(usize::from(*byte)))
}

fn sum_of_shared(data: &SharedIn<'_>) -> usize {
    let (mut piece, mut offset, mut sum) = ([0; 256], 0_usize, 0_usize);
    loop {
        let bytes = data.copy_to(offset, &mut piece);
        if bytes == 0 {
            return sum;
        }
        sum = sum.wrapping_add(sum_of(piece.get(..bytes).unwrap_or_default()));
        offset = offset.saturating_add(bytes);
    }
}

/// Notes the number on the handle and answers with the one before.
fn stamp<'r>(request: &mut Request<'r, Ioctl>) -> Result<Written<'r>, Status> {
    let stamp: Stamp = settings::input(request)?;
    let before = request
        .file::<Handle>()
        .ok_or(Status::INVALID_DEVICE_REQUEST)?
        .stamp
        .swap(stamp.number, Ordering::AcqRel);
    let Control::Buffered(mut buffer) = request.buffers()? else {
        return Err(Status::INVALID_DEVICE_REQUEST);
    };
    let mut output = buffer.output();
    if output.append(Stamp::new(before).as_bytes()) {
        Ok(output.written())
    } else {
        Err(Status::BUFFER_TOO_SMALL)
    }
}
