//! `WDFDEVICE_INIT`: what a driver says about a device before it creates it (R-DEV-07).
//!
//! The framework owns the structure. A driver holds a token for it, not an address: a use after `WdfDeviceCreate` has
//! consumed it is recognised.

use std::collections::BTreeMap;

use super::attributes::Attributes;
use super::device::Device;
use super::driver::Driver;
use super::handle::Ref;
use crate::nt::status::NtStatus;
use crate::sched::Lock;
use crate::verify;

/// FILE_DEVICE_UNKNOWN.
const FILE_DEVICE_UNKNOWN: u32 = 0x22;
/// FILE_DEVICE_SECURE_OPEN.
const FILE_DEVICE_SECURE_OPEN: u32 = 0x100;

/// `WDF_DEVICE_IO_TYPE` of reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoType {
    /// User addresses as they are.
    Neither,
    /// Through a system buffer.
    Buffered,
    /// Through an MDL.
    Direct,
}

/// `WDF_FILEOBJECT_CLASS`, without its optional flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileClass {
    /// No framework file objects.
    NotRequired,
    /// The framework keeps the file object in FsContext.
    FsContext,
    /// The framework keeps the file object in FsContext2.
    FsContext2,
    /// The framework keeps the file object elsewhere.
    NoFsContexts,
}

/// What `WdfDeviceInitSetFileObjectConfig` says (R-DEV-40).
#[derive(Clone)]
pub struct FileConfig {
    /// EvtDeviceFileCreate.
    pub create: u64,
    /// EvtFileClose.
    pub close: u64,
    /// EvtFileCleanup.
    pub cleanup: u64,
    /// `AutoForwardCleanupClose`; `None`: the default.
    pub auto_forward: Option<bool>,
    /// Class of file objects.
    pub class: FileClass,
    /// Requests without a file object are expected (R-DEV-42).
    pub optional: bool,
    /// Attributes of file objects.
    pub attributes: Attributes,
    /// The driver gave attributes, so their scope and level count (R-DEV-47).
    pub attributes_given: bool,
}

/// A WDM preprocess callback for one major function.
#[derive(Clone, Debug)]
pub struct Preprocess {
    /// EvtDeviceWdmIrpPreprocess.
    pub callback: u64,
    /// Minor functions it is for; empty: all.
    pub minors: Vec<u8>,
}

/// Places in [`DeviceInit::pnp`]: callbacks of `WDF_PNPPOWER_EVENT_CALLBACKS`, in the structure's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PnpEvent {
    /// EvtDeviceD0Entry.
    D0Entry,
    /// EvtDeviceD0EntryPostInterruptsEnabled.
    D0EntryPostInterruptsEnabled,
    /// EvtDeviceD0Exit.
    D0Exit,
    /// EvtDeviceD0ExitPreInterruptsDisabled.
    D0ExitPreInterruptsDisabled,
    /// EvtDevicePrepareHardware.
    PrepareHardware,
    /// EvtDeviceReleaseHardware.
    ReleaseHardware,
    /// EvtDeviceSelfManagedIoCleanup.
    SelfManagedIoCleanup,
    /// EvtDeviceSelfManagedIoFlush.
    SelfManagedIoFlush,
    /// EvtDeviceSelfManagedIoInit.
    SelfManagedIoInit,
    /// EvtDeviceSelfManagedIoSuspend.
    SelfManagedIoSuspend,
    /// EvtDeviceSelfManagedIoRestart.
    SelfManagedIoRestart,
    /// EvtDeviceSurpriseRemoval.
    SurpriseRemoval,
    /// EvtDeviceQueryRemove.
    QueryRemove,
    /// EvtDeviceQueryStop.
    QueryStop,
    /// EvtDeviceUsageNotification.
    UsageNotification,
    /// EvtDeviceRelationsQuery.
    RelationsQuery,
    /// EvtDeviceUsageNotificationEx.
    UsageNotificationEx,
}

/// Number of callbacks in `WDF_PNPPOWER_EVENT_CALLBACKS`.
pub const PNP_EVENTS: usize = 17;

/// What kind of device is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitKind {
    /// A function or filter device above this physical device.
    Function {
        /// Address of the physical DEVICE_OBJECT.
        physical: u64,
    },
    /// A control device.
    Control,
}

/// The content of a `WDFDEVICE_INIT`.
#[derive(Clone)]
pub struct DeviceInit {
    /// Driver it is for.
    pub driver: Ref<Driver>,
    /// Kind of device.
    pub kind: InitKind,
    /// `WdfFdoInitSetFilter` was called.
    pub filter: bool,
    /// Name of the device object.
    pub name: Option<String>,
    /// Security descriptor string.
    pub sddl: Option<String>,
    /// Device type.
    pub device_type: u32,
    /// Device characteristics.
    pub characteristics: u32,
    /// One open handle at a time (R-DEV-20).
    pub exclusive: bool,
    /// I/O type of reads and writes (R-DEV-10).
    pub io_type: IoType,
    /// File objects; `None`: not required.
    pub files: Option<FileConfig>,
    /// Context and callbacks of I/O requests (R-DEV-13).
    pub request_attributes: Attributes,
    /// EvtIoInCallerContext (R-DEV-14).
    pub in_caller_context: u64,
    /// WDM preprocess callbacks by major function.
    pub preprocess: BTreeMap<u8, Preprocess>,
    /// PnP and power callbacks; see [`PnpEvent`].
    pub pnp: [u64; PNP_EVENTS],
    /// Whether the driver is to own power policy; `None`: the default for its kind.
    pub power_policy_owner: Option<bool>,
    /// DO_POWER_PAGABLE and DO_POWER_INRUSH.
    pub power_flags: u32,
    /// EvtDeviceShutdownNotification of a control device.
    pub shutdown: u64,
    /// The client asked for its own I/O target.
    pub self_target: bool,
}

impl DeviceInit {
    fn new(driver: Ref<Driver>, kind: InitKind) -> Self {
        Self {
            driver,
            kind,
            filter: false,
            name: None,
            sddl: None,
            device_type: FILE_DEVICE_UNKNOWN,
            characteristics: FILE_DEVICE_SECURE_OPEN,
            exclusive: false,
            io_type: IoType::Buffered,
            files: None,
            request_attributes: Attributes::default(),
            in_caller_context: 0,
            preprocess: BTreeMap::new(),
            pnp: [0; PNP_EVENTS],
            power_policy_owner: None,
            power_flags: crate::nt::abi::DO_POWER_PAGABLE,
            shutdown: 0,
            self_target: false,
        }
    }

    /// What AddDevice gives a driver for the stack of `physical`.
    pub fn function(driver: Ref<Driver>, physical: u64) -> Self {
        Self::new(driver, InitKind::Function { physical })
    }

    /// What `WdfControlDeviceInitAllocate` gives a driver.
    pub fn control(driver: Ref<Driver>) -> Self {
        Self::new(driver, InitKind::Control)
    }
}

/// State of a token.
enum Slot {
    Live(Box<DeviceInit>),
    /// `WdfDeviceCreate` has consumed it; the device made from it, while AddDevice is to learn of it.
    Consumed {
        device: Option<Ref<Device>>,
        filter: bool,
    },
}

struct Table {
    next: u64,
    slots: BTreeMap<u64, Slot>,
}

static TABLE: Lock<Table> = Lock::new(Table {
    next: 0,
    slots: BTreeMap::new(),
});

/// Makes a token non-canonical: a driver that looks behind it faults.
const TAG: u64 = 0x5E << 56;

/// Gives `init` a token.
pub fn allocate(init: DeviceInit) -> u64 {
    let mut table = TABLE.lock();
    table.next += 1;
    let token = TAG | table.next << 4;
    table.slots.insert(token, Slot::Live(Box::new(init)));
    token
}

/// What AddDevice learns when its token ends.
pub struct End {
    /// The device that was made.
    pub device: Option<Ref<Device>>,
    /// The driver had declared itself a filter.
    pub filter: bool,
}

/// Ends a token.
pub fn release(token: u64) -> End {
    match TABLE.lock().slots.remove(&token) {
        Some(Slot::Consumed { device, filter }) => End { device, filter },
        Some(Slot::Live(init)) => End {
            device: None,
            filter: init.filter,
        },
        None => End {
            device: None,
            filter: false,
        },
    }
}

/// Runs `f` on the content of a token; an unknown or consumed one ends the run (R-DEV-07).
pub fn with<R>(name: &str, token: u64, f: impl FnOnce(&mut DeviceInit) -> R) -> R {
    let problem = match TABLE.lock().slots.get_mut(&token) {
        Some(Slot::Live(init)) => return f(init),
        Some(Slot::Consumed { .. }) => "was consumed by WdfDeviceCreate",
        None => "is not valid",
    };
    verify::violation("R-DEV-07", format!("{name}: the WDFDEVICE_INIT {problem}"))
}

/// A copy of the content, for creating the device.
///
/// # Errors
/// STATUS_INVALID_DEVICE_STATE if it was consumed (R-DEV-16).
pub fn content(name: &str, token: u64) -> Result<DeviceInit, NtStatus> {
    match TABLE.lock().slots.get(&token) {
        Some(Slot::Live(init)) => return Ok((**init).clone()),
        Some(Slot::Consumed { .. }) => return Err(NtStatus::INVALID_DEVICE_STATE),
        None => {}
    }
    verify::violation(
        "R-DEV-07",
        format!("{name}: the WDFDEVICE_INIT is not valid"),
    )
}

/// Marks the token consumed by the creation of a device; AddDevice learns of the device from it.
pub fn consume(token: u64, device: Option<Ref<Device>>, filter: bool) {
    TABLE
        .lock()
        .slots
        .insert(token, Slot::Consumed { device, filter });
}
