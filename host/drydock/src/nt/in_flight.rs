//! Which IRPs exist and which driver has each: for what must be true when a device is removed, and for the report of a run that
//! stands still. Kept only where the settings ask for it.

use super::abi::{Address, DeviceObject, IO_TYPE_IRP, Irp, at, mj};
use super::irp;
use super::object::{self, Kind};
use crate::sched::Lock;
use crate::verify;
use std::collections::BTreeMap;

/// By address; the value counts up, so that a list is in the order of allocation.
static IRPS: Lock<(u64, BTreeMap<usize, u64>)> = Lock::new((0, BTreeMap::new()));

/// An IRP that a driver has.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// The device whose driver has it.
    pub device: Address<DeviceObject>,
    /// The driver's name.
    pub driver: String,
    /// IRP_MJ_*.
    pub major: u8,
    /// IRP_MN_*, or the control code of a device control.
    pub minor: u32,
    /// IoCancelIrp was called for it.
    pub canceled: bool,
}

impl std::fmt::Display for InFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let canceled = if self.canceled { ", canceled" } else { "" };
        write!(
            f,
            "{} ({:#x}){canceled} with {}",
            mj::name(self.major),
            self.minor,
            self.driver
        )
    }
}

#[inline]
pub(super) fn begin(irp: *mut Irp) {
    if verify::settings().track_requests {
        let mut irps = IRPS.lock();
        irps.0 += 1;
        let serial = irps.0;
        irps.1.insert(irp as usize, serial);
    }
}

#[inline]
pub(super) fn end(irp: *mut Irp) {
    if verify::settings().track_requests {
        IRPS.lock().1.remove(&(irp as usize));
    }
}

/// The name of a device's driver; a driver may have deleted the device and still have requests for it.
fn driver_of(device: *mut DeviceObject) -> String {
    match object::kind_of(device.cast()) {
        Some(Kind::Device) => at(at(device).driver_object.get()).driver_name.text(),
        _ => "the driver of a device that is deleted".to_owned(),
    }
}

/// The driver that has the IRP. None: nobody does, it was not sent yet or is back.
fn holder(irp: *mut Irp) -> Option<InFlight> {
    let view = at(irp);
    let location = view.current_location.get();
    if view.kind.get() != IO_TYPE_IRP || location < 1 || location > view.stack_count.get() {
        return None;
    }
    let location = irp::current(irp);
    let device = location.device_object.get();
    if device.is_null() {
        return None;
    }
    let major = location.major_function.get();
    let minor = match major {
        mj::DEVICE_CONTROL | mj::INTERNAL_DEVICE_CONTROL => location.parameters[2].get() as u32,
        _ => location.minor_function.get().into(),
    };
    Some(InFlight {
        device: Address(device),
        driver: driver_of(device),
        major,
        minor,
        canceled: view.cancel.get() != 0,
    })
}

/// All IRPs that drivers have, the oldest first.
pub fn all() -> Vec<InFlight> {
    let mut irps: Vec<(u64, usize)> = {
        let irps = IRPS.lock();
        irps.1.iter().map(|(irp, serial)| (*serial, *irp)).collect()
    };
    irps.sort_unstable();
    irps.into_iter()
        .filter_map(|(_, irp)| holder(irp as *mut Irp))
        .collect()
}

/// Where an IRP is, in words.
pub(super) fn whereabouts(irp: *mut Irp) -> String {
    match holder(irp) {
        Some(held) => format!("{} has", held.driver),
        None => "is on its way back".to_owned(),
    }
}

/// The IRPs of a device stack that drivers still have, as the end of a sentence; empty where they are not tracked.
pub(super) fn list() -> String {
    let all = all();
    let shown: Vec<String> = all.iter().take(8).map(ToString::to_string).collect();
    match all.len() {
        0 => String::new(),
        count if count <= 8 => format!(": {}", shown.join("; ")),
        count => format!(": {}; and {} more", shown.join("; "), count - 8),
    }
}

/// For the report of a run that stands still.
pub(super) fn overview() -> Vec<String> {
    all().iter().map(ToString::to_string).collect()
}
