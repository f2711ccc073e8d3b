//! Which filter devices there are, and the control device that lives with them (filter rule 14).

use core::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
};

use wdf::{
    clock::Instant,
    cx::{Cx, Locked},
    device::{ControlDevice, Device},
    trace,
};

use crate::{
    control::{self, Desk},
    device::Crossing,
};

/// Filter devices a controller can name. More than these are carried, but not controlled: nothing is allocated for them.
const ROOM: usize = 64;

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
}

impl Registry {
    pub(crate) const fn new() -> Self {
        Self {
            devices: [const { None }; ROOM],
            filters: 0,
            handles: 0,
            desk: None,
        }
    }

    /// A filter device came. The first one brings the control device, if that can be had: a stack without a control is better than none.
    pub(crate) fn add(&mut self, cx: &mut Cx<'_, Locked>, device: Device<Crossing>) {
        self.filters = self.filters.saturating_add(1);
        let id = device.id;
        match self.devices.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(device),
            None => trace!(
                "ferry: device {id} is carried but cannot be controlled: {ROOM} others are there"
            ),
        }
        if self.desk.is_none() {
            match control::create(cx) {
                Ok(desk) => self.desk = Some(desk),
                Err(status) => trace!("ferry: no control device: {status}"),
            }
        }
    }

    /// A filter device goes.
    pub(crate) fn remove(&mut self, cx: &mut Cx<'_, Locked>, id: NonZeroU32) {
        for place in &mut self.devices {
            if place.as_ref().is_some_and(|device| device.id == id) {
                *place = None;
            }
        }
        self.filters = self.filters.saturating_sub(1);
        self.close_up(cx);
    }

    /// A controller came; the number of its handle. Nothing if the control device is being deleted.
    pub(crate) fn open(&mut self) -> Option<u64> {
        self.desk.as_ref()?;
        self.handles = self.handles.saturating_add(1);
        Some(NEXT_HANDLE.fetch_add(1, Ordering::Relaxed))
    }

    /// A controller's handle was closed: its rules end and what they kept is released (filter rule 13).
    pub(crate) fn forget_rules_of(&mut self, cx: &mut Cx<'_, Locked>, owner: u64) {
        for device in self.devices() {
            if device.hold.is_of(owner) {
                device.hold.end();
            }
            if device.delay.is_of(owner) {
                device.delay.end();
                // What is parked now, and not what a next rule may park before the pump runs.
                device.delayed.make_due(cx, Instant::now());
            }
            device.pump.wake();
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
