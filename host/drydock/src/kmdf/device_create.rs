//! Making a device: `WdfDeviceCreate` (R-DEV-10 to R-DEV-17, R-DEV-47).

use super::attributes::{Attributes, Rules};
use super::ddi::Call;
use super::device::{Device, Shape};
use super::device_init::{self, DeviceInit, InitKind, IoType};
use super::guest;
use super::handle::Ref;
use super::kind::{ExecutionLevel, Scope};
use super::lifetime;
use super::object;
use super::target;
use crate::nt;
use crate::nt::abi::{self, DeviceObject, DriverObject};
use crate::nt::status::NtStatus;

/// Bytes of device extension: the handle of the framework's device.
const EXTENSION: usize = 8;

/// `WdfDeviceCreate`: R-DEV-16. PASSIVE_LEVEL.
pub(super) fn create(call: &Call, init_pointer: u64, attributes: u64, out: u64) -> NtStatus {
    call.require(init_pointer, "DeviceInit");
    call.require(out, "Device");
    let token = guest::read::<u64>(init_pointer);
    call.require(token, "*DeviceInit");
    guest::write(out, 0_u64);
    let config = match device_init::content(call.name, token) {
        Ok(config) => config,
        Err(status) => return status,
    };
    let rules = Rules::NO_PARENT.with_level_and_scope();
    let attributes = match Attributes::read(attributes, rules) {
        Ok(attributes) => attributes,
        Err(status) => return status,
    };
    match make(call, config, &attributes) {
        Ok(device) => {
            let of_add = !device.is_control();
            device_init::consume(token, of_add.then(|| device.clone()), device.is_filter());
            guest::write(init_pointer, 0_u64);
            guest::write(out, device.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

fn make(call: &Call, config: DeviceInit, attributes: &Attributes) -> Result<Ref<Device>, NtStatus> {
    if config.sddl.is_some() && config.name.is_none() {
        return Err(NtStatus::INVALID_SECURITY_DESCR);
    }
    let level = attributes.level.or(config.driver.level());
    let scope = attributes.scope.or(config.driver.scope());
    let file_rules = file_constraints(call, &config, level, scope)?;
    let wdm = nt::device::create(
        config.driver.driver_object() as *mut DriverObject,
        EXTENSION,
        config.name.as_deref().unwrap_or_default(),
        config.device_type,
        config.characteristics,
        config.exclusive,
    )?;
    let lower = match config.kind {
        InitKind::Control => None,
        InitKind::Function { physical } => {
            let lower = nt::device::attach(wdm, physical as *mut DeviceObject);
            if lower.is_none() {
                nt::device::delete(wdm);
                return Err(NtStatus::NO_SUCH_DEVICE);
            }
            lower
        }
    };
    let io_type = shape(wdm, lower, &config);
    if let (Some(sddl), Some(_)) = (&config.sddl, &config.name) {
        nt::device::set_security(wdm, sddl);
    }
    let body = Device::new(
        config,
        Shape {
            wdm,
            lower,
            level,
            scope,
            file_level_passive: file_rules.passive,
            files_synchronized: file_rules.synchronized,
            io_type,
        },
    );
    let parent = body.driver().object().clone();
    let device = match object::create(call.binding, attributes, Some(&parent), body) {
        Ok(device) => device,
        Err(status) => {
            if let Some(lower) = lower {
                nt::device::detach(lower);
            }
            nt::device::delete(wdm);
            return Err(status);
        }
    };
    device.object().set_passive_dispose();
    device.object().set_undeletable(!device.is_control());
    guest::write(abi::at(wdm).device_extension.get() as u64, device.handle());
    if lower.is_some() {
        match target::create_default(&device) {
            Ok(target) => device.set_default_target(target),
            Err(status) => {
                lifetime::discard(device.object());
                return Err(status);
            }
        }
    }
    Ok(device)
}

/// Gives the device object flags, stack size and type as the I/O manager wants them, and says what its I/O type is.
fn shape(wdm: *mut DeviceObject, lower: Option<*mut DeviceObject>, config: &DeviceInit) -> IoType {
    let ours = abi::at(wdm);
    let mut io_type = config.io_type;
    if let Some(lower) = lower {
        let lower = abi::at(lower);
        if config.filter {
            // R-DEV-11
            io_type = match lower.flags.get() & (abi::DO_BUFFERED_IO | abi::DO_DIRECT_IO) {
                abi::DO_BUFFERED_IO => IoType::Buffered,
                abi::DO_DIRECT_IO => IoType::Direct,
                _ => IoType::Neither,
            };
            ours.device_type.set(lower.device_type.get());
            ours.characteristics.set(lower.characteristics.get());
        }
        let power = if config.filter {
            lower.flags.get() & (abi::DO_POWER_PAGABLE | abi::DO_POWER_INRUSH)
        } else {
            config.power_flags
        };
        ours.flags.update(|flags| flags | power);
        ours.alignment_requirement
            .set(lower.alignment_requirement.get());
        ours.stack_size.set(lower.stack_size.get() + 1);
    }
    if !config.preprocess.is_empty() {
        // A preprocess callback may make itself a location of its own before it hands the IRP back.
        ours.stack_size.update(|size| size + 1);
    }
    let transfer = match io_type {
        IoType::Buffered => abi::DO_BUFFERED_IO,
        IoType::Direct => abi::DO_DIRECT_IO,
        IoType::Neither => 0,
    };
    ours.flags.update(|flags| flags | transfer);
    io_type
}

/// How file objects of a device are called back.
struct FileConstraints {
    passive: bool,
    synchronized: bool,
}

/// R-DEV-47.
fn file_constraints(
    call: &Call,
    config: &DeviceInit,
    level: ExecutionLevel,
    scope: Scope,
) -> Result<FileConstraints, NtStatus> {
    let newer = call.binding.minor() >= 11;
    let Some(files) = &config.files else {
        return Ok(FileConstraints {
            passive: false,
            synchronized: false,
        });
    };
    if !files.attributes_given {
        return Ok(FileConstraints {
            passive: newer,
            synchronized: false,
        });
    }
    let passive = newer || files.attributes.level.or(level) == ExecutionLevel::Passive;
    match files.attributes.scope.or(scope) {
        Scope::None | Scope::Inherit => Ok(FileConstraints {
            passive,
            synchronized: false,
        }),
        Scope::Device if level == ExecutionLevel::Passive => Ok(FileConstraints {
            passive,
            synchronized: true,
        }),
        Scope::Device | Scope::Queue => Err(NtStatus::INVALID_DEVICE_REQUEST),
    }
}
