//! The pump: the one place that sends what has waited, at `PASSIVE_LEVEL`, one run at a time per device (filter rules 1 and 2).
//!
//! Alarm, controls and handlers only wake it. A request that completes inside a send wakes nothing: the loops in [`hold::drain`],
//! [`delay::drain`], [`limit::drain`] and [`split::drain`] go on, so the stack does not grow with what waits.

use core::sync::atomic::Ordering;

use wdf::{
    Status,
    cx::{Cx, Passive, TimerTick, Work},
    device::{Device, NewDevice},
    work_item::WorkItem,
};

use crate::{Ferry, delay, device::Crossing, hold, limit, split, wakes::Wakes, watch};

/// Wakes and serialises the runs: two never overlap, although the framework would let them.
pub(crate) struct Pump {
    wakes: Wakes,
    work: WorkItem,
}

impl Pump {
    pub(crate) fn new<R>(
        cx: &Cx<'_, impl Passive>,
        device: &NewDevice<'_, Crossing, R>,
    ) -> Result<Self, Status> {
        Ok(Self {
            wakes: Wakes::default(),
            work: WorkItem::new(cx, device, run)?,
        })
    }

    /// Has the device looked at soon. IRQL <= `DISPATCH_LEVEL`.
    pub(crate) fn wake(&self) {
        if self.wakes.wake() {
            self.work.enqueue();
        }
    }
}

/// The alarm: something is due.
pub(crate) fn alarm(cx: &mut Cx<'_, TimerTick>, device: &Device<Crossing>) {
    device.alarm.rang(cx);
    device.pump.wake();
}

/// The work item.
fn run(cx: &mut Cx<'_, Work>, device: &Device<Crossing>) {
    loop {
        device.pump.wakes.look();
        split::drain(cx, device);
        // Held last: what waits there may wait for the others of its handle.
        let next = [
            delay::drain(cx, device),
            limit::drain(cx, device),
            hold::drain(cx, device),
            house_keeping(cx),
        ]
        .into_iter()
        .flatten()
        .min();
        if let Some(due) = next {
            device.alarm.ask(cx, due);
        }
        if device.pump.wakes.rest() {
            return;
        }
    }
}

/// What a pump does for the driver: it answers the waits of controllers, and makes the control device if it could not be made before.
fn house_keeping(cx: &mut Cx<'_, Work>) -> Option<wdf::clock::Instant> {
    let ferry = cx.driver::<Ferry>()?;
    let again = if ferry.lacks_control() {
        ferry
            .registry
            .with(cx, |registry, cx| registry.make_control(cx, ferry))
    } else {
        None
    };
    if ferry.events.pended.load(Ordering::SeqCst) != 0
        && let Some(desk) = ferry.registry.with(cx, |registry, _| registry.desk())
    {
        watch::answer_all(cx, ferry, &desk);
    }
    again
}
