//! Devices of the same drivers, each with an open handle.

use std::path::Path;
use std::sync::Arc;

use super::Options;
use crate::nt::app::{Handle, Op, Process};
use crate::nt::device;
use crate::nt::pnp::{DevNode, DevNodeConfig};
use crate::nt::status::NtStatus;
use crate::stack::{self, Loaded};

/// What the program sends, and must get back from a driver that answers with its input.
const FOUR_BYTES: [u8; 4] = [1, 2, 3, 4];

/// Loaded drivers and the devices made of them so far.
pub(super) struct Bed {
    drivers: Vec<Loaded>,
    devices: Vec<(Arc<DevNode>, Arc<Handle>)>,
    process: Arc<Process>,
    code: u32,
}

impl Bed {
    /// Loads the drivers and makes one device.
    pub(super) fn new(options: &Options) -> Result<Self, String> {
        let paths = options.image.iter().map(AsRef::<Path>::as_ref);
        let mut bed = Self {
            drivers: paths.map(stack::load).collect::<Result<_, _>>()?,
            devices: Vec::new(),
            process: Process::new("rate"),
            code: options.code,
        };
        bed.grow(1)?;
        bed.probe()?;
        Ok(bed)
    }

    /// Makes devices until there are `count`.
    pub(super) fn grow(&mut self, count: usize) -> Result<(), String> {
        let Some((function, filters)) = self.drivers.split_first() else {
            return Err("name the image of a function driver with --image".to_owned());
        };
        let filters: Vec<_> = filters.iter().map(|(_, driver)| driver.0).collect();
        while self.devices.len() < count {
            let instance = format!(r"ROOT\RATE\{:05}", self.devices.len());
            let refused = |what: &str, status: NtStatus| {
                format!(
                    "the device {instance} {what}: {status} (a driver that names its device has only one)"
                )
            };
            let node = DevNode::create(DevNodeConfig::new(&instance, function.1.0, &filters))
                .map_err(|status| refused("is not added", status))?;
            node.start()
                .map_err(|status| refused("does not start", status))?;
            let name = device::name(node.physical())
                .ok_or_else(|| format!("the device {instance} has no name to open it by"))?;
            let handle = self
                .process
                .open(&name, 0xc000_0000, 3)
                .map_err(|status| refused("cannot be opened", status))?;
            self.devices.push((node, handle));
        }
        Ok(())
    }

    /// How many devices there are.
    pub(super) fn len(&self) -> usize {
        self.devices.len()
    }

    /// The handle of one device.
    pub(super) fn handle(&self, index: usize) -> &Arc<Handle> {
        &self.devices[index].1
    }

    /// One control, of which nobody looks at more than the status.
    pub(super) fn control(&self, index: usize) -> NtStatus {
        self.handle(index).run(control(self.code)).status
    }

    /// The drivers must answer the control, or the figures mean nothing.
    fn probe(&self) -> Result<(), String> {
        let status = self.control(0);
        if status.is_success() {
            return Ok(());
        }
        Err(format!(
            "the control {:#x} with four bytes in and out gives {status}: name one that succeeds with --code",
            self.code
        ))
    }

    /// Closes the handles, removes the devices and unloads the drivers.
    pub(super) fn end(self) -> Result<(), String> {
        for (_, handle) in &self.devices {
            handle.close();
        }
        for (node, _) in self.devices.into_iter().rev() {
            node.remove().map_err(|status| {
                format!("the device {} is not removed: {status}", node.instance())
            })?;
        }
        self.process.kill();
        stack::unload(self.drivers)
    }
}

/// A control with four bytes in and four bytes out.
pub(super) fn control(code: u32) -> Op {
    Op::Ioctl {
        code,
        input: FOUR_BYTES.to_vec(),
        output_len: FOUR_BYTES.len() as u32,
    }
}
