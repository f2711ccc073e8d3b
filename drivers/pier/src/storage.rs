//! Reads and writes: short at the end of the storage, `STATUS_END_OF_FILE` behind it, `STATUS_INVALID_BUFFER_SIZE` above the maximum.

use core::sync::atomic::Ordering;

use wdf::{
    Status,
    cx::{CanComplete, Cx},
    request::{Disposition, PriorityBoost, Read, Request, TransferParameters, Write},
};

use crate::device::Port;

/// Where a transfer starts, if that is inside the storage and the transfer is not too long.
fn start(port: &Port, transfer: TransferParameters) -> Result<usize, Status> {
    let longest = port.max_transfer.load(Ordering::Relaxed);
    if longest != 0 && u32::try_from(transfer.length).is_ok_and(|length| length > longest) {
        return Err(Status::INVALID_BUFFER_SIZE);
    }
    // -1 and -2 ("end of file", "current position") mean nothing here.
    let offset = usize::try_from(transfer.offset).map_err(|_| Status::INVALID_PARAMETER)?;
    if offset < port.storage.len() {
        Ok(offset)
    } else {
        Err(Status::END_OF_FILE)
    }
}

pub(crate) fn read<'r>(
    cx: &Cx<'_, impl CanComplete>,
    port: &Port,
    request: Request<'r, Read>,
    most: usize,
    boost: PriorityBoost,
) -> Disposition<'r> {
    let read = request.try_with(cx, |request| {
        let offset = start(port, request.parameters())?;
        let mut output = request.output()?;
        output.limit(most);
        port.storage.read(offset, &mut output);
        Ok(output.written())
    });
    match read {
        Ok((mut request, written)) => {
            request.set_written(written);
            request.complete_with_boost(cx, Status::SUCCESS, boost)
        }
        Err(gone) => gone,
    }
}

pub(crate) fn write<'r>(
    cx: &Cx<'_, impl CanComplete>,
    port: &Port,
    request: Request<'r, Write>,
    most: usize,
    boost: PriorityBoost,
) -> Disposition<'r> {
    let written = request.try_with(cx, |request| {
        let offset = start(port, request.parameters())?;
        let mut input = request.input()?;
        input.limit(most);
        Ok(port.storage.write(offset, &input))
    });
    match written {
        Ok((mut request, bytes)) => {
            request.set_taken(bytes);
            request.complete_with_boost(cx, Status::SUCCESS, boost)
        }
        Err(gone) => gone,
    }
}
