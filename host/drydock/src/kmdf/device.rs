//! The device object: what it is made of, and its end.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::attributes::Attributes;
use super::device_init::{DeviceInit, InitKind, IoType};
use super::dispatch::IrpDispatch;
use super::driver::Driver;
use super::file::Files;
use super::guest;
use super::handle::{Ref, Typed};
use super::interface::Interfaces;
use super::kind::{ExecutionLevel, Kind, Scope};
use super::lifetime;
use super::object::{Body, Disposed, ObjRef, Object};
use super::pnp::{Pnp, Stage};
use super::queue::{CallbackLock, IoPackage};
use crate::nt;
use crate::nt::abi::{self, DeviceObject};

/// What creation has worked out about a device.
pub(super) struct Shape {
    /// Its DEVICE_OBJECT.
    pub wdm: *mut DeviceObject,
    /// The next lower device.
    pub lower: Option<*mut DeviceObject>,
    /// Effective execution level.
    pub level: ExecutionLevel,
    /// Effective synchronization scope.
    pub scope: Scope,
    /// File objects are of level Passive.
    pub file_level_passive: bool,
    /// File object callbacks are called under the callback lock.
    pub files_synchronized: bool,
    /// I/O type of reads and writes.
    pub io_type: IoType,
}

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
    /// The DEVICE_OBJECT is deleted; a reference of ours keeps its memory and its name.
    wdm_deleted: AtomicBool,
    irp_dispatch: IrpDispatch,
}

impl Device {
    pub(super) fn new(config: DeviceInit, shape: Shape) -> Self {
        Self {
            driver: config.driver.clone(),
            config,
            wdm: abi::Address(shape.wdm),
            lower: shape.lower.map(abi::Address),
            level: shape.level,
            scope: shape.scope,
            callback_lock: CallbackLock::new(shape.level),
            file_level_passive: shape.file_level_passive,
            files_synchronized: shape.files_synchronized,
            io_type: shape.io_type,
            io: IoPackage::default(),
            files: Files::default(),
            pnp: Pnp::default(),
            interfaces: Interfaces::default(),
            default_target: OnceLock::new(),
            accepts_io: AtomicBool::new(false),
            detached: AtomicBool::new(false),
            wdm_deleted: AtomicBool::new(false),
            irp_dispatch: IrpDispatch::default(),
        }
    }

    /// Creation has made the local I/O target; it stays.
    pub(super) fn set_default_target(&self, target: ObjRef) {
        self.default_target.get_or_init(|| target);
    }

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

    /// Nobody can open the device any more, though its object stays until the last handle is closed (R-DEV-33).
    pub(super) fn delete_wdm(&self) {
        if !self.wdm_deleted.swap(true, Ordering::AcqRel) {
            nt::object::reference(self.wdm().cast());
            nt::device::delete(self.wdm());
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
        if self.is_pnp() {
            self.interfaces.remove_all();
        }
        Disposed::CallCleanup
    }

    fn destroyed(&self, _me: &Object) {
        self.detach();
        // That of a control device stays as long as its object.
        self.interfaces.remove_all();
        abi::at(self.wdm.0).device_extension.update(|extension| {
            guest::write(extension as u64, 0_u64);
            extension
        });
        if self.wdm_deleted.load(Ordering::Acquire) {
            nt::object::dereference(nt::object::Kind::Device, self.wdm().cast());
        } else {
            nt::device::delete(self.wdm.0);
        }
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
