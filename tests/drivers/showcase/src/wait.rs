//! Requests that wait in a queue for their cancellation.

use core::sync::atomic::Ordering;

use wdf::{
    Status,
    cx::{Cancel, Cx, IoPassive},
    device::Device,
    request::{Any, Canceled, Disposition, Ioctl, Request},
};

use crate::{Case, number};

/// Where a request waits.
pub(crate) struct Place;

impl Place {
    /// In the queue that tells of cancellations.
    pub(crate) const TELLING: u32 = 0;
    /// In the queue that does not.
    pub(crate) const SILENT: u32 = 1;
    /// In the queue that tells, taken out once and put back at its head.
    pub(crate) const PUT_BACK: u32 = 2;
    /// In the queue that does not, taken out once and put back at its head.
    pub(crate) const SILENT_PUT_BACK: u32 = 3;
}

/// Forwards the request, and puts it back if it is to be put back.
pub(crate) fn somewhere<'r>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Case>,
    mut request: Request<'r, Ioctl>,
) -> Disposition<'r> {
    let (queue, again) = match number(&mut request) {
        Ok(Place::TELLING) => (&device.telling, false),
        Ok(Place::SILENT) => (&device.silent, false),
        Ok(Place::PUT_BACK) => (&device.telling, true),
        Ok(Place::SILENT_PUT_BACK) => (&device.silent, true),
        Ok(_) => return request.complete_empty(cx, Status::INVALID_PARAMETER),
        Err(status) => return request.complete_empty(cx, status),
    };
    let gone = match request.forward(cx, queue) {
        Ok(gone) => gone,
        Err((request, status)) => return request.complete_empty(cx, status),
    };
    if again {
        // Nothing to take: it was canceled in between.
        let _taken = queue.retrieve_next(cx, |cx, request| put_back(cx, device, request));
    }
    gone
}

fn put_back<'r>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Case>,
    request: Request<'r, Any>,
) -> Disposition<'r> {
    match request.requeue(cx) {
        Ok(gone) => {
            device.put_back.fetch_add(1, Ordering::Relaxed);
            gone
        }
        Err((request, status)) => request.complete_empty(cx, status),
    }
}

/// `EvtIoCanceledOnQueue`.
pub(crate) fn canceled<'r>(
    cx: &mut Cx<'_, Cancel>,
    device: &Device<Case>,
    request: Canceled<'r, Any>,
) -> Disposition<'r> {
    device.told.fetch_add(1, Ordering::Relaxed);
    request.complete(cx, Status::CANCELLED)
}
