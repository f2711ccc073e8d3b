//! Forwarding: down with a completion routine, up with the lower driver's status and Information unchanged.

use wdf::{
    Status,
    cx::{CanSend, Cx, Done},
    device::Device,
    request::{Any, Disposition, Request},
    target::{Completion, OnDone},
};

use crate::device::Crossing;

/// Gets a request back from below.
struct Carried;

impl OnDone<Any> for Carried {
    type Device = Crossing;

    fn done<'r>(
        cx: &mut Cx<'_, Done>,
        device: &Device<Crossing>,
        request: Request<'r, Any>,
        completion: Completion,
    ) -> Disposition<'r> {
        // Before the completion, so that whoever saw it finds it counted.
        device.counters.completed.count();
        // Information is what the lower driver left in the IRP.
        request.complete(cx, completion.status)
    }
}

/// Sends the request to the lower device. Afterwards it may be complete already.
pub(crate) fn forward<'r>(
    cx: &Cx<'_, impl CanSend>,
    device: &Crossing,
    request: Request<'r, Any>,
) -> Disposition<'r> {
    device.counters.forwarded.count();
    match request
        .format_current_type(&device.lower)
        .and_then(|formatted| formatted.send::<Carried>(cx))
    {
        Ok(sent) => sent,
        Err(failed) => {
            device.counters.forwarded.uncount();
            device.counters.failed.count();
            // The target is purged because the device is gone, whatever the target says of itself.
            let status = if device.is_leaving() {
                Status::DEVICE_NOT_CONNECTED
            } else {
                failed.status
            };
            failed.request.complete_empty(cx, status)
        }
    }
}
