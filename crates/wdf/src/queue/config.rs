//! What a queue is, before it exists.

use core::{marker::PhantomData, num::NonZeroU32};

use wdk_sys::{
    _WDF_EXECUTION_LEVEL::WdfExecutionLevelPassive,
    _WDF_IO_QUEUE_DISPATCH_TYPE::{
        WdfIoQueueDispatchManual, WdfIoQueueDispatchParallel, WdfIoQueueDispatchSequential,
    },
    _WDF_TRI_STATE::{WdfFalse, WdfTrue},
    PFN_WDF_IO_QUEUE_STATE, WDF_IO_QUEUE_CONFIG, WDFQUEUE, call_unsafe_wdf_function_binding,
};

use super::{Queue, home, state, trampolines};
use crate::{
    Status, context,
    cx::{Cancel, Cx, Io, IoPassive, Notify, Passive, QueuePlace, Resume, Stop},
    device::{Control, Device, DeviceContext, Filter, Function, NewDevice, Role},
    handler::{self, Stateless},
    request::{
        Any, Canceled, Claim, Disposition, InternalIoctl, Ioctl, Read, Request, ResumeContext,
        Resumes, StopAction, StopContext, Write,
    },
};

/// The queue delivers in every power state.
pub struct Unmanaged(PhantomData<()>);
/// The queue delivers in D0 only.
pub struct Managed(PhantomData<()>);
/// No stop handler yet.
pub struct NoStop(PhantomData<()>);
/// Has a stop handler.
pub struct Stoppable(PhantomData<()>);

/// Roles whose devices may have such queues.
pub trait Serves<M>: Role {}
impl Serves<Unmanaged> for Function {}
impl Serves<Managed> for Function {}
impl Serves<Unmanaged> for Filter {}
impl Serves<Unmanaged> for Control {}

/// How a queue delivers and to whom. Stands for `WDF_IO_QUEUE_CONFIG` and the queue's attributes.
///
/// `D`: the device's context; `P`: where handlers run; `M`: whether power-managed; `S`: whether it has a stop handler.
pub struct QueueConfig<D, P = Io, M = Unmanaged, S = NoStop> {
    raw: WDF_IO_QUEUE_CONFIG,
    ready: PFN_WDF_IO_QUEUE_STATE,
    passive: bool,
    of: PhantomData<fn() -> (D, P)>,
    may: PhantomData<fn() -> (M, S)>,
}

/// A stop handler for queues whose requests are always ended soon by whoever has them, so that there is nothing to do but let them.
/// One that is parked after all goes back to its queue, or ends with the device.
pub fn wait_for_the_owner<'s, D: DeviceContext>(
    cx: &mut Cx<'_, Stop>,
    _device: &Device<D>,
    request: StopContext<'s>,
) -> StopAction<'s> {
    match request.claim(cx) {
        Claim::Owned(request) => match request.requeue(cx) {
            Ok(requeued) => requeued,
            Err(request) => request.complete(cx, Status::DEVICE_NOT_CONNECTED),
        },
        Claim::Canceled(request) => request.complete(cx, Status::CANCELLED).into(),
        Claim::Sent(request) => request.leave(),
        Claim::Elsewhere(request) => request.leave(),
    }
}

impl<D: DeviceContext> QueueConfig<D> {
    fn new(dispatch: wdk_sys::WDF_IO_QUEUE_DISPATCH_TYPE) -> Self {
        let raw = WDF_IO_QUEUE_CONFIG {
            Size: context::size_u32::<WDF_IO_QUEUE_CONFIG>(),
            DispatchType: dispatch,
            PowerManaged: WdfFalse,
            ..WDF_IO_QUEUE_CONFIG::default()
        };
        Self {
            raw,
            ready: None,
            passive: false,
            of: PhantomData,
            may: PhantomData,
        }
    }

    /// Delivers while fewer than `limit` requests are owned; `None`: without limit (R-QUE-42). A limit of 0 cannot be said (R-QUE-08).
    #[must_use]
    pub fn parallel(limit: Option<NonZeroU32>) -> Self {
        let mut this = Self::new(WdfIoQueueDispatchParallel);
        this.raw.Settings.Parallel.NumberOfPresentedRequests =
            limit.map_or(u32::MAX, NonZeroU32::get);
        this
    }

    /// Delivers when no request is owned (R-QUE-41). Two handlers may still overlap in time (R-QUE-47).
    #[must_use]
    pub fn sequential() -> Self {
        Self::new(WdfIoQueueDispatchSequential)
    }

    /// Delivers nothing; the driver retrieves (R-QUE-43).
    #[must_use]
    pub fn manual() -> Self {
        Self::new(WdfIoQueueDispatchManual)
    }

    /// As [`manual`](Self::manual), and `ready` is called when the first request has come. Stands for `WdfIoQueueReadyNotify`.
    ///
    /// Once per change from empty to not empty, not once per request, and sometimes for an empty queue (R-QUE-112, R-QUE-114): whoever is called
    /// takes out everything there is, or keeps a trigger of its own (R-QUE-117). It is registered for the queue's life.
    #[must_use]
    pub fn manual_notified<F>(ready: F) -> Self
    where
        F: Fn(&mut Cx<'_, Notify>, &Device<D>) + Stateless,
    {
        handler::hand_in(ready);
        let mut this = Self::manual();
        this.ready = Some(state::evt_ready::<D, F>);
        this
    }

    /// Handlers run at `PASSIVE_LEVEL`: execution level Passive (R-QUE-52). Say it before naming handlers.
    #[must_use]
    pub fn at_passive_level(self) -> QueueConfig<D, IoPassive> {
        QueueConfig {
            raw: self.raw,
            ready: self.ready,
            passive: true,
            of: PhantomData,
            may: PhantomData,
        }
    }
}

/// Setters of request handlers.
macro_rules! handlers {
    ($($(#[$doc:meta])* $name:ident $kind:ident $field:ident $trampoline:ident;)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $name<F>(mut self, f: F) -> Self
        where
            F: for<'r> Fn(&mut Cx<'_, P>, &Device<D>, Request<'r, $kind>) -> Disposition<'r> + Stateless,
        {
            handler::hand_in(f);
            self.raw.$field = Some(trampolines::$trampoline::<D, P, F>);
            self
        }
    )* };
}

impl<D: DeviceContext, P: QueuePlace, M, S> QueueConfig<D, P, M, S> {
    handlers! {
        /// `EvtIoRead`.
        read Read EvtIoRead evt_io_read;
        /// `EvtIoWrite`.
        write Write EvtIoWrite evt_io_write;
        /// `EvtIoDeviceControl`.
        ioctl Ioctl EvtIoDeviceControl evt_io_control;
        /// `EvtIoInternalDeviceControl`.
        internal_ioctl InternalIoctl EvtIoInternalDeviceControl evt_io_internal_control;
        /// `EvtIoDefault`: what has no handler of its own.
        other Any EvtIoDefault evt_io_default;
    }

    /// `EvtIoCanceledOnQueue`: a request that had been presented before was canceled while it waited here (R-CAN-11).
    #[must_use]
    pub fn canceled_on_queue<F>(mut self, f: F) -> Self
    where
        F: for<'r> Fn(&mut Cx<'_, Cancel>, &Device<D>, Canceled<'r, Any>) -> Disposition<'r>
            + Stateless,
    {
        handler::hand_in(f);
        self.raw.EvtIoCanceledOnQueue = Some(trampolines::evt_io_canceled_on_queue::<D, F>);
        self
    }

    /// Deliver zero-length reads and writes instead of letting the framework complete them (R-QUE-56). A filter's queues always do.
    #[must_use]
    pub fn zero_length(mut self) -> Self {
        self.raw.AllowZeroLengthRequests = 1;
        self
    }

    /// This is the device's default queue (R-QUE-14).
    #[must_use]
    pub fn default_queue(mut self) -> Self {
        self.raw.DefaultQueue = 1;
        self
    }

    /// The queue delivers in D0 only. Function devices only.
    #[must_use]
    pub fn power_managed(mut self) -> QueueConfig<D, P, Managed, S> {
        self.raw.PowerManaged = WdfTrue;
        QueueConfig {
            raw: self.raw,
            ready: self.ready,
            passive: self.passive,
            of: PhantomData,
            may: PhantomData,
        }
    }

    /// `EvtIoStop`: what becomes of each owned request when power goes or the device is removed (R-QUE-121, R-QUE-128).
    #[must_use]
    pub fn stop<F>(mut self, f: F) -> QueueConfig<D, P, M, Stoppable>
    where
        F: for<'s> Fn(&mut Cx<'_, Stop>, &Device<D>, StopContext<'s>) -> StopAction<'s> + Stateless,
    {
        handler::hand_in(f);
        self.raw.EvtIoStop = Some(trampolines::evt_io_stop::<D, _, F>);
        self.stoppable()
    }

    fn stoppable(self) -> QueueConfig<D, P, M, Stoppable> {
        QueueConfig {
            raw: self.raw,
            ready: self.ready,
            passive: self.passive,
            of: PhantomData,
            may: PhantomData,
        }
    }
}

impl<D: DeviceContext, P: QueuePlace, S> QueueConfig<D, P, Managed, S> {
    /// `EvtIoStop` and `EvtIoResume`: the stop handler may keep requests ([`StopOwned::keep`](crate::request::StopOwned::keep)) because there is
    /// somebody to be told of them when power is back (R-QUE-125, the rule `EvtIoStopResume`).
    #[must_use]
    pub fn stop_and_resume<F, G>(
        mut self,
        stop: F,
        resume: G,
    ) -> QueueConfig<D, P, Managed, Stoppable>
    where
        F: for<'s> Fn(&mut Cx<'_, Stop>, &Device<D>, StopContext<'s, Resumes>) -> StopAction<'s>
            + Stateless,
        G: for<'s> Fn(&mut Cx<'_, Resume>, &Device<D>, ResumeContext<'s>) -> StopAction<'s>
            + Stateless,
    {
        handler::hand_in(stop);
        handler::hand_in(resume);
        self.raw.EvtIoStop = Some(trampolines::evt_io_stop::<D, Resumes, F>);
        self.raw.EvtIoResume = Some(trampolines::evt_io_resume::<D, G>);
        self.stoppable()
    }
}

impl<D: DeviceContext, P: QueuePlace, M> QueueConfig<D, P, M, Stoppable> {
    /// `WdfIoQueueCreate`. The queue lives as long as the device.
    ///
    /// # Errors
    /// What the framework returns: `STATUS_WDF_NO_CALLBACK` for a queue that delivers to nobody (R-QUE-05), and so on.
    pub fn create<R: Serves<M>>(
        mut self,
        _cx: &Cx<'_, impl Passive>,
        device: &NewDevice<'_, D, R>,
    ) -> Result<Queue, Status> {
        if R::FILTERS {
            self.raw.AllowZeroLengthRequests = 1;
        }
        let mut attributes = home::attributes();
        if self.passive {
            attributes.ExecutionLevel = WdfExecutionLevelPassive;
        }
        let mut queue: WDFQUEUE = core::ptr::null_mut();
        // SAFETY: the device exists; the rest are locals.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfIoQueueCreate,
                device.handle(),
                &raw mut self.raw,
                &raw mut attributes,
                &raw mut queue
            )
        };
        Status::from_raw(status).ok()?;
        // SAFETY: just created on this device, which is one of D's.
        unsafe { home::remember::<D>(queue, device.handle()) };
        if self.ready.is_some() {
            // SAFETY: just created, manual, nothing registered (R-QUE-110, R-QUE-111).
            let status = unsafe {
                call_unsafe_wdf_function_binding!(
                    WdfIoQueueReadyNotify,
                    queue,
                    self.ready,
                    core::ptr::null_mut()
                )
            };
            Status::from_raw(status).ok()?;
        }
        // SAFETY: just created.
        unsafe { Queue::acquire(queue, device.handle()) }.ok_or(Status::INSUFFICIENT_RESOURCES)
    }
}
