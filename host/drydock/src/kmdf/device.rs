//! The device object: creation, what it is made of, and its end (R-DEV-10 to R-DEV-20).

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::attributes::{Attributes, Rules};
use super::ddi::Call;
use super::device_init::{self, DeviceInit, InitKind, IoType};
use super::dispatch::IrpDispatch;
use super::driver::Driver;
use super::file::Files;
use super::guest;
use super::handle::{Ref, Typed};
use super::interface::Interfaces;
use super::kind::{ExecutionLevel, Kind, Scope};
use super::lifetime;
use super::object::{self, Body, Disposed, ObjRef, Object};
use super::pnp::{Pnp, Stage};
use super::queue::{CallbackLock, IoPackage};
use super::target;
use crate::nt;
use crate::nt::abi::{self, DeviceObject, DriverObject};
use crate::nt::status::NtStatus;

/// Bytes of device extension: the handle of the framework's device.
const EXTENSION: usize = 8;

/// The body of a WDFDEVICE.
pub struct Device {
    driver: Ref<Driver>,
    config: DeviceInit,
    wdm: abi::Address<DeviceObject>,
    lower: Option<abi::Address<DeviceObject>>,
    level: ExecutionLevel,
    scope: Scope,
    callback_lock: Arc<CallbackLock>,
    file_level_passive: bool,
    files_synchronized: bool,
    io_type: IoType,
    io: IoPackage,
    files: Files,
    pnp: Pnp,
    interfaces: Interfaces,
    default_target: OnceLock<ObjRef>,
    accepts_io: AtomicBool,
    detached: AtomicBool,
    irp_dispatch: IrpDispatch,
}

impl Device {
    /// The driver it belongs to.
    pub fn driver(&self) -> &Ref<Driver> {
        &self.driver
    }

    /// What the driver said before creating it.
    pub fn config(&self) -> &DeviceInit {
        &self.config
    }

    /// Its DEVICE_OBJECT.
    pub fn wdm(&self) -> *mut DeviceObject {
        self.wdm.0
    }

    /// The next lower device of its stack; a control device has none.
    pub fn lower(&self) -> Option<*mut DeviceObject> {
        self.lower.map(|lower| lower.0)
    }

    /// The physical device of its stack; a control device has none.
    pub fn physical(&self) -> Option<*mut DeviceObject> {
        match self.config.kind {
            InitKind::Function { physical } => Some(physical as *mut DeviceObject),
            InitKind::Control => None,
        }
    }

    /// Whether it is a filter: forwards what it does not handle (R-DEV-12).
    pub fn is_filter(&self) -> bool {
        self.config.filter
    }

    /// Whether it stands in a PnP stack.
    pub fn is_pnp(&self) -> bool {
        !self.is_control()
    }

    /// Whether it is a control device (R-DEV-31).
    pub fn is_control(&self) -> bool {
        self.config.kind == InitKind::Control
    }

    /// I/O type of reads and writes; a filter's is that of the device below (R-DEV-11).
    pub fn io_type(&self) -> IoType {
        self.io_type
    }

    /// Priority boost of a completion that names none (R-REQ-12): by device type, as drivers of these types are expected
    /// to boost whoever waits.
    pub fn priority_boost(&self) -> i8 {
        match abi::at(self.wdm.get()).device_type.get() {
            // CD-ROM, disk, parallel port, video.
            0x02 | 0x07 | 0x16 | 0x23 => 1,
            // Mailslot, named pipe, network, serial port.
            0x0C | 0x11 | 0x12 | 0x1B => 2,
            // Keyboard, mouse.
            0x0B | 0x0F => 6,
            // Sound.
            0x1D => 8,
            _ => 0,
        }
    }

    /// Execution level of its callbacks (R-QUE-60).
    pub fn effective_level(&self) -> ExecutionLevel {
        self.level
    }

    /// Synchronization scope of its callbacks (R-QUE-60).
    pub fn effective_scope(&self) -> Scope {
        self.scope
    }

    /// What `WdfObjectAcquireLock` takes on the device, and scope Device holds around callbacks.
    pub fn callback_lock(&self) -> &Arc<CallbackLock> {
        &self.callback_lock
    }

    /// File object callbacks are called under the callback lock (R-DEV-47).
    pub fn files_synchronized(&self) -> bool {
        self.files_synchronized
    }

    /// File objects are disposed at PASSIVE_LEVEL, and creates above it are refused (R-DEV-48).
    pub fn file_level_passive(&self) -> bool {
        self.file_level_passive
    }

    /// Its queues.
    pub fn io(&self) -> &IoPackage {
        &self.io
    }

    /// Its file objects.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Its PnP and power state.
    pub fn pnp(&self) -> &Pnp {
        &self.pnp
    }

    /// Its interfaces and its symbolic link.
    pub fn interfaces(&self) -> &Interfaces {
        &self.interfaces
    }

    /// The local I/O target (R-TGT-01); a control device has none.
    pub fn default_target(&self) -> Option<&ObjRef> {
        self.default_target.get()
    }

    /// Attributes of the requests made for IRPs that arrive (R-DEV-13).
    pub fn request_attributes(&self) -> &Attributes {
        &self.config.request_attributes
    }

    /// EvtIoInCallerContext, 0 if none (R-DEV-14).
    pub fn in_caller_context(&self) -> u64 {
        self.config.in_caller_context
    }

    /// Whether default queue and request dispatching can still be set: until a PnP device is started, a control device
    /// finished (R-QUE-14, R-QUE-28).
    pub fn accepts_io_configuration(&self) -> bool {
        if self.is_control() {
            !self.accepts_io.load(Ordering::Acquire)
        } else {
            self.pnp.stage() == Stage::Init
        }
    }

    /// Callbacks that choose a queue for an IRP.
    pub(super) fn irp_dispatch(&self) -> &IrpDispatch {
        &self.irp_dispatch
    }

    /// Takes the device out of its stack, once.
    pub(super) fn detach(&self) {
        if let Some(lower) = self.lower
            && !self.detached.swap(true, Ordering::AcqRel)
        {
            nt::device::detach(lower.get());
        }
    }

    /// The device accepts I/O from now on (R-DEV-17).
    pub fn finish_initializing(&self) {
        self.accepts_io.store(true, Ordering::Release);
        let wdm = abi::at(self.wdm.0);
        wdm.flags
            .update(|flags| flags & !abi::DO_DEVICE_INITIALIZING);
    }
}

impl Ref<Device> {
    /// R-DEV-06: EvtDriverDeviceAdd failed after creating the device.
    pub fn delete_failed_add(&self) {
        lifetime::delete(self.object());
    }
}

impl Body for Device {
    fn kind(&self) -> Kind {
        Kind::Device
    }

    fn dispose(&self, _me: &ObjRef) -> Disposed {
        self.interfaces.remove_all();
        Disposed::CallCleanup
    }

    fn destroyed(&self, _me: &Object) {
        self.detach();
        abi::at(self.wdm.0).device_extension.update(|extension| {
            guest::write(extension as u64, 0_u64);
            extension
        });
        nt::device::delete(self.wdm.0);
    }

    fn driver_deletes(&self, me: &ObjRef) -> bool {
        match Ref::<Device>::of(me.clone()) {
            Some(device) if self.is_control() => super::control::begin_delete(&device),
            _ => true,
        }
    }
}

impl Typed for Device {
    const KIND: Kind = Kind::Device;
}

/// The framework device of a DEVICE_OBJECT of ours, as long as it has one.
pub fn of_wdm(wdm: *mut DeviceObject) -> Option<Ref<Device>> {
    let extension = abi::at(wdm).device_extension.get();
    if extension.is_null() {
        return None;
    }
    let raw = guest::read::<u64>(extension as u64);
    super::handle::lookup(raw).ok().and_then(Ref::of)
}

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
    let body = Device {
        driver: config.driver.clone(),
        wdm: abi::Address(wdm),
        lower: lower.map(abi::Address),
        level,
        scope,
        callback_lock: CallbackLock::new(level),
        file_level_passive: file_rules.passive,
        files_synchronized: file_rules.synchronized,
        io_type,
        io: IoPackage::default(),
        files: Files::default(),
        pnp: Pnp::default(),
        interfaces: Interfaces::default(),
        default_target: OnceLock::new(),
        accepts_io: AtomicBool::new(false),
        detached: AtomicBool::new(false),
        irp_dispatch: IrpDispatch::default(),
        config,
    };
    let parent = body.driver.object().clone();
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
        let target = target::create_default(&device)?;
        let _ = device.default_target.set(target);
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
