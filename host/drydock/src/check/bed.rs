//! The driver's stack in the process of a phase: loaded, added, started, and all of it taken down again.

use super::inf::Inf;
use super::options::Options;
use crate::nt::abi::{Address, DeviceObject, DriverObject, at};
use crate::nt::pnp::{DevNode, DevNodeConfig, State};
use crate::nt::registry::ServiceKey;
use crate::nt::{device, driver, namespace};
use crate::stack::Loaded;
use crate::verify;
use crate::{kmdf, loader};
use std::path::Path;
use std::sync::Arc;

/// The stack of the driver under check.
pub(super) struct Bed {
    /// What it was loaded from, to be loaded again.
    options: Options,
    inf: Option<Inf>,
    config: Option<DevNodeConfig>,
    node: Option<Arc<DevNode>>,
    /// From the function driver upwards.
    drivers: Vec<Loaded>,
}

impl Bed {
    /// Loads the images; nothing is added yet.
    ///
    /// # Errors
    /// A sentence that says which driver refused to load and how. What was loaded before it is unloaded again.
    pub(super) fn load(options: &Options, inf: Option<&Inf>) -> Result<Self, String> {
        let mut bed = Self {
            options: options.clone(),
            inf: inf.cloned(),
            config: None,
            node: None,
            drivers: Vec::new(),
        };
        for path in options.over.iter().chain([&options.image]) {
            let own = *path == options.image;
            match load(path, inf.filter(|_| own)) {
                Ok(loaded) => bed.drivers.push(loaded),
                Err(reason) => {
                    bed.unload()?;
                    return Err(reason);
                }
            }
        }
        let (function, upper) = match bed.drivers.split_first() {
            Some((function, upper)) => (function.1.0, upper),
            None => return Err("there is no image".to_owned()),
        };
        let has_add_device = |driver: *mut DriverObject| {
            at(at(driver).driver_extension.get())
                .add_device
                .get()
                .is_some()
        };
        if has_add_device(function) {
            let upper: Vec<_> = upper.iter().map(|(_, object)| object.0).collect();
            let id = inf.and_then(|inf| inf.hardware_id.clone());
            let id = id.unwrap_or_else(|| "ROOT\\CHECK".to_owned());
            bed.config = Some(DevNodeConfig::new(&format!("{id}\\0000"), function, &upper));
        }
        Ok(bed)
    }

    /// AddDevice of each driver. A driver without one has control devices only, and nothing is added.
    ///
    /// # Errors
    /// A sentence that says which status AddDevice gave.
    pub(super) fn add(&mut self) -> Result<(), String> {
        let Some(config) = self.config.clone() else {
            return Ok(());
        };
        match DevNode::create(config) {
            Ok(node) => {
                self.node = Some(node);
                Ok(())
            }
            Err(status) => Err(format!(
                "a driver refuses the device: AddDevice gave {status}"
            )),
        }
    }

    /// Starts the device.
    ///
    /// # Errors
    /// A sentence with the status.
    pub(super) fn start(&mut self) -> Result<(), String> {
        let Some(node) = &self.node else {
            return Ok(());
        };
        node.start().map_err(|status| {
            format!(
                "the device does not start: {status}; a driver that needs hardware cannot find it here (the device has no \
                 resources but what the root bus gives: none)"
            )
        })
    }

    /// Loads, adds and starts.
    ///
    /// # Errors
    /// A sentence that says what failed; everything that was up is down again.
    pub(super) fn up(options: &Options, inf: Option<&Inf>) -> Result<Self, String> {
        let mut bed = Self::load(options, inf)?;
        match bed.add().and_then(|()| bed.start()) {
            Ok(()) => Ok(bed),
            Err(reason) => {
                bed.down()?;
                Err(reason)
            }
        }
    }

    /// The device, if the driver has one that PnP knows.
    pub(super) fn node(&self) -> Option<&Arc<DevNode>> {
        self.node.as_ref()
    }

    /// Removes the device, and adds and starts it again. No handle is open.
    ///
    /// # Errors
    /// A sentence that says what failed.
    pub(super) fn replug(&mut self) -> Result<(), String> {
        self.unplug()?;
        self.add()?;
        self.start()
    }

    /// Removes the device, unloads the drivers, and does all of it again from the files, as an update of a driver does. No handle is
    /// open.
    ///
    /// # Errors
    /// A sentence that says what failed.
    pub(super) fn reload(&mut self) -> Result<(), String> {
        self.unplug()?;
        self.unload()?;
        *self = Self::up(&self.options, self.inf.as_ref())?;
        Ok(())
    }

    /// Whether the device is on its way out, its last handle or not.
    pub(super) fn is_gone(&self) -> bool {
        self.node
            .as_ref()
            .is_some_and(|node| matches!(node.state(), State::Removed | State::SurpriseRemoved))
    }

    fn unplug(&mut self) -> Result<(), String> {
        let Some(node) = self.node.take() else {
            return Ok(());
        };
        match node.state() {
            State::Removed => Ok(()),
            State::SurpriseRemoved => {
                let _waiting =
                    verify::waiting(|| "the removal of a device whose hardware is gone".to_owned());
                node.wait_removed();
                Ok(())
            }
            _ => node.remove().map_err(|status| {
                format!("the device is not removed, and no handle is open: {status}")
            }),
        }
    }

    /// Why the drivers cannot be unloaded, if one cannot.
    pub(super) fn cannot_unload(&self) -> Option<String> {
        let (name, _) = self
            .drivers
            .iter()
            .find(|(_, object)| at(object.0).driver_unload.get().is_none())?;
        Some(format!(
            "{name} has no unload routine: what it leaves behind is unknown"
        ))
    }

    /// Removes the device and leaves the drivers loaded.
    ///
    /// # Errors
    /// A sentence that says what did not go.
    pub(super) fn unplug_only(mut self) -> Result<(), String> {
        self.unplug()
    }

    /// Removes the device and unloads the drivers.
    ///
    /// # Errors
    /// A sentence that says what did not go.
    pub(super) fn down(mut self) -> Result<(), String> {
        self.unplug()?;
        self.unload()
    }

    fn unload(&mut self) -> Result<(), String> {
        for (name, object) in std::mem::take(&mut self.drivers).into_iter().rev() {
            driver::unload(object.0)
                .map_err(|status| format!("{name} is not unloaded: {status}"))?;
        }
        Ok(())
    }

    /// The paths a program can open to reach the drivers: the stack itself, then every link and name that leads to a device of
    /// theirs.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        if let Some(node) = &self.node
            && let Some(name) = device::name(node.physical())
        {
            paths.push(name);
        }
        for (link, _) in namespace::links() {
            if let Ok((target, _)) = namespace::resolve(&link)
                && self.is_ours(target)
            {
                paths.push(link);
            }
        }
        paths
    }

    fn is_ours(&self, target: Address<DeviceObject>) -> bool {
        let owner = at(target.0).driver_object.get();
        self.drivers.iter().any(|(_, driver)| driver.0 == owner)
            || self
                .node
                .as_ref()
                .is_some_and(|node| node.devices().contains(&target))
    }

    /// The devices requests can be sent to without opening anything.
    pub(super) fn tops(&self) -> Vec<Address<DeviceObject>> {
        let mut tops: Vec<Address<DeviceObject>> = Vec::new();
        for path in self.paths() {
            if let Ok((target, _)) = namespace::resolve(&path) {
                let top = Address(device::attached_top(target.0));
                if !tops.contains(&top) {
                    tops.push(top);
                }
            }
        }
        tops
    }
}

fn load(path: &Path, inf: Option<&Inf>) -> Result<Loaded, String> {
    let image = loader::load(path, &kmdf::resolve_import).map_err(|error| error.to_string())?;
    let name = inf
        .and_then(|inf| inf.service.clone())
        .unwrap_or_else(|| image.name.clone());
    let mut service = ServiceKey::new(&name);
    if let Some(inf) = inf {
        service.parameters.clone_from(&inf.parameters);
    }
    let object = driver::load(&image, &service)
        .map_err(|status| format!("{}: its DriverEntry gave {status}", path.display()))?;
    Ok((name, Address(object)))
}
