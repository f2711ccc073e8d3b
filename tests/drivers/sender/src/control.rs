//! What sender is told, and the requests it makes by itself.

use core::sync::atomic::Ordering;

use wdf::{
    Status,
    cx::{Cx, IoPassive},
    device::Device,
    request::{Control, Disposition, Ioctl, OwnRequest, Part, Request},
};

use crate::{Filter, held, one, remote};

/// How reads and writes are sent.
pub(crate) mod mode {
    /// Whole, with a completion routine.
    pub(crate) const CARRY: u32 = 0;
    /// Whole, and `CANCEL` cancels the last.
    pub(crate) const TRACKED: u32 = 1;
    /// Whole, with a timeout.
    pub(crate) const TIMED: u32 = 2;
    /// Whole, waited for with a timeout.
    pub(crate) const WAITING: u32 = 3;
    /// Whole, without a completion routine.
    pub(crate) const FORGOTTEN: u32 = 4;
    /// In parts, one after the other.
    pub(crate) const SEQUENTIAL: u32 = 5;
    /// In parts, several at once.
    pub(crate) const PARALLEL: u32 = 6;
    /// Not before `RELEASE`, and then whole.
    pub(crate) const HELD: u32 = 7;
}

const fn code(number: u32) -> u32 {
    0x22 << 16 | (0xA00 | number) << 2
}

/// Input: a `u32`, the mode.
const SET_MODE: u32 = code(0);
/// Cancels the last tracked request.
const CANCEL: u32 = code(1);
/// Reads the first bytes of the device by a request of the driver's own and answers with them.
const READ_BY_ITSELF: u32 = code(2);

/// Sends what `HELD` kept.
const RELEASE: u32 = code(3);
/// Completes what `HELD` kept, with a boost.
const ANSWER: u32 = code(4);
/// Answers with the input turned round, by memory objects and MDLs.
const TURN_ROUND: u32 = code(5);
/// As `READ_BY_ITSELF`, with an IRP of the driver's own.
const READ_BY_IRP: u32 = code(6);
/// [`remote::Ask`], in its order; a read answers with what was read.
const REMOTE: [(u32, remote::Ask); 9] = [
    (code(16), remote::Ask::OpenByName),
    (code(17), remote::Ask::OpenByFile),
    (code(18), remote::Ask::OpenNobody),
    (code(19), remote::Ask::Close),
    (code(20), remote::Ask::Reopen),
    (code(21), remote::Ask::Stop),
    (code(22), remote::Ask::Purge),
    (code(23), remote::Ask::Start),
    (code(24), remote::Ask::Read),
];

/// A device control: its own, or carried.
pub(crate) fn ioctl<'r>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Filter>,
    request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    match request.parameters().code {
        SET_MODE => request
            .try_with(cx, |request| set_mode(device, request))
            .map_or_else(
                |gone| gone,
                |(request, ())| request.complete_empty(cx, Status::SUCCESS),
            ),
        CANCEL => {
            let token = device.tracked.take();
            if let Some(token) = &token {
                token.cancel(cx);
            }
            let status = if token.is_some() {
                Status::SUCCESS
            } else {
                Status::NOT_FOUND
            };
            request.complete_empty(cx, status)
        }
        READ_BY_ITSELF => {
            let read = read_by_itself(cx, device);
            answer(cx, device, request, read)
        }
        READ_BY_IRP => {
            let read = read_by_irp(cx, device);
            answer(cx, device, request, read)
        }
        RELEASE => {
            let released = held::release(cx, device);
            request.complete_empty(cx, released)
        }
        ANSWER => {
            let answered = held::answer(cx, device);
            request.complete_empty(cx, answered)
        }
        TURN_ROUND => held::turn_round(cx, request),
        code => match REMOTE.iter().find(|(known, _)| *known == code) {
            Some((_, what)) => {
                let done = remote::ask(cx, device, *what);
                answer(cx, device, request, done)
            }
            None => one::carried(cx, device, request),
        },
    }
}

/// Answers with the first bytes of the device's memory.
fn answer<'r>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Filter>,
    request: Request<'r, Ioctl>,
    bytes: Result<usize, Status>,
) -> Disposition<'r> {
    request
        .try_with(cx, |request| {
            let bytes = bytes?;
            let Control::Buffered(mut buffer) = request.buffers()? else {
                return Err(Status::INVALID_DEVICE_REQUEST);
            };
            let mut output = buffer.output();
            if bytes < output.room() {
                return Err(Status::END_OF_FILE);
            }
            device.memory.read(0, &mut output);
            Ok(output.written())
        })
        .map_or_else(
            |gone| gone,
            |(request, written)| request.complete_written(cx, written),
        )
}

fn set_mode(device: &Device<Filter>, request: &mut Request<'_, Ioctl>) -> Result<(), Status> {
    let Control::Buffered(buffer) = request.buffers()? else {
        return Err(Status::INVALID_DEVICE_REQUEST);
    };
    let mode = buffer
        .input()
        .first_chunk()
        .ok_or(Status::INFO_LENGTH_MISMATCH)?;
    device
        .mode
        .store(u32::from_le_bytes(*mode), Ordering::Relaxed);
    Ok(())
}

/// A request made for the occasion, around an IRP made for it.
fn read_by_irp(cx: &mut Cx<'_, IoPassive>, device: &Device<Filter>) -> Result<usize, Status> {
    let request: OwnRequest = OwnRequest::from_irp(&device.lower)?;
    let part = Part {
        offset: 0,
        length: device.memory.len(),
    };
    let formatted = request
        .format_read(&device.lower, &device.memory, part, 0)
        .map_err(|failed| failed.status)?;
    let (done, completion) = formatted
        .send_sync(cx, one::PATIENCE)
        .map_err(|failed| failed.status)?;
    // Reused, it still has its IRP.
    let (request, ()) = done.split();
    completion.status.ok()?;
    let again = request
        .format_read(&device.lower, &device.memory, part, 0)
        .map_err(|failed| failed.status)?;
    let (_, completion) = again
        .send_sync(cx, one::PATIENCE)
        .map_err(|failed| failed.status)?;
    completion.status.ok().map(|()| completion.information)
}

/// A request nobody above asked for, waited for.
fn read_by_itself(cx: &mut Cx<'_, IoPassive>, device: &Device<Filter>) -> Result<usize, Status> {
    let request = device.pool.take(cx).ok_or(Status::INSUFFICIENT_RESOURCES)?;
    let part = Part {
        offset: 0,
        length: device.memory.len(),
    };
    let (done, result) = match request.format_read(&device.lower, &device.memory, part, 0) {
        Ok(formatted) => match formatted.send_sync(cx, one::PATIENCE) {
            Ok((done, completion)) => (
                done,
                completion.status.ok().map(|()| completion.information),
            ),
            Err(failed) => (failed.done, Err(failed.status)),
        },
        Err(failed) => {
            drop(device.pool.put(cx, failed.request));
            return Err(failed.status);
        }
    };
    let (request, ()) = done.split();
    drop(device.pool.put(cx, request));
    result
}
