//! A request sent whole.

use core::num::NonZeroU32;

use wdf::{
    cx::{CanSend, Cx, Done, IoPassive},
    device::Device,
    request::{Disposition, Kind, Request},
    target::{Completion, OnDone, SendFailed, Timeout},
};

use crate::Filter;

/// Long against pier's default latency, short against the one the tests set.
pub(crate) const PATIENCE: Timeout = Timeout::milliseconds(match NonZeroU32::new(20) {
    Some(milliseconds) => milliseconds,
    None => NonZeroU32::MIN,
});

/// Up again as the lower driver left it.
struct Back;

impl<K: Kind> OnDone<K> for Back {
    type Device = Filter;

    fn done<'r>(
        cx: &mut Cx<'_, Done>,
        _device: &Device<Filter>,
        request: Request<'r, K>,
        completion: Completion,
    ) -> Disposition<'r> {
        request.complete(cx, completion.status)
    }
}

fn sent<'r, K: Kind>(
    cx: &Cx<'_, impl CanSend>,
    sent: Result<Disposition<'r>, SendFailed<'r, K>>,
) -> Disposition<'r> {
    match sent {
        Ok(gone) => gone,
        Err(failed) => failed.request.complete_empty(cx, failed.status),
    }
}

/// With a completion routine.
pub(crate) fn carried<'r, K: Kind>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Filter>,
    request: Request<'r, K>,
) -> Disposition<'r> {
    let result = request
        .format_current_type(&device.lower)
        .and_then(|formatted| formatted.send::<Back>(cx));
    sent(cx, result)
}

/// Without one.
pub(crate) fn forgotten<'r, K: Kind>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Filter>,
    request: Request<'r, K>,
) -> Disposition<'r> {
    let result = request.send_and_forget(cx, &device.lower);
    sent(cx, result)
}

/// So that a control can cancel it.
pub(crate) fn tracked<'r, K: Kind>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Filter>,
    request: Request<'r, K>,
) -> Disposition<'r> {
    let result = request
        .format_current_type(&device.lower)
        .and_then(|formatted| formatted.send_tracked::<Back>(cx))
        .map(|(gone, token)| {
            // The one before it has come back, or nobody wants it canceled.
            drop(device.tracked.take());
            drop(device.tracked.put(token));
            gone
        });
    sent(cx, result)
}

/// With a timeout.
pub(crate) fn timed<'r, K: Kind>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Filter>,
    request: Request<'r, K>,
) -> Disposition<'r> {
    let result = request
        .format_current_type(&device.lower)
        .and_then(|formatted| formatted.with_timeout(PATIENCE).send::<Back>(cx));
    sent(cx, result)
}

/// And waited for.
pub(crate) fn waiting<'r, K: Kind>(
    cx: &mut Cx<'_, IoPassive>,
    device: &Device<Filter>,
    request: Request<'r, K>,
) -> Disposition<'r> {
    let result = request
        .format_current_type(&device.lower)
        .and_then(|formatted| formatted.send_sync(cx, PATIENCE));
    match result {
        Ok((request, completion)) => request.complete(cx, completion.status),
        Err(failed) => failed.request.complete_empty(cx, failed.status),
    }
}
