//! Requests of the driver's own, each made for one use and deleted.

use core::{num::NonZeroU32, sync::atomic::Ordering};

use wdf::{
    Status,
    cx::{CanComplete, CanWait, Cx, IoPassive, Work},
    device::Device,
    request::{Disposition, Ioctl, OwnFormatted, OwnRequest, Part, Request, Share},
    target::Timeout,
};

use crate::{Case, number};

/// Longer than any test waits.
const PATIENCE: Timeout = Timeout::milliseconds(match NonZeroU32::new(60_000) {
    Some(milliseconds) => milliseconds,
    None => NonZeroU32::MIN,
});
/// `IOCTL_PIER_ECHO`.
const ECHO: u32 = 0x22 << 16 | 3 << 14 | 0x900 << 2;
/// `FileStandardInformation`.
const STANDARD: i32 = 5;
/// `FileEndOfFileInformation`.
const END_OF_FILE: i32 = 20;

/// How the request is formatted.
pub(crate) struct Way;

impl Way {
    pub(crate) const READ: u32 = 0;
    pub(crate) const WRITE: u32 = 1;
    pub(crate) const CONTROL: u32 = 2;
    pub(crate) const FLUSH: u32 = 3;
    pub(crate) const QUERY: u32 = 4;
    pub(crate) const SET: u32 = 5;
}

/// Sends one request of the driver's own; the control ends with what it ended with.
pub(crate) fn one<'r>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Case>,
    mut request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    let way = match number(&mut request) {
        Ok(way) => way,
        Err(status) => return request.complete_empty(cx, status),
    };
    match way {
        Way::READ | Way::WRITE | Way::CONTROL => {
            let status = by_memory(cx, device, way).err().unwrap_or(Status::SUCCESS);
            request.complete_empty(cx, status)
        }
        Way::FLUSH | Way::QUERY | Way::SET => match request.share() {
            // The sub-request is for the open instance the control came through, and keeps it meanwhile.
            Ok((gone, share)) => {
                by_stack_location(cx, device, share, way);
                gone
            }
            Err((request, status)) => request.complete_empty(cx, status),
        },
        _ => request.complete_empty(cx, Status::INVALID_PARAMETER),
    }
}

/// Read, write or control, with the driver's own memory.
fn by_memory(
    cx: &mut Cx<'_, impl CanWait + CanComplete>,
    device: &Device<Case>,
    way: u32,
) -> Result<usize, Status> {
    let own = OwnRequest::<()>::new(&device.lower)?;
    let (lower, memory) = (&device.lower, &device.memory);
    let formatted = match way {
        Way::READ => own.format_read(lower, memory, Part::ALL, 0),
        Way::WRITE => own.format_write(lower, memory, Part::ALL, 0),
        _ => {
            let sides = Some((memory, Part::ALL));
            own.format_ioctl(lower, ECHO, sides, sides)
        }
    };
    let formatted = formatted.map_err(|failed| failed.status)?;
    wait(cx, formatted)
    // What came back of the request was deleted there.
}

/// Waits for a request without a lender, and deletes it.
fn wait(
    cx: &mut Cx<'_, impl CanWait + CanComplete>,
    formatted: OwnFormatted<'_, (), ()>,
) -> Result<usize, Status> {
    let (done, completion) = formatted
        .send_sync(cx, PATIENCE)
        .map_err(|failed| failed.status)?;
    drop(done);
    completion.status.ok().map(|()| completion.information)
}

/// Flush, query or set information, for the file of the control.
fn by_stack_location(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Case>,
    share: Share<Ioctl>,
    way: u32,
) {
    let own = match OwnRequest::<()>::new(&device.lower) {
        Ok(own) => own,
        Err(status) => {
            share.finish(cx, |cx, parent| parent.complete(cx, status));
            return;
        }
    };
    let (lower, memory) = (&device.lower, &device.memory);
    let formatted = match way {
        Way::FLUSH => own.format_flush(lower, share),
        Way::QUERY => own.format_query_information(lower, share, STANDARD, memory),
        _ => own.format_set_information(lower, share, END_OF_FILE, memory),
    };
    let (share, status) = match formatted {
        Ok(formatted) => match formatted.send_sync(cx, PATIENCE) {
            Ok((done, completion)) => (done.split().1, completion.status),
            Err(failed) => (failed.done.split().1, failed.status),
        },
        Err(failed) => (failed.lent, failed.status),
    };
    share.finish(cx, |cx, parent| parent.complete(cx, status));
}

/// Keeps the request for the work item: its caller's thread is not to be kept that long.
pub(crate) fn poll_later<'r>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Case>,
    request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    let (gone, held) = request.hold();
    match device.polling.put(held) {
        Ok(()) => device.poll.enqueue(),
        Err(held) => held.complete(cx, Status::DEVICE_NOT_READY),
    }
    gone
}

/// `EvtWorkItem`.
pub(crate) fn poll_now(cx: &mut Cx<'_, Work>, device: &Device<Case>) {
    if let Some(held) = device.polling.take() {
        held.resume(cx, |cx, request| poll(cx, device, request));
    }
}

/// Reads as often as it is told, for a request it looks at in between: canceled, it stops (`WdfRequestIsCanceled`, R-CAN-52).
fn poll<'r>(
    cx: &mut Cx<'_, Work>,
    device: &Device<Case>,
    mut request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    let times = match number(&mut request) {
        Ok(times) => times,
        Err(status) => return request.complete_empty(cx, status),
    };
    for _ in 0..times {
        if request.is_canceled() {
            return request.complete_empty(cx, Status::CANCELLED);
        }
        device.polled.fetch_add(1, Ordering::Relaxed);
        if let Err(status) = by_memory(cx, device, Way::READ) {
            return request.complete_empty(cx, status);
        }
    }
    request.complete_empty(cx, Status::SUCCESS)
}
