//! A device stack from image files: loaded, started by PnP, and taken down again.
//!
//! ```no_run
//! use drydock::stack::Stack;
//!
//! let stack = Stack::build(r"ROOT\SAMPLE\0000", &["pier.sys".as_ref(), "ferry.sys".as_ref()])?;
//! // ... programs open it, see nt::app ...
//! stack.remove()?;
//! # Ok::<(), String>(())
//! ```

use std::path::Path;
use std::sync::Arc;

use crate::nt::abi::{Address, DriverObject};
use crate::nt::device;
use crate::nt::driver;
use crate::nt::pnp::{DevNode, DevNodeConfig};
use crate::nt::registry::ServiceKey;
use crate::{kmdf, loader};

/// A started device and the drivers it stands on.
pub struct Stack {
    node: Arc<DevNode>,
    /// From the function driver upwards.
    drivers: Vec<Loaded>,
}

/// A loaded driver: the name of its image, and its driver object.
pub type Loaded = (String, Address<DriverObject>);

impl Stack {
    /// Loads the images, the function driver first, then the filters from the lowest up, and starts a device of that
    /// instance path that they drive.
    ///
    /// # Errors
    /// A sentence that names the file or device and says what refused it.
    pub fn build(instance: &str, images: &[&Path]) -> Result<Self, String> {
        let drivers: Vec<_> = images
            .iter()
            .map(|path| load(path))
            .collect::<Result<_, _>>()?;
        let (function, upper) = drivers
            .split_first()
            .ok_or("a device needs a function driver: name its image")?;
        let upper: Vec<_> = upper.iter().map(|(_, object)| object.0).collect();
        let node = DevNode::create(DevNodeConfig::new(instance, function.1.0, &upper)).map_err(
            |status| format!("a driver refuses the device {instance}: AddDevice gave {status}"),
        )?;
        node.start()
            .map_err(|status| format!("the device {instance} does not start: {status}"))?;
        Ok(Self { node, drivers })
    }

    /// The device, for PnP and power events.
    pub fn node(&self) -> &Arc<DevNode> {
        &self.node
    }

    /// The name its function driver's parent gave the device, by which a program can open any.
    ///
    /// # Errors
    /// It has none.
    pub fn device_name(&self) -> Result<String, String> {
        device::name(self.node.physical())
            .ok_or_else(|| "the device has no name to open it by: say what to open".to_owned())
    }

    /// Removes the device and unloads the drivers, from the top down. Nobody has a handle open any more.
    ///
    /// # Errors
    /// A sentence that names the device or driver that did not go.
    pub fn remove(self) -> Result<(), String> {
        let instance = self.node.instance().to_owned();
        self.node
            .remove()
            .map_err(|status| format!("the device {instance} is not removed: {status}"))?;
        self.unload()
    }

    /// Unloads the drivers of a device that is gone already, from the top down.
    ///
    /// # Errors
    /// A sentence that names the driver that did not go.
    pub fn unload(self) -> Result<(), String> {
        drop(self.node);
        unload(self.drivers)
    }
}

/// Unloads drivers, the one loaded last first.
///
/// # Errors
/// A sentence that names the driver that did not go.
pub fn unload(drivers: Vec<Loaded>) -> Result<(), String> {
    for (name, object) in drivers.into_iter().rev() {
        driver::unload(object.0).map_err(|status| format!("{name} is not unloaded: {status}"))?;
    }
    Ok(())
}

/// Loads an image as a driver, under a service of the image's name.
///
/// # Errors
/// A sentence that names the file and says what is wrong with it, or what its DriverEntry gave.
pub fn load(path: &Path) -> Result<Loaded, String> {
    let image = loader::load(path, &kmdf::resolve_import).map_err(|error| error.to_string())?;
    for import in &image.missing {
        eprintln!(
            "drydock: {} imports {import}, which drydock does not have: a call to it will end the run",
            image.name
        );
    }
    let name = image.name.clone();
    let object = driver::load(&image, &ServiceKey::new(&name))
        .map_err(|status| format!("{}: its DriverEntry gave {status}", path.display()))?;
    Ok((name, Address(object)))
}
