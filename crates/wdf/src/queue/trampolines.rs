//! The framework's queue callbacks, each turned into a call of the driver's handler with a fresh brand.

use wdk_sys::{WDFQUEUE, WDFREQUEST};

use super::home;
use crate::{
    Status,
    cx::{self, Cancel, Cx, QueuePlace, Resume, Stop},
    device::{self, Device, DeviceContext},
    handler::{self, Stateless},
    request::{
        Any, Canceled, Disposition, InternalIoctl, Ioctl, Kind, Read, Request, ResumeContext,
        StopAction, StopContext, Write, finish, presented,
    },
};

/// Presents `request` to `F`.
///
/// # Safety
/// `queue` has just delivered `request`, of kind `K`, at place `P`; a value of `F` was handed in.
unsafe fn deliver<D: DeviceContext, P: QueuePlace, K: Kind, F>(queue: WDFQUEUE, request: WDFREQUEST)
where
    F: for<'r> Fn(&mut Cx<'_, P>, &Device<D>, Request<'r, K>) -> Disposition<'r> + Stateless,
{
    // SAFETY: the queue delivers to a handler of D, so it was configured for one.
    let device = unsafe { home::delivering::<D>(queue) };
    // SAFETY: owned since this delivery.
    let cell = unsafe { presented(request, &device) };
    // SAFETY: contract of this function.
    let f: F = unsafe { handler::recall() };
    cx::enter::<P, _>(|cx| {
        // SAFETY: owned, not cancelable, presented once; 'r is minted by `f`.
        let _gone = f(cx, &device, unsafe { Request::present_with(request, cell) });
    });
}

pub(super) unsafe extern "C" fn evt_io_read<D: DeviceContext, P: QueuePlace, F>(
    queue: WDFQUEUE,
    request: WDFREQUEST,
    _length: usize,
) where
    F: for<'r> Fn(&mut Cx<'_, P>, &Device<D>, Request<'r, Read>) -> Disposition<'r> + Stateless,
{
    // SAFETY: EvtIoRead delivers reads; F was handed in by the configuration.
    unsafe { deliver::<D, P, Read, F>(queue, request) };
}

pub(super) unsafe extern "C" fn evt_io_write<D: DeviceContext, P: QueuePlace, F>(
    queue: WDFQUEUE,
    request: WDFREQUEST,
    _length: usize,
) where
    F: for<'r> Fn(&mut Cx<'_, P>, &Device<D>, Request<'r, Write>) -> Disposition<'r> + Stateless,
{
    // SAFETY: EvtIoWrite delivers writes; F was handed in by the configuration.
    unsafe { deliver::<D, P, Write, F>(queue, request) };
}

pub(super) unsafe extern "C" fn evt_io_control<D: DeviceContext, P: QueuePlace, F>(
    queue: WDFQUEUE,
    request: WDFREQUEST,
    _output: usize,
    _input: usize,
    _code: u32,
) where
    F: for<'r> Fn(&mut Cx<'_, P>, &Device<D>, Request<'r, Ioctl>) -> Disposition<'r> + Stateless,
{
    // SAFETY: EvtIoDeviceControl delivers device controls; F was handed in by the configuration.
    unsafe { deliver::<D, P, Ioctl, F>(queue, request) };
}

pub(super) unsafe extern "C" fn evt_io_internal_control<D: DeviceContext, P: QueuePlace, F>(
    queue: WDFQUEUE,
    request: WDFREQUEST,
    _output: usize,
    _input: usize,
    _code: u32,
) where
    F: for<'r> Fn(&mut Cx<'_, P>, &Device<D>, Request<'r, InternalIoctl>) -> Disposition<'r>
        + Stateless,
{
    // SAFETY: EvtIoInternalDeviceControl delivers those; F was handed in by the configuration.
    unsafe { deliver::<D, P, InternalIoctl, F>(queue, request) };
}

pub(super) unsafe extern "C" fn evt_io_default<D: DeviceContext, P: QueuePlace, F>(
    queue: WDFQUEUE,
    request: WDFREQUEST,
) where
    F: for<'r> Fn(&mut Cx<'_, P>, &Device<D>, Request<'r, Any>) -> Disposition<'r> + Stateless,
{
    // SAFETY: whatever EvtIoDefault delivers is an `Any`; F was handed in by the configuration.
    unsafe { deliver::<D, P, Any, F>(queue, request) };
}

pub(super) unsafe extern "C" fn evt_io_canceled_on_queue<D: DeviceContext, F>(
    queue: WDFQUEUE,
    request: WDFREQUEST,
) where
    F: for<'r> Fn(&mut Cx<'_, Cancel>, &Device<D>, Canceled<'r, Any>) -> Disposition<'r>
        + Stateless,
{
    // SAFETY: queue and device exist while they deliver.
    let Some(device) = (unsafe { device::of_queue::<D>(queue) }) else {
        // SAFETY: owned since this callback (R-CAN-11).
        unsafe { finish(request, Status::CANCELLED) };
        return;
    };
    // SAFETY: handed in by the configuration.
    let f: F = unsafe { handler::recall() };
    cx::enter::<Cancel, _>(|cx| {
        // SAFETY: owned, canceled, not cancelable (R-CAN-15); 'r is minted by `f`.
        let _gone = f(cx, &device, unsafe { Canceled::present(request) });
    });
}

pub(super) unsafe extern "C" fn evt_io_stop<D: DeviceContext, W, F>(
    queue: WDFQUEUE,
    request: WDFREQUEST,
    flags: u32,
) where
    F: for<'s> Fn(&mut Cx<'_, Stop>, &Device<D>, StopContext<'s, W>) -> StopAction<'s> + Stateless,
{
    // SAFETY: queue and device exist while the queue is being stopped.
    let Some(device) = (unsafe { device::of_queue::<D>(queue) }) else {
        return;
    };
    // SAFETY: handed in by the configuration.
    let f: F = unsafe { handler::recall() };
    cx::enter::<Stop, _>(|cx| {
        // SAFETY: within EvtIoStop for this request; 's is minted by `f`.
        let _done = f(cx, &device, unsafe { StopContext::present(request, flags) });
    });
}

pub(super) unsafe extern "C" fn evt_io_resume<D: DeviceContext, F>(
    queue: WDFQUEUE,
    request: WDFREQUEST,
) where
    F: for<'s> Fn(&mut Cx<'_, Resume>, &Device<D>, ResumeContext<'s>) -> StopAction<'s> + Stateless,
{
    // SAFETY: queue and device exist while the queue is being resumed.
    let Some(device) = (unsafe { device::of_queue::<D>(queue) }) else {
        return;
    };
    // SAFETY: handed in by the configuration.
    let f: F = unsafe { handler::recall() };
    cx::enter::<Resume, _>(|cx| {
        // SAFETY: within EvtIoResume for this request; 's is minted by `f`.
        let _done = f(cx, &device, unsafe { ResumeContext::present(request) });
    });
}
