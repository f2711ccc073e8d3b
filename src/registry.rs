//! Which filter devices there are, who observes them, and the control device that lives with them (filter rule 14).

use core::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
};

use wdf::{
    clock::{Instant, Span},
    cx::{Cx, Locked},
    device::{ControlDevice, Device},
};

use crate::{
    Ferry, attention,
    control::{self, Desk},
    device::Crossing,
    events::OBSERVERS,
    telemetry,
};

/// Filter devices a controller can name. More than these are carried, but not controlled: nothing is allocated for them.
const ROOM: usize = 64;

/// How soon a control device that could not be made is tried again, in milliseconds.
const AGAIN_MS: u32 = 50;

/// Number of the next control handle. Never 0, which stands for nobody.
static NEXT_HANDLE: AtomicU64 = AtomicU64::new(1);

/// Devices and handles. Lives under one wait lock, so that a device in it does not go while it is being used.
pub(crate) struct Registry {
    devices: [Option<Device<Crossing>>; ROOM],
    /// All filter devices, those without room above included.
    filters: u32,
    /// Open handles of the control device.
    handles: u32,
    desk: Option<ControlDevice<Desk>>,
    /// The handles that observe; 0: free.
    observers: [u64; OBSERVERS],
    /// Those of them that observe every device, one bit each.
    everywhere: u32,
}

impl Registry {
    pub(crate) const fn new() -> Self {
        Self {
            devices: [const { None }; ROOM],
            filters: 0,
            handles: 0,
            desk: None,
            observers: [0; OBSERVERS],
            everywhere: 0,
        }
    }

    /// A filter device came. The first one brings the control device, if that can be had: a stack without a control is better than none.
    pub(crate) fn add(&mut self, cx: &mut Cx<'_, Locked>, ferry: &Ferry, device: Device<Crossing>) {
        self.filters = self.filters.saturating_add(1);
        let id = device.id;
        observe(&device, self.everywhere, true);
        match self.devices.iter_mut().find(|place| place.is_none()) {
            Some(place) => {
                *place = Some(device);
                telemetry::device_started(id.get(), true);
            }
            // Carried, and no more.
            None => telemetry::device_started(id.get(), false),
        }
        _ = self.make_control(cx, ferry);
    }

    /// Makes the control device if there is none, or says when to try again: the name of an earlier one is free only when its last
    /// reference has gone, which may be a moment after its last handle was closed.
    pub(crate) fn make_control(
        &mut self,
        cx: &mut Cx<'_, Locked>,
        ferry: &Ferry,
    ) -> Option<Instant> {
        if self.desk.is_none() && self.filters != 0 {
            match control::create(cx) {
                Ok(desk) => self.desk = Some(desk),
                Err(status) => telemetry::no_control(status),
            }
        }
        let lacks = self.desk.is_none() && self.filters != 0;
        ferry.lacks_control.store(lacks, Ordering::Release);
        lacks.then(|| Instant::now().after(Span::from_millis(AGAIN_MS)))
    }

    /// A filter device goes. If it is the last one and the control device stays, nobody is left to wait for there: the device whose waits are
    /// to be ended.
    pub(crate) fn remove(
        &mut self,
        cx: &mut Cx<'_, Locked>,
        id: NonZeroU32,
    ) -> Option<Device<Desk>> {
        for place in &mut self.devices {
            if place.as_ref().is_some_and(|device| device.id == id) {
                *place = None;
            }
        }
        telemetry::device_gone(id.get());
        self.filters = self.filters.saturating_sub(1);
        self.close_up(cx);
        self.desk().filter(|_| self.filters == 0)
    }

    /// Whether there is a filter device.
    pub(crate) const fn has_filters(&self) -> bool {
        self.filters != 0
    }

    /// The control device.
    pub(crate) fn desk(&self) -> Option<Device<Desk>> {
        self.desk.as_ref().map(|desk| desk.device().clone())
    }

    /// A controller came; the number of its handle. Nothing if the control device is being deleted.
    pub(crate) fn open(&mut self) -> Option<u64> {
        self.desk.as_ref()?;
        self.handles = self.handles.saturating_add(1);
        Some(NEXT_HANDLE.fetch_add(1, Ordering::Relaxed))
    }

    /// A controller's handle was closed: what it had set ends, and what that kept is released (filter rule 13).
    pub(crate) fn forget(&mut self, cx: &mut Cx<'_, Locked>, owner: u64) {
        if let Some(at) = self.observer(owner) {
            let bit = bit(at);
            self.everywhere &= !bit;
            for device in self.devices() {
                observe(device, bit, false);
            }
            if let Some(place) = self.observers.get_mut(at) {
                *place = 0;
            }
        }
        for device in self.devices() {
            device.end_rules(cx, |rule| rule.owner == owner);
            device.forget_settings_of(owner);
        }
    }

    /// Where a handle is among the observers.
    pub(crate) fn observer(&self, owner: u64) -> Option<usize> {
        self.observers.iter().position(|handle| *handle == owner)
    }

    /// A handle begins to observe a device, or all of them; where it is among the observers, if there is room.
    pub(crate) fn begin_to_observe(&mut self, owner: u64, device: Option<u32>) -> Option<usize> {
        let at = self.observer(owner).or_else(|| self.observer(0))?;
        if let Some(place) = self.observers.get_mut(at) {
            *place = owner;
        }
        if device.is_none() {
            self.everywhere |= bit(at);
        }
        for each in self.devices() {
            if device.is_none_or(|id| id == each.id.get()) {
                observe(each, bit(at), true);
            }
        }
        Some(at)
    }

    /// A handle observes a device, or any of them, no longer. It keeps its place, and its events until then.
    pub(crate) fn end_to_observe(&mut self, owner: u64, device: Option<u32>) {
        let Some(at) = self.observer(owner) else {
            return;
        };
        self.everywhere &= if device.is_none() { !bit(at) } else { u32::MAX };
        for each in self.devices() {
            if device.is_none_or(|id| id == each.id.get()) {
                observe(each, bit(at), false);
            }
        }
    }

    /// A controller is gone for good.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_, Locked>) {
        self.handles = self.handles.saturating_sub(1);
        self.close_up(cx);
    }

    /// The devices a controller can name.
    pub(crate) fn devices(&self) -> impl Iterator<Item = &Device<Crossing>> {
        self.devices.iter().flatten()
    }

    /// The device of that number.
    pub(crate) fn find(&self, id: u32) -> Option<&Device<Crossing>> {
        self.devices().find(|device| device.id.get() == id)
    }

    /// The control device goes with the last filter and the last handle: the driver could not be unloaded otherwise (R-DEV-34).
    fn close_up(&mut self, cx: &Cx<'_, Locked>) {
        if self.filters == 0
            && self.handles == 0
            && let Some(desk) = self.desk.take()
        {
            desk.delete(cx);
        }
    }
}

fn bit(observer: usize) -> u32 {
    u32::try_from(observer).map_or(0, |at| 1u32.wrapping_shl(at))
}

/// Those observers observe that device, or no longer.
fn observe(device: &Crossing, bits: u32, on: bool) {
    let before = if on {
        device.observers.fetch_or(bits, Ordering::AcqRel)
    } else {
        device.observers.fetch_and(!bits, Ordering::AcqRel)
    };
    let after = if on { before | bits } else { before & !bits };
    device.attention.set(attention::OBSERVED, after != 0);
}

impl Crossing {
    /// Ends the rules `ends` names, and lets go of what they kept; how many.
    pub(crate) fn end_rules(
        &self,
        cx: &mut Cx<'_, Locked>,
        ends: impl Fn(&crate::rules::Verdict) -> bool,
    ) -> u32 {
        let rules = &self.shelf.rules;
        let delay = ferry_abi::control::Action::Delay.code();
        let delays = rules
            .list(cx)
            .any(|rule| ends(&rule) && rule.action == delay);
        let ended = rules.end(cx, ends);
        if ended != 0 {
            telemetry::rules_ended(self.id.get(), ended);
            self.attention.set(attention::RULES, rules.count() != 0);
            if delays {
                self.make_due(cx);
            }
            self.pump.wake();
        }
        ended
    }
}
