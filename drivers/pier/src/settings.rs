//! Controls that manage the device. Every input is validated before anything changes.

use core::sync::atomic::Ordering;

use ferry_abi::{
    Message, Refused,
    pier::{Boost, CAPACITY, Fault, Latency, MAX_BOOST, MAX_LATENCY_MS, MaxTransfer, State},
};
use wdf::{
    Status,
    cx::{Cx, Place},
    request::{Control, Ioctl, Request, Written},
};
use zerocopy::IntoBytes;

use crate::device::Port;

/// Copies a structure out of the input.
pub(crate) fn input<M: Message>(request: &mut Request<'_, Ioctl>) -> Result<M, Status> {
    let Control::Buffered(buffer) = request.buffers()? else {
        return Err(Status::INVALID_DEVICE_REQUEST);
    };
    M::read(buffer.input()).map_err(|why| match why {
        Refused::Length => Status::INFO_LENGTH_MISMATCH,
        Refused::Version => Status::REVISION_MISMATCH,
    })
}

/// How long requests take that arrive from now on.
pub(crate) fn latency(port: &Port, request: &mut Request<'_, Ioctl>) -> Result<(), Status> {
    let latency: Latency = input(request)?;
    if latency.milliseconds > MAX_LATENCY_MS || latency.reserved != 0 {
        return Err(Status::INVALID_PARAMETER);
    }
    port.latency_ms
        .store(latency.milliseconds, Ordering::Relaxed);
    Ok(())
}

/// How long reads and writes may be.
pub(crate) fn max_transfer(port: &Port, request: &mut Request<'_, Ioctl>) -> Result<(), Status> {
    let longest: MaxTransfer = input(request)?;
    if longest.reserved != 0 {
        return Err(Status::INVALID_PARAMETER);
    }
    port.max_transfer.store(longest.bytes, Ordering::Relaxed);
    Ok(())
}

/// Which requests fail.
pub(crate) fn fault(
    cx: &mut Cx<'_, impl Place>,
    port: &Port,
    request: &mut Request<'_, Ioctl>,
) -> Result<(), Status> {
    let fault: Fault = input(request)?;
    port.faults.set(cx, &fault)
}

/// What a completion from the DPC adds to the priority of whoever waits.
pub(crate) fn boost(port: &Port, request: &mut Request<'_, Ioctl>) -> Result<(), Status> {
    let boost: Boost = input(request)?;
    if boost.increment > MAX_BOOST || boost.reserved != 0 {
        return Err(Status::INVALID_PARAMETER);
    }
    port.boost.store(boost.increment, Ordering::Relaxed);
    Ok(())
}

/// What pier says of itself.
pub(crate) fn state<'r>(
    port: &Port,
    request: &mut Request<'r, Ioctl>,
) -> Result<Written<'r>, Status> {
    let Control::Buffered(mut buffer) = request.buffers()? else {
        return Err(Status::INVALID_DEVICE_REQUEST);
    };
    // This request is received and, by the time its answer is read, completed.
    let (received, completed) = (
        port.received.load(Ordering::Relaxed),
        port.completed.load(Ordering::Relaxed),
    );
    let outstanding = u32::try_from(received.saturating_sub(completed)).unwrap_or(u32::MAX);
    let state = State {
        header: State::expected(),
        capacity: CAPACITY,
        received,
        completed,
        faulted: port.faulted.load(Ordering::Relaxed),
        latency_ms: port.latency_ms.load(Ordering::Relaxed),
        outstanding,
        max_transfer: port.max_transfer.load(Ordering::Relaxed),
        boost: port.boost.load(Ordering::Relaxed),
        kept: port.kept.load(Ordering::Relaxed),
        resumed: port.resumed.load(Ordering::Relaxed),
        from_dpc: port.from_dpc.load(Ordering::Relaxed),
        reserved: 0,
    };
    let mut output = buffer.output();
    if output.append(state.as_bytes()) {
        Ok(output.written())
    } else {
        Err(Status::BUFFER_TOO_SMALL)
    }
}
