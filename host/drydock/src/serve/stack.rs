//! From images to a started device, and back to nothing.

use std::path::Path;
use std::sync::Arc;

use super::Options;
use crate::nt::abi::{Address, DriverObject};
use crate::nt::driver;
use crate::nt::pnp::{DevNode, DevNodeConfig};
use crate::nt::registry::ServiceKey;
use crate::{loader, nt};

/// A started device and the drivers it stands on.
pub(super) struct Stack {
    node: Arc<DevNode>,
    /// From the function driver upwards.
    drivers: Vec<(String, Address<DriverObject>)>,
}

/// Loads the images, lowest first, and starts a device that they drive.
pub(super) fn build(options: &Options) -> Result<Stack, String> {
    let paths = std::iter::once(&options.image).chain(&options.upper);
    let drivers: Vec<_> = paths.map(|path| load(path)).collect::<Result<_, _>>()?;
    let (function, upper) = drivers.split_first().ok_or("no driver to serve")?;
    let upper: Vec<_> = upper.iter().map(|(_, object)| object.0).collect();
    let instance = format!(r"{}\0000", options.hardware_id);
    let node =
        DevNode::create(DevNodeConfig::new(&instance, function.1.0, &upper)).map_err(|status| {
            format!("a driver refuses the device {instance}: AddDevice gave {status}")
        })?;
    node.start()
        .map_err(|status| format!("the device {instance} does not start: {status}"))?;
    Ok(Stack { node, drivers })
}

fn load(path: &Path) -> Result<(String, Address<DriverObject>), String> {
    let resolve = |module: &str, symbol: &str| nt::exports::lookup(module, symbol);
    let image = loader::load(path, &resolve).map_err(|error| error.to_string())?;
    for import in &image.missing {
        eprintln!(
            "drydock serve: {} imports {import}, which drydock does not have: a call to it will end the run",
            image.name
        );
    }
    let name = image.name.clone();
    let object = driver::load(&image, &ServiceKey::new(&name))
        .map_err(|status| format!("{}: its DriverEntry gave {status}", path.display()))?;
    Ok((name, Address(object)))
}

impl Stack {
    /// Removes the device and unloads the drivers, from the top down. Nobody has a handle open any more.
    pub(super) fn remove(self) -> Result<(), String> {
        let instance = self.node.instance().to_owned();
        self.node
            .remove()
            .map_err(|status| format!("the device {instance} is not removed: {status}"))?;
        drop(self.node);
        for (name, object) in self.drivers.into_iter().rev() {
            driver::unload(object.0)
                .map_err(|status| format!("{name} is not unloaded: {status}"))?;
        }
        Ok(())
    }
}
