//! The driver object: creation, AddDevice, unload (R-DEV-01 to R-DEV-08).

use std::collections::BTreeMap;

use super::attributes::{Attributes, ParentRule, Rules};
use super::bind::Binding;
use super::callback;
use super::ddi::{Call, DISPATCH, PASSIVE, export, guard};
use super::device_init::{self, DeviceInit};
use super::dispatch;
use super::guest;
use super::handle::{self, Typed};
use super::kind::{ExecutionLevel, Kind, Scope};
use super::lifetime;
use super::object::{self, Body, Object};
use super::string::PoolText;
use crate::loader::Win64Function;
use crate::nt::abi::{self, DeviceObject, DriverObject};
use crate::nt::status::NtStatus;
use crate::sched::Lock;

const CONFIG_SIZE: u32 = 32;
/// `WDF_DRIVER_CONFIG` of KMDF 1.1: without the pool tag.
const CONFIG_SIZE_1_1: u32 = 28;

/// WdfDriverInitNonPnpDriver.
const NON_PNP: u32 = 1;
/// WdfDriverInitNoDispatchOverride.
const NO_DISPATCH_OVERRIDE: u32 = 2;

export! {
    "WdfDriverCreate" => create[driver_object: u64, registry_path: u64, attributes: u64, config: u64, out: u64] -> NtStatus, PASSIVE;
    "WdfDriverGetRegistryPath" => get_registry_path[driver: u64] -> u64, PASSIVE;
    "WdfDriverWdmGetDriverObject" => wdm_get_driver_object[driver: u64] -> u64, DISPATCH;
    "WdfWdmDriverGetWdfDriverHandle" => from_wdm[driver_object: u64] -> u64, DISPATCH;
    "WdfDriverRegisterTraceInfo" => register_trace_info[driver_object: u64, trace: u64, info: u64] -> NtStatus, PASSIVE;
    "WdfDriverRetrieveVersionString" => retrieve_version_string[driver: u64, string: u64] -> NtStatus, PASSIVE;
    "WdfDriverIsVersionAvailable" => is_version_available[driver: u64, parameters: u64] -> u8, DISPATCH;
}

/// The body of a WDFDRIVER.
pub struct Driver {
    driver_object: u64,
    registry_path: PoolText,
    add_device: u64,
    unload: u64,
    level: ExecutionLevel,
    scope: Scope,
}

impl Driver {
    /// Default execution level of its devices (R-QUE-60).
    pub fn level(&self) -> ExecutionLevel {
        self.level
    }

    /// Default synchronization scope of its devices (R-QUE-60).
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Address of its DRIVER_OBJECT.
    pub fn driver_object(&self) -> u64 {
        self.driver_object
    }
}

impl Body for Driver {
    fn kind(&self) -> Kind {
        Kind::Driver
    }

    fn destroyed(&self, me: &Object) {
        DRIVERS.lock().remove(&self.driver_object);
        me.binding().set_driver(None);
    }
}

impl Typed for Driver {
    const KIND: Kind = Kind::Driver;
}

/// Bindings by the address of their DRIVER_OBJECT.
static DRIVERS: Lock<BTreeMap<u64, &'static Binding>> = Lock::new(BTreeMap::new());

fn binding_of(driver_object: u64) -> Option<&'static Binding> {
    DRIVERS.lock().get(&driver_object).copied()
}

/// `WdfDriverCreate`: R-DEV-01 to R-DEV-04. PASSIVE_LEVEL, from DriverEntry, once.
fn create(
    call: &Call,
    driver_object: u64,
    registry_path: u64,
    attributes: u64,
    config: u64,
    out: u64,
) -> NtStatus {
    call.require(driver_object, "DriverObject");
    call.require(registry_path, "RegistryPath");
    call.require(config, "DriverConfig");
    guest::write(out, 0_u64);
    let size = guest::read::<u32>(config);
    if size != CONFIG_SIZE && size != CONFIG_SIZE_1_1 {
        return NtStatus::INFO_LENGTH_MISMATCH;
    }
    let add_device = guest::read::<u64>(config + 8);
    let unload = guest::read::<u64>(config + 16);
    let flags = guest::read::<u32>(config + 24);
    if flags & !(NON_PNP | NO_DISPATCH_OVERRIDE) != 0 {
        return NtStatus::INVALID_PARAMETER;
    }
    // R-DEV-02
    if flags & NON_PNP != 0 && add_device != 0 {
        return NtStatus::INVALID_PARAMETER;
    }
    if call.binding.driver().is_some() {
        return NtStatus::DRIVER_INTERNAL_ERROR;
    }
    let rules = Rules {
        parent: ParentRule::Forbidden,
        level: true,
        scope: true,
    };
    let attributes = match Attributes::read(attributes, rules) {
        Ok(attributes) => attributes,
        Err(status) => return status,
    };
    let Some(text) = PoolText::new(&guest::unicode_string(registry_path), call.binding.tag())
    else {
        return NtStatus::INSUFFICIENT_RESOURCES;
    };
    let body = Driver {
        driver_object,
        registry_path: text,
        add_device,
        unload,
        level: attributes.level.or(ExecutionLevel::Dispatch),
        scope: attributes.scope.or(Scope::None),
    };
    let driver = match object::create(call.binding, &attributes, None, body) {
        Ok(driver) => driver,
        Err(status) => return status,
    };
    driver.object().set_passive_dispose();
    driver.object().set_undeletable(true);
    DRIVERS.lock().insert(driver_object, call.binding);
    call.binding.set_driver(Some(driver.clone()));
    install(call.binding, driver_object, flags, add_device, unload);
    guest::write(out, driver.handle());
    NtStatus::SUCCESS
}

/// Puts the framework's routines into the driver object (`spec/abi-facts.md`, Unload).
fn install(
    binding: &'static Binding,
    driver_object: u64,
    flags: u32,
    add_device: u64,
    unload: u64,
) {
    let wdm = abi::at(driver_object as *mut DriverObject);
    let pnp = flags & NON_PNP == 0;
    if pnp && add_device != 0 {
        abi::at(wdm.driver_extension.get()).add_device.set(Some(
            (add_device_routine as abi::AddDevice).stub("framework AddDevice"),
        ));
    }
    if flags & NO_DISPATCH_OVERRIDE == 0 {
        for slot in &wdm.major_function {
            slot.set(Some(
                (dispatch::routine as abi::Dispatch).stub("framework dispatch"),
            ));
        }
    }
    if pnp || unload != 0 {
        let unload: abi::Unload = unload_routine;
        wdm.driver_unload.set(Some(unload.stub("framework unload")));
        binding.set_displace_unload(true);
    }
}

/// AddDevice of every PnP client driver: R-DEV-05, R-DEV-06.
extern "win64" fn add_device_routine(
    driver_object: *mut DriverObject,
    physical: *mut DeviceObject,
) -> NtStatus {
    guard("AddDevice", || {
        add_device(driver_object as u64, physical as u64)
    })
}

fn add_device(driver_object: u64, physical: u64) -> NtStatus {
    let Some(driver) = binding_of(driver_object).and_then(Binding::driver) else {
        return NtStatus::NO_SUCH_DEVICE;
    };
    let init = device_init::allocate(DeviceInit::function(driver.clone(), physical));
    let status =
        NtStatus(callback::call(driver.add_device, &[driver.handle(), init]) as u32 as i32);
    let end = device_init::release(init);
    match end.device {
        Some(device) if status.is_success() => {
            device.finish_initializing();
            NtStatus::SUCCESS
        }
        Some(device) => {
            // R-DEV-06
            device.delete_failed_add();
            if end.filter {
                NtStatus::SUCCESS
            } else {
                status
            }
        }
        None if end.filter && !status.is_success() => NtStatus::SUCCESS,
        None => status,
    }
}

/// DriverUnload of client drivers: R-DEV-08.
extern "win64" fn unload_routine(driver_object: *mut DriverObject) {
    guard("DriverUnload", || {
        let Some(driver) = binding_of(driver_object as u64).and_then(Binding::driver) else {
            return;
        };
        if driver.unload != 0 {
            callback::call(driver.unload, &[driver.handle()]);
        }
        lifetime::delete(driver.object());
    });
}

/// `WdfDriverGetRegistryPath`: the zero-terminated path of the driver's service key.
fn get_registry_path(_call: &Call, driver: u64) -> u64 {
    handle::resolve::<Driver>(driver).registry_path.address()
}

/// `WdfDriverWdmGetDriverObject`: the DRIVER_OBJECT.
fn wdm_get_driver_object(_call: &Call, driver: u64) -> u64 {
    handle::resolve::<Driver>(driver).driver_object
}

/// `WdfWdmDriverGetWdfDriverHandle`: the framework's driver object of a DRIVER_OBJECT.
fn from_wdm(call: &Call, driver_object: u64) -> u64 {
    call.require(driver_object, "DriverObject");
    binding_of(driver_object)
        .and_then(Binding::driver)
        .map_or(0, |driver| driver.handle())
}

/// `WdfDriverRegisterTraceInfo`: superseded by WPP; drivers that call it are told so.
fn register_trace_info(_call: &Call, _driver_object: u64, _trace: u64, _info: u64) -> NtStatus {
    NtStatus::NOT_SUPPORTED
}

/// `WdfDriverRetrieveVersionString`: fills a string object with the framework's version.
fn retrieve_version_string(call: &Call, driver: u64, string: u64) -> NtStatus {
    handle::resolve::<Driver>(driver);
    let text = format!(
        "Kernel Mode Driver Framework version v1.{}",
        call.binding.minor()
    );
    super::string::assign(&handle::resolve(string), call.binding, &text)
}

/// `WdfDriverIsVersionAvailable`: whether this framework is at least the version asked for.
fn is_version_available(call: &Call, driver: u64, parameters: u64) -> u8 {
    handle::resolve::<Driver>(driver);
    call.require(parameters, "VersionAvailableParams");
    let major = guest::read::<u32>(parameters + 4);
    let minor = guest::read::<u32>(parameters + 8);
    u8::from(major == 1 && minor <= super::bind::newest_minor())
}
