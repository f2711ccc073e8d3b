//! Timers.

use wdk_sys::{
    _WDF_EXECUTION_LEVEL::{WdfExecutionLevelInheritFromParent, WdfExecutionLevelPassive},
    PFN_WDF_TIMER, WDF_TIMER_CONFIG, WDFTIMER, call_unsafe_wdf_function_binding,
};

use crate::{
    Status,
    clock::{Instant, Span},
    context,
    cx::{self, CanDrain, Cx, Passive, PassiveTick, Place, TimerTick},
    device::{self, Device, DeviceContext, NewDevice},
    handler::{self, Stateless},
    lock::SpinLock,
    object::{self, ObjectRef},
};

/// A timer of a device. Stands for `WDFTIMER`. Deleted with the device, after a running callback has returned (R-DEV-87); nothing happens to one
/// that is kept longer.
pub struct Timer(ObjectRef);

impl Timer {
    /// A one-shot timer with its callback at `DISPATCH_LEVEL`. Stands for `WdfTimerCreate` with the device as parent, not serialised with its queues.
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
        create(
            device,
            Some(evt_timer::<D, TimerTick, F>),
            0,
            WdfExecutionLevelInheritFromParent,
        )
    }

    /// A timer that goes off again every `period` once it is started, at `DISPATCH_LEVEL` (R-DEV-82). The period counts in whole milliseconds.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for a period above 2^31 - 1 ms; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn periodic<D: DeviceContext, R, F>(
        _cx: &Cx<'_, impl Passive>,
        device: &NewDevice<'_, D, R>,
        period: Span,
        tick: F,
    ) -> Result<Self, Status>
    where
        F: Fn(&mut Cx<'_, TimerTick>, &Device<D>) + Stateless,
    {
        handler::hand_in(tick);
        create(
            device,
            Some(evt_timer::<D, TimerTick, F>),
            period.millis().max(1),
            WdfExecutionLevelInheritFromParent,
        )
    }

    /// A one-shot timer with its callback at `PASSIVE_LEVEL`, through a work item of the framework (R-DEV-82).
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn passive<D: DeviceContext, R, F>(
        _cx: &Cx<'_, impl Passive>,
        device: &NewDevice<'_, D, R>,
        tick: F,
    ) -> Result<Self, Status>
    where
        F: Fn(&mut Cx<'_, PassiveTick>, &Device<D>) + Stateless,
    {
        handler::hand_in(tick);
        create(
            device,
            Some(evt_timer::<D, PassiveTick, F>),
            0,
            WdfExecutionLevelPassive,
        )
    }

    /// Runs the callback after `span`, instead of any earlier setting. Stands for `WdfTimerStart`. IRQL <= `DISPATCH_LEVEL`,
    /// also under a lock: it calls nothing back.
    pub fn start(&self, span: Span) {
        if !self.0.is_live() {
            return;
        }
        // SAFETY: referenced and live. Whether it was queued before does not matter here (R-DEV-83).
        let _ = unsafe {
            call_unsafe_wdf_function_binding!(WdfTimerStart, self.0.raw().cast(), span.relative())
        };
    }

    /// Takes back a setting; a callback that has begun goes on. Stands for `WdfTimerStop(FALSE)` (R-DEV-84).
    pub fn stop(&self) {
        if !self.0.is_live() {
            return;
        }
        // SAFETY: referenced and live; not waiting is legal at IRQL <= DISPATCH_LEVEL.
        let _ = unsafe { call_unsafe_wdf_function_binding!(WdfTimerStop, self.0.raw().cast(), 0) };
    }

    /// Takes back a setting and waits for a callback that has begun. Stands for `WdfTimerStop(TRUE)`, `PASSIVE_LEVEL`; the place rules out that
    /// it is the timer's own callback (R-DEV-84).
    pub fn stop_and_wait(&self, _cx: &mut Cx<'_, impl CanDrain>) {
        if !self.0.is_live() {
            return;
        }
        // SAFETY: referenced and live; PASSIVE_LEVEL, not in a timer's callback (the token).
        let _ = unsafe { call_unsafe_wdf_function_binding!(WdfTimerStop, self.0.raw().cast(), 1) };
    }
}

/// `WdfTimerCreate`.
fn create<D: DeviceContext, R>(
    device: &NewDevice<'_, D, R>,
    callback: PFN_WDF_TIMER,
    period: u32,
    level: wdk_sys::WDF_EXECUTION_LEVEL,
) -> Result<Timer, Status> {
    let mut config = WDF_TIMER_CONFIG {
        Size: context::size_u32::<WDF_TIMER_CONFIG>(),
        EvtTimerFunc: callback,
        Period: period,
        ..WDF_TIMER_CONFIG::default()
    };
    let mut attributes = object::attributes(device.handle().cast());
    attributes.ExecutionLevel = level;
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
        .map(Timer)
        .ok_or(Status::INSUFFICIENT_RESOURCES)
}

unsafe extern "C" fn evt_timer<D: DeviceContext, P: Place, F>(timer: WDFTIMER)
where
    F: Fn(&mut Cx<'_, P>, &Device<D>) + Stateless,
{
    // SAFETY: the timer is live during its callback, and so is its parent (R-DEV-88).
    let parent = unsafe { call_unsafe_wdf_function_binding!(WdfTimerGetParentObject, timer) };
    // SAFETY: the parent given at creation is a device.
    let Some(device) = (unsafe { device::borrow::<D>(parent.cast()) }) else {
        return;
    };
    // SAFETY: the constructor was given an F.
    let tick: F = unsafe { handler::recall() };
    cx::enter::<P, _>(|cx| tick(cx, &device));
}

/// A timer that goes off at the earliest of the moments asked for.
///
/// Moments are only ever asked for under its lock, so that a later one cannot push an earlier one away. A driver that asks from its request
/// handlers, work items or the ring itself ends the alarm with [`close`](Self::close) while its device is being removed: a timer that is
/// being deleted must not be started (R-CHK-36), and such a caller cannot know.
pub struct Alarm {
    timer: Timer,
    next: SpinLock<Next>,
}

/// What an alarm waits for.
struct Next {
    /// When it goes off.
    due: Instant,
    /// It never goes off again.
    closed: bool,
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
            next: SpinLock::new(Next {
                due: Instant::NEVER,
                closed: false,
            })?,
        })
    }

    /// Goes off at `due`, or earlier if that was asked for already; never once it is closed. IRQL <= `DISPATCH_LEVEL`.
    pub fn ask(&self, cx: &mut Cx<'_, impl Place>, due: Instant) {
        self.next.with(cx, |next| {
            if due < next.due && !next.closed {
                next.due = due;
                self.timer.start(due.since(Instant::now()));
            }
        });
    }

    /// It went off: nothing is asked for any more.
    pub fn rang(&self, cx: &mut Cx<'_, impl Place>) {
        self.next.with(cx, |next| next.due = Instant::NEVER);
    }

    /// Nothing is asked for any more, from whatever thread: the device is being removed. Call it in `EvtDeviceSelfManagedIoFlush`, which comes
    /// before the device and its timers are deleted. Stands for `WdfTimerStop(FALSE)`; a ring that has begun goes on. IRQL <= `DISPATCH_LEVEL`.
    pub fn close(&self, cx: &mut Cx<'_, impl Place>) {
        self.next.with(cx, |next| {
            next.closed = true;
            self.timer.stop();
        });
    }
}
