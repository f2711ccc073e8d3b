//! Timers.

use wdk_sys::{WDF_TIMER_CONFIG, WDFTIMER, call_unsafe_wdf_function_binding};

use crate::{
    Status,
    clock::{Instant, Span},
    context,
    cx::{self, Cx, Passive, Place, TimerTick},
    device::{self, Device, DeviceContext, NewDevice},
    handler::{self, Stateless},
    lock::SpinLock,
    object::ObjectRef,
};

/// A one-shot timer of a device, its callback at `DISPATCH_LEVEL`. Stands for `WDFTIMER`.
///
/// Deleted with the device, after a running callback has returned (R-DEV-87).
pub struct Timer(ObjectRef);

impl Timer {
    /// `WdfTimerCreate` with the device as parent, not serialised with its queues.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new<D: DeviceContext, R, F>(
        _cx: &Cx<'_, impl Passive>,
        device: &NewDevice<'_, D, R>,
        tick: F,
    ) -> Result<Self, Status>
    where
        F: Fn(&mut Cx<'_, TimerTick>, &Device<D>) + Stateless,
    {
        handler::hand_in(tick);
        let mut config = WDF_TIMER_CONFIG {
            Size: context::size_u32::<WDF_TIMER_CONFIG>(),
            EvtTimerFunc: Some(evt_timer::<D, F>),
            ..WDF_TIMER_CONFIG::default()
        };
        let mut attributes = context::plain_attributes();
        attributes.ParentObject = device.handle().cast();
        let mut timer: WDFTIMER = core::ptr::null_mut();
        // SAFETY: all pointers are to locals; the parent exists.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfTimerCreate,
                &raw mut config,
                &raw mut attributes,
                &raw mut timer
            )
        };
        Status::from_raw(status).ok()?;
        // SAFETY: just created.
        unsafe { ObjectRef::acquire(timer.cast()) }
            .map(Self)
            .ok_or(Status::INSUFFICIENT_RESOURCES)
    }

    /// Runs the callback once after `span`, instead of any earlier setting. Stands for `WdfTimerStart`. IRQL <= `DISPATCH_LEVEL`,
    /// also under a lock: it calls nothing back.
    pub fn start(&self, span: Span) {
        // SAFETY: referenced. Whether it was queued before does not matter here (R-DEV-83).
        let _ = unsafe {
            call_unsafe_wdf_function_binding!(WdfTimerStart, self.0.raw().cast(), span.relative())
        };
    }

    /// Takes back a setting; a callback that has begun goes on. Stands for `WdfTimerStop(FALSE)` (R-DEV-84).
    pub fn stop(&self) {
        // SAFETY: referenced; not waiting is legal at IRQL <= DISPATCH_LEVEL.
        let _ = unsafe { call_unsafe_wdf_function_binding!(WdfTimerStop, self.0.raw().cast(), 0) };
    }
}

unsafe extern "C" fn evt_timer<D: DeviceContext, F>(timer: WDFTIMER)
where
    F: Fn(&mut Cx<'_, TimerTick>, &Device<D>) + Stateless,
{
    // SAFETY: the timer is live during its callback, and so is its parent (R-DEV-88).
    let parent = unsafe { call_unsafe_wdf_function_binding!(WdfTimerGetParentObject, timer) };
    // SAFETY: the parent given at creation is a device.
    let Some(device) = (unsafe { device::borrow::<D>(parent.cast()) }) else {
        return;
    };
    // SAFETY: `new` was given an F.
    let tick: F = unsafe { handler::recall() };
    cx::enter::<TimerTick, _>(|cx| tick(cx, &device));
}

/// A timer that goes off at the earliest of the moments asked for.
///
/// Moments are only ever asked for under its lock, so that a later one cannot push an earlier one away.
pub struct Alarm {
    timer: Timer,
    next: SpinLock<Instant>,
}

impl Alarm {
    /// A timer of the device; `ring` must call [`rang`](Self::rang) first and then ask for whatever is still to come.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new<D: DeviceContext, R, F>(
        cx: &Cx<'_, impl Passive>,
        device: &NewDevice<'_, D, R>,
        ring: F,
    ) -> Result<Self, Status>
    where
        F: Fn(&mut Cx<'_, TimerTick>, &Device<D>) + Stateless,
    {
        Ok(Self {
            timer: Timer::new(cx, device, ring)?,
            next: SpinLock::new(Instant::NEVER)?,
        })
    }

    /// Goes off at `due`, or earlier if that was asked for already. IRQL <= `DISPATCH_LEVEL`.
    pub fn ask(&self, cx: &mut Cx<'_, impl Place>, due: Instant) {
        self.next.with(cx, |next| {
            if due < *next {
                *next = due;
                self.timer.start(due.since(Instant::now()));
            }
        });
    }

    /// It went off: nothing is asked for any more.
    pub fn rang(&self, cx: &mut Cx<'_, impl Place>) {
        self.next.with(cx, |next| *next = Instant::NEVER);
    }
}
