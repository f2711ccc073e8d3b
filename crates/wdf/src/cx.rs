//! The capability token: where a callback runs, and that no lock of this crate is held there.
//!
//! Every callback is given one `&mut Cx`. A lock borrows it mutably for as long as it is held; completing,
//! sending and unparking borrow it too, so none of them can happen under a lock (R-REQ-29, R-CAN-73). The place `P` says
//! which of the calls below make sense there at all, and so which IRQL they may rely on.

use core::marker::PhantomData;

use crate::driver::{self, Driver};

/// Invariant and unnameable: every scope that presents something mints a fresh one.
pub(crate) type Brand<'r> = PhantomData<fn(&'r ()) -> &'r ()>;

/// "This callback runs at place `P` and holds no lock." One per callback; not `Copy`, not `'static`, neither `Send` nor `Sync`.
pub struct Cx<'c, P: Place> {
    brand: Brand<'c>,
    place: PhantomData<P>,
    not_send: PhantomData<*mut ()>,
}

impl<'c, P: Place> Cx<'c, P> {
    /// The same token where it does not matter which callback this is: for code that takes locks, and is there once instead of once for each place.
    pub fn anywhere(&mut self) -> &mut Cx<'c, Anywhere> {
        // SAFETY: a `Cx` is made of markers alone: every place has the same layout, and `Anywhere` can do nothing this place cannot.
        unsafe { &mut *core::ptr::from_mut(self).cast() }
    }

    /// The context of the driver object, if its type is `D`. Stands for `WdfGetDriver` and `WdfObjectGetTypedContext`.
    ///
    /// IRQL: any of the places. The driver object outlives every callback of the driver (R-DEV-08).
    #[must_use]
    pub fn driver<D: Driver>(&self) -> Option<&'c D> {
        driver::context::<D>()
    }
}

impl<'c, P: CanComplete> Cx<'c, P> {
    /// As [`anywhere`](Self::anywhere), for code that completes requests too.
    pub fn completing(&mut self) -> &mut Cx<'c, Completing> {
        // SAFETY: as there; `P` can complete.
        unsafe { &mut *core::ptr::from_mut(self).cast() }
    }
}

impl<'c, P: CanSend> Cx<'c, P> {
    /// As [`anywhere`](Self::anywhere), for code that sends requests too.
    pub fn sending(&mut self) -> &mut Cx<'c, Sending> {
        // SAFETY: as there; `P` can send.
        unsafe { &mut *core::ptr::from_mut(self).cast() }
    }
}

/// Mints the token of one callback. Only the trampolines of this crate call it, each at the place it names.
pub(crate) fn enter<P: Place, R>(f: impl for<'c> FnOnce(&mut Cx<'c, P>) -> R) -> R {
    f(&mut Cx {
        brand: PhantomData,
        place: PhantomData,
        not_send: PhantomData,
    })
}

mod sealed {
    pub trait Sealed {}
}

/// Where a callback runs. Sealed.
pub trait Place: sealed::Sealed + 'static {}
/// Requests may be completed here (IRQL <= `DISPATCH_LEVEL`, R-REQ-13).
pub trait CanComplete: Place {}
/// Requests may be sent down here: the caller's own arrival, or `PASSIVE_LEVEL` (filter rule 1).
pub trait CanSend: CanComplete {}
/// IRQL is `PASSIVE_LEVEL`.
pub trait Passive: Place {}
/// A wait lock may be taken here: `PASSIVE_LEVEL`, and the callback holds none. [`Locked`] is not one of these, so that no
/// wait lock is taken inside another, nor inside itself, which would wait for ever (R-DEV-75).
pub trait CanWait: Passive {}
/// Callbacks may be waited for here: `PASSIVE_LEVEL`, in none of the callbacks that could be meant (R-QUE-83, R-DEV-84, R-DEV-85).
pub trait CanDrain: CanWait {}
/// A place a queue delivers requests at.
pub trait QueuePlace: CanSend {}

macro_rules! places {
    ($($(#[$doc:meta])* $name:ident: $($can:ident)*;)*) => {
        $(
            $(#[$doc])*
            pub enum $name {}
            impl sealed::Sealed for $name {}
            impl Place for $name {}
            $(impl $can for $name {})*
        )*
    };
}

places! {
    /// A request handler of a queue with execution level Dispatch: IRQL <= `DISPATCH_LEVEL`, that of the thread that delivers (R-QUE-65).
    Io: CanComplete CanSend QueuePlace;
    /// A request handler of a queue with execution level Passive (R-QUE-52).
    IoPassive: CanComplete CanSend Passive CanWait QueuePlace;
    /// `EvtRequestCancel` and `EvtIoCanceledOnQueue`: the canceller's thread, IRQL <= `DISPATCH_LEVEL` (R-CAN-42).
    Cancel: CanComplete;
    /// A completion routine: IRQL <= `DISPATCH_LEVEL` (R-TGT-81).
    Done: CanComplete;
    /// `EvtTimerFunc`: `DISPATCH_LEVEL` (R-DEV-82).
    TimerTick: CanComplete;
    /// `EvtTimerFunc` of a timer with execution level Passive (R-DEV-82).
    PassiveTick: CanComplete CanSend Passive CanWait;
    /// `EvtDpcFunc`: `DISPATCH_LEVEL`.
    DpcCall: CanComplete;
    /// `EvtIoQueueState`, of a ready notification or the end of a state change: IRQL <= `DISPATCH_LEVEL`.
    Notify: CanComplete;
    /// `EvtWorkItem`: `PASSIVE_LEVEL`.
    Work: CanComplete CanSend Passive CanWait;
    /// `EvtIoStop`: the power thread or whoever runs the queue, IRQL <= `DISPATCH_LEVEL`.
    Stop: CanComplete;
    /// `EvtIoResume`: the power thread, IRQL <= `DISPATCH_LEVEL` (R-QUE-129).
    Resume: CanComplete;
    /// `PnP` and power callbacks except surprise removal: `PASSIVE_LEVEL` (R-DEV-65).
    Pnp: CanComplete Passive CanWait CanDrain;
    /// `EvtDeviceQueryStop`, `EvtDeviceQueryRemove`, `EvtDeviceUsageNotificationEx`: `PASSIVE_LEVEL`, not serialised with the other
    /// `PnP` callbacks (R-DEV-65), the device in full operation.
    Query: CanComplete Passive CanWait;
    /// `EvtDeviceSurpriseRemoval`: nothing may be completed, canceled or purged there (R-CAN-82).
    SurpriseRemoval: Passive CanWait;
    /// `EvtDeviceFileCreate`, `EvtFileCleanup`, `EvtFileClose`: `PASSIVE_LEVEL` (R-DEV-46).
    FileEvent: CanComplete Passive CanWait;
    /// `EvtIoInCallerContext`: the caller's thread and IRQL (R-DEV-14).
    Caller: CanComplete;
    /// `EvtDeviceWdmIrpPreprocess`: the caller's thread and IRQL.
    Arrival: CanComplete;
    /// `DriverEntry`, `EvtDriverDeviceAdd`, `EvtDriverUnload`: `PASSIVE_LEVEL`.
    Setup: Passive CanWait;
    /// Inside a wait lock: `PASSIVE_LEVEL`, nothing may be completed or sent, no further wait lock taken.
    Locked: Passive;
        /// Not said: see [`Cx::anywhere`]. IRQL <= `DISPATCH_LEVEL`.
    Anywhere:;
    /// Not said, but requests may be completed: see [`Cx::completing`].
    Completing: CanComplete;
    /// Not said, but requests may be sent: see [`Cx::sending`].
    Sending: CanComplete CanSend;
    /// `EvtCleanupCallback` of a context: IRQL <= `DISPATCH_LEVEL`, `PASSIVE_LEVEL` for devices (R-OBJ-19).
    Cleanup:;
}
