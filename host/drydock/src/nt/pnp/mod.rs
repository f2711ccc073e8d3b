//! Plug and play: device nodes, their stacks, and the requests that start, stop and remove them.
//!
//! A [`DevNode`] owns a stack from its creation (the physical device object of the root bus, then AddDevice of each driver, from the bottom
//! up) to its removal. REMOVE_DEVICE goes down when no handle to a device of the stack is open any more.

mod bus;
mod interface;
pub mod notify;
pub mod power;
mod property;

pub use interface::{Guid, interfaces, register_interface, set_interface_state};
pub use power::{DevicePower, SystemPower};
pub use property::property;

use self::notify::Change;
use super::abi::{Address, DeviceObject, DriverObject, IoStackLocation, at, mj, mn};
use super::status::NtStatus;
use super::{callout, device, in_flight, irp, object, thread, workitem};
use crate::sched::{Event, Lock};
use crate::verify;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// Which drivers a device gets.
#[derive(Clone, Debug)]
pub struct DevNodeConfig {
    /// The instance id, such as `ROOT\SAMPLE\0000`.
    pub instance: String,
    /// Hardware ids, most specific first.
    pub hardware_ids: Vec<String>,
    /// Filters below the function driver, lowest first.
    pub lower_filters: Vec<Address<DriverObject>>,
    /// The function driver; none leaves a raw physical device.
    pub function: Option<Address<DriverObject>>,
    /// Filters above the function driver, lowest first.
    pub upper_filters: Vec<Address<DriverObject>>,
}

impl DevNodeConfig {
    /// A device with a function driver and filters above it.
    pub fn new(instance: &str, function: *mut DriverObject, upper: &[*mut DriverObject]) -> Self {
        let id = instance.rsplit_once('\\').map_or(instance, |(id, _)| id);
        Self {
            instance: instance.to_owned(),
            hardware_ids: vec![id.to_owned()],
            lower_filters: Vec::new(),
            function: Some(Address(function)),
            upper_filters: upper.iter().map(|driver| Address(*driver)).collect(),
        }
    }

    fn drivers(&self) -> impl Iterator<Item = Address<DriverObject>> {
        self.lower_filters
            .iter()
            .chain(&self.function)
            .chain(&self.upper_filters)
            .copied()
    }
}

/// Where a device is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its stack is built; it was never started.
    Added,
    /// It works.
    Started,
    /// A stop was asked for and agreed to.
    StopPending,
    /// It was stopped, to be started again.
    Stopped,
    /// A removal was asked for and agreed to.
    RemovePending,
    /// The hardware is gone; REMOVE_DEVICE waits for open handles.
    SurpriseRemoved,
    /// It is gone.
    Removed,
}

/// A device node: the stack of one device.
pub struct DevNode {
    config: DevNodeConfig,
    physical: Address<DeviceObject>,
    state: Lock<State>,
    removed: Event,
}

/// The nodes that are not removed, by the address of their physical device.
static NODES: Lock<BTreeMap<usize, Weak<DevNode>>> = Lock::new(BTreeMap::new());

impl DevNode {
    /// Makes the physical device and calls AddDevice of each driver. If one fails, what was built is removed again.
    pub fn create(config: DevNodeConfig) -> Result<Arc<Self>, NtStatus> {
        let physical = bus::create_physical(&config)?;
        let node = Arc::new(Self {
            config,
            physical: Address(physical),
            state: Lock::new(State::Added),
            removed: Event::new(true, false),
        });
        NODES
            .lock()
            .insert(physical as usize, Arc::downgrade(&node));
        for driver in node.config.drivers() {
            let view = at(driver.0);
            let Some(add_device) = at(view.driver_extension.get()).add_device.get() else {
                node.finish_remove();
                return Err(NtStatus::INVALID_DEVICE_REQUEST);
            };
            let status = callout::add_device(add_device, driver.0, physical);
            if !status.is_success() {
                node.finish_remove();
                return Err(status);
            }
        }
        Ok(node)
    }

    /// The physical device object.
    pub fn physical(&self) -> *mut DeviceObject {
        self.physical.0
    }

    /// The device on top of the stack.
    pub fn top(&self) -> *mut DeviceObject {
        device::attached_top(self.physical.0)
    }

    /// Where the device is in its life.
    pub fn state(&self) -> State {
        *self.state.lock()
    }

    /// The instance id.
    pub fn instance(&self) -> &str {
        &self.config.instance
    }

    /// The devices of the stack, the physical device first.
    pub fn devices(&self) -> Vec<Address<DeviceObject>> {
        let mut device = self.physical.0;
        let mut devices = Vec::new();
        while !device.is_null() {
            devices.push(Address(device));
            device = at(device).attached_device.get();
        }
        devices
    }

    /// Open files on any device of the stack.
    pub fn open_files(&self) -> i32 {
        let mut device = self.physical.0;
        let mut count = 0;
        while !device.is_null() {
            let view = at(device);
            count += view.reference_count.load(Ordering::Acquire);
            device = view.attached_device.get();
        }
        count
    }

    fn send(&self, minor: u8, fill: impl FnOnce(&IoStackLocation)) -> NtStatus {
        thread::require_at_most(thread::PASSIVE_LEVEL, "a PnP request");
        let top = self.top();
        let irp = irp::allocate(at(top).stack_size.get());
        at(irp).io_status.status.set(NtStatus::NOT_SUPPORTED);
        let next = irp::next(irp);
        next.major_function.set(mj::PNP);
        next.minor_function.set(minor);
        fill(next);
        let status = irp::send_and_wait(top, irp);
        irp::free(irp);
        status
    }

    fn transition(&self, from: &[State], to: State) -> Result<State, NtStatus> {
        let mut state = self.state.lock();
        if !from.contains(&state) {
            return Err(NtStatus::INVALID_DEVICE_STATE);
        }
        Ok(std::mem::replace(&mut *state, to))
    }

    /// IRP_MN_START_DEVICE and the queries that follow it. A device that fails to start is removed; one that was started before is
    /// as if its hardware had been pulled.
    pub fn start(&self) -> Result<(), NtStatus> {
        let before = self.state();
        if !matches!(before, State::Added | State::Stopped) {
            return Err(NtStatus::INVALID_DEVICE_STATE);
        }
        let status = self.send(mn::START_DEVICE, |_| {});
        if !status.is_success() {
            if before == State::Stopped {
                // It was in use before: handles may be open.
                self.surprise_remove()?;
            } else {
                self.finish_remove();
            }
            return Err(status);
        }
        self.transition(&[before], State::Started)?;
        bus::query_capabilities(|fill| self.send(mn::QUERY_CAPABILITIES, fill));
        let _ = self.send(mn::QUERY_PNP_DEVICE_STATE, |_| {});
        let _ = self.send(mn::QUERY_DEVICE_RELATIONS, |_| {});
        Ok(())
    }

    /// The bus fails the next start: what was stopped for a change of resources does not get them.
    pub fn fail_next_start(&self) {
        bus::fail_next_start(self.physical.0);
    }

    /// IRP_MN_QUERY_STOP_DEVICE; a refusal is withdrawn by IRP_MN_CANCEL_STOP_DEVICE.
    pub fn query_stop(&self) -> Result<(), NtStatus> {
        self.transition(&[State::Started], State::StopPending)?;
        let status = self.send(mn::QUERY_STOP_DEVICE, |_| {});
        if !status.is_success() {
            return self.cancel_stop().and(Err(status));
        }
        Ok(())
    }

    /// IRP_MN_CANCEL_STOP_DEVICE.
    pub fn cancel_stop(&self) -> Result<(), NtStatus> {
        self.transition(&[State::StopPending], State::Started)?;
        self.send(mn::CANCEL_STOP_DEVICE, |_| {}).ok()
    }

    /// IRP_MN_STOP_DEVICE, after a query that was agreed to.
    pub fn stop(&self) -> Result<(), NtStatus> {
        if self.state() == State::Started {
            self.query_stop()?;
        }
        self.transition(&[State::StopPending], State::Stopped)?;
        self.send(mn::STOP_DEVICE, |_| {}).ok()
    }

    /// Stops the device and starts it again, as for a change of resources.
    pub fn restart(&self) -> Result<(), NtStatus> {
        self.stop()?;
        self.start()
    }

    /// IRP_MN_QUERY_REMOVE_DEVICE, after everyone with a file on the device was asked. Refused by a driver, or because a
    /// handle is open (STATUS_DEVICE_BUSY): withdrawn.
    pub fn query_remove(&self) -> Result<(), NtStatus> {
        let before = self.state();
        self.transition(&[State::Started, State::Stopped], State::RemovePending)?;
        if let Err(status) = notify::query_remove(self.physical.0) {
            self.transition(&[State::RemovePending], before)?;
            return Err(status);
        }
        let mut status = self.send(mn::QUERY_REMOVE_DEVICE, |_| {});
        if status.is_success() && self.open_files() > 0 {
            status = NtStatus::DEVICE_BUSY;
        }
        if !status.is_success() {
            let _ = self.send(mn::CANCEL_REMOVE_DEVICE, |_| {});
            self.transition(&[State::RemovePending], before)?;
            notify::tell(self.physical.0, Change::RemoveCanceled);
        }
        status.ok()
    }

    /// IRP_MN_CANCEL_REMOVE_DEVICE, after a query that was agreed to.
    pub fn cancel_remove(&self) -> Result<(), NtStatus> {
        self.transition(&[State::RemovePending], State::Started)?;
        let status = self.send(mn::CANCEL_REMOVE_DEVICE, |_| {});
        notify::tell(self.physical.0, Change::RemoveCanceled);
        status.ok()
    }

    /// Removes the device in order: the query, then IRP_MN_REMOVE_DEVICE.
    pub fn remove(&self) -> Result<(), NtStatus> {
        match self.state() {
            State::Started | State::Stopped => self.query_remove()?,
            State::Added | State::RemovePending => {}
            _ => return Err(NtStatus::INVALID_DEVICE_STATE),
        }
        self.finish_remove();
        notify::tell(self.physical.0, Change::RemoveComplete);
        Ok(())
    }

    /// The hardware is pulled: IRP_MN_SURPRISE_REMOVAL now, IRP_MN_REMOVE_DEVICE when the last handle is closed.
    pub fn surprise_remove(&self) -> Result<(), NtStatus> {
        self.transition(
            &[
                State::Started,
                State::Stopped,
                State::StopPending,
                State::RemovePending,
            ],
            State::SurpriseRemoved,
        )?;
        // Whoever closes the last handle meanwhile has the stack removed, and its devices are looked at below.
        let devices = self.devices();
        for device in &devices {
            object::reference(device.get().cast());
        }
        let _ = self.send(mn::SURPRISE_REMOVAL, |_| {});
        notify::tell(self.physical.0, Change::RemoveComplete);
        if self.open_files() == 0 {
            self.remove_surprised();
        }
        for device in devices {
            object::dereference(object::Kind::Device, device.get().cast());
        }
        Ok(())
    }

    fn remove_surprised(&self) {
        if self
            .transition(&[State::SurpriseRemoved], State::RemovePending)
            .is_ok()
        {
            self.finish_remove();
        }
    }

    /// Waits until the device is gone.
    pub fn wait_removed(&self) {
        self.removed.wait();
    }

    /// IRP_MN_REMOVE_DEVICE, and the end of the physical device.
    fn finish_remove(&self) {
        let stack = self.devices();
        let status = self.send(mn::REMOVE_DEVICE, |_| {});
        let left: Vec<String> = in_flight::all()
            .into_iter()
            .filter(|irp| stack.contains(&irp.device))
            .map(|irp| irp.to_string())
            .collect();
        if !left.is_empty() {
            verify::violation(
                "NT-PNP-03",
                format!(
                    "IRP_MN_REMOVE_DEVICE is completed and drivers of the stack still have {} request(s): {}",
                    left.len(),
                    left.join("; ")
                ),
            );
        }
        if !status.is_success() {
            verify::violation(
                "NT-PNP-01",
                format!(
                    "IRP_MN_REMOVE_DEVICE was completed with {status}; a driver must not fail it"
                ),
            );
        }
        let left = at(self.physical.0).attached_device.get();
        if !left.is_null() {
            verify::violation(
                "NT-PNP-02",
                format!(
                    "the driver {} has handled IRP_MN_REMOVE_DEVICE and is still attached to the stack",
                    at(at(left).driver_object.get()).driver_name.text()
                ),
            );
        }
        interface::remove_all(self.physical.0);
        *self.state.lock() = State::Removed;
        // Before the physical device goes: its address may be another's from then on.
        NODES.lock().remove(&(self.physical.0 as usize));
        bus::delete_physical(self.physical.0);
        self.removed.set();
    }

    /// IRP_MN_DEVICE_USAGE_NOTIFICATION: `kind` is a DEVICE_USAGE_NOTIFICATION_TYPE.
    pub fn usage_notification(&self, kind: u32, in_path: bool) -> NtStatus {
        self.send(mn::DEVICE_USAGE_NOTIFICATION, |next| {
            next.parameters[0].set(in_path.into());
            next.parameters[1].set(kind.into());
        })
    }

    /// Asks the stack (IRP_MN_QUERY_POWER) and then puts it (IRP_MN_SET_POWER) into a system power state.
    pub fn system_power(&self, state: SystemPower) -> Result<(), NtStatus> {
        power::set_system(self.top(), state)
    }
}

impl std::fmt::Debug for DevNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DevNode({}, {:?})", self.config.instance, self.state())
    }
}

/// True if the driver has a device in any stack.
pub fn uses(driver: *mut DriverObject) -> bool {
    nodes().iter().any(|node| {
        node.state() != State::Removed && node.config.drivers().any(|other| other.0 == driver)
    })
}

/// All device nodes that are not removed, by the address of their physical device.
pub fn nodes() -> Vec<Arc<DevNode>> {
    NODES.lock().values().filter_map(Weak::upgrade).collect()
}

/// The instance id of a physical device.
pub fn instance(physical: *mut DeviceObject) -> Option<String> {
    bus::ids(physical).map(|(instance, _)| instance)
}

/// The hardware ids of a physical device.
pub fn hardware_ids(physical: *mut DeviceObject) -> Option<Vec<String>> {
    bus::ids(physical).map(|(_, ids)| ids)
}

/// The device node whose physical device this is.
pub fn node_of(physical: *mut DeviceObject) -> Option<Arc<DevNode>> {
    NODES
        .lock()
        .get(&(physical as usize))
        .and_then(Weak::upgrade)
}

/// The last file on a device was closed: a stack whose hardware is gone may be waiting for that.
pub(super) fn device_closed(closed: *mut DeviceObject) {
    if let Some(node) = node_of(device::bottom(closed))
        && node.state() == State::SurpriseRemoved
        && node.open_files() == 0
    {
        workitem::queue(workitem::Queue::Delayed, move || node.remove_surprised());
    }
}
