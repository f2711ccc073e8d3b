//! Forwarding: down with a completion routine, up with what the lower driver said.

use wdf::{
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
        _device: &Device<Crossing>,
        request: Request<'r, Any>,
        completion: Completion,
    ) -> Disposition<'r> {
        request.complete(cx, completion.status)
    }
}

/// Sends the request to the lower device.
pub(crate) fn forward<'r>(
    cx: &Cx<'_, impl CanSend>,
    device: &Crossing,
    request: Request<'r, Any>,
) -> Disposition<'r> {
    match request
        .format_current_type(&device.lower)
        .send::<Carried>(cx)
    {
        Ok(sent) => sent,
        Err(failed) => failed.request.complete_empty(cx, failed.status),
    }
}
