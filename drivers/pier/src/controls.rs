//! Device controls. Every input is validated before anything changes.

use core::sync::atomic::Ordering;

use ferry_abi::{
    Message, Refused,
    pier::{
        CAPACITY, IOCTL_PIER_ECHO, IOCTL_PIER_ECHO_DIRECT, IOCTL_PIER_ECHO_NEITHER,
        IOCTL_PIER_SET_LATENCY, IOCTL_PIER_STATE, IOCTL_PIER_SUM, Latency, MAX_LATENCY_MS, State,
    },
};
use wdf::{
    Status,
    cx::{CanComplete, Cx},
    request::{Control, Disposition, Ioctl, Request, SharedIn, Written},
};
use zerocopy::IntoBytes;

use crate::device::Port;

const ECHO: u32 = IOCTL_PIER_ECHO.0;
const ECHO_DIRECT: u32 = IOCTL_PIER_ECHO_DIRECT.0;
const ECHO_NEITHER: u32 = IOCTL_PIER_ECHO_NEITHER.0;
const SUM: u32 = IOCTL_PIER_SUM.0;
const SET_LATENCY: u32 = IOCTL_PIER_SET_LATENCY.0;
const STATE: u32 = IOCTL_PIER_STATE.0;

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
    cx: &Cx<'_, impl CanComplete>,
    port: &Port,
    request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    let answered = request.try_with(cx, |request| match request.parameters().code {
        ECHO | ECHO_DIRECT | ECHO_NEITHER => echo(request).map(Answer::Output),
        SUM => sum(request).map(Answer::Count),
        SET_LATENCY => set_latency(port, request).map(|()| Answer::Count(0)),
        STATE => state(port, request).map(Answer::Output),
        _ => Err(Status::INVALID_DEVICE_REQUEST),
    });
    match answered {
        Ok((request, Answer::Output(written))) => request.complete_written(cx, written),
        Ok((request, Answer::Count(information))) => request.complete_counted(cx, information),
        Err(gone) => gone,
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

/// The status that tells why a structure was refused.
fn refused(why: Refused) -> Status {
    match why {
        Refused::Length => Status::INFO_LENGTH_MISMATCH,
        Refused::Version => Status::REVISION_MISMATCH,
    }
}

fn set_latency(port: &Port, request: &mut Request<'_, Ioctl>) -> Result<(), Status> {
    let Control::Buffered(buffer) = request.buffers()? else {
        return Err(Status::INVALID_DEVICE_REQUEST);
    };
    let latency = Latency::read(buffer.input()).map_err(refused)?;
    if latency.milliseconds > MAX_LATENCY_MS || latency.reserved != 0 {
        return Err(Status::INVALID_PARAMETER);
    }
    port.latency_ms
        .store(latency.milliseconds, Ordering::Relaxed);
    Ok(())
}

fn state<'r>(port: &Port, request: &mut Request<'r, Ioctl>) -> Result<Written<'r>, Status> {
    let Control::Buffered(mut buffer) = request.buffers()? else {
        return Err(Status::INVALID_DEVICE_REQUEST);
    };
    // This request is received and, by the time its answer is read, completed.
    let (received, completed) = (
        port.received.load(Ordering::Relaxed),
        port.completed.load(Ordering::Relaxed),
    );
    let outstanding = u32::try_from(received.saturating_sub(completed)).unwrap_or(u32::MAX);
    let state = State::new(
        CAPACITY,
        received,
        completed,
        port.latency_ms.load(Ordering::Relaxed),
        outstanding,
    );
    let mut output = buffer.output();
    if output.append(state.as_bytes()) {
        Ok(output.written())
    } else {
        Err(Status::BUFFER_TOO_SMALL)
    }
}
