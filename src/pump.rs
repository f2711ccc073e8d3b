//! The pump: the one place that sends what has waited, at `PASSIVE_LEVEL`, one run at a time per device (filter rules 1 and 2).
//!
//! Alarm, controls and handlers only wake it. A request that completes inside a send wakes nothing: the loops in [`hold::drain`],
//! [`delay::drain`], [`limit::drain`] and [`split::drain`] go on, so the stack does not grow with what waits.

use core::sync::atomic::{AtomicU32, Ordering};

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
    /// Counts the looks, for whose turn it is.
    turn: AtomicU32,
    work: WorkItem,
}

impl Pump {
    pub(crate) fn new<R>(
        cx: &Cx<'_, impl Passive>,
        device: &NewDevice<'_, Crossing, R>,
    ) -> Result<Self, Status> {
        Ok(Self {
            wakes: Wakes::default(),
            turn: AtomicU32::new(0),
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
        // Whoever looks first gets the room there is below. By turns, or those that are due after a delay, and what their handles send behind
        // them, would keep all others from going for as long as programs are busy.
        let [first, second] = match device.pump.turn.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => [delay::drain(cx, device), limit::drain(cx, device)],
            1 => [limit::drain(cx, device), delay::drain(cx, device)],
            _ => {
                hold::drain(cx, device);
                [limit::drain(cx, device), delay::drain(cx, device)]
            }
        };
        // Held last in any case: what waits there may wait for the others of its handle.
        let next = [first, second, hold::drain(cx, device), house_keeping(cx)]
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
