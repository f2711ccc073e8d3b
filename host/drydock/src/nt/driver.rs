//! Drivers: loading, unloading, and what a driver object holds.

use super::abi::{
    Address, DeviceObject, Dispatch, DriverExtension, DriverObject, IO_TYPE_DRIVER, Initialize,
    Irp, UnicodeString, at, mj,
};
use super::object::{self, Kind};
use super::pool::{self, Tag};
use super::registry::{SERVICES, ServiceKey};
use super::status::NtStatus;
use super::{callout, irp, lock_order, memory, thread, workitem};
use crate::loader::{self, Image, Win64Function};
use crate::sched::Lock;
use crate::verify;
use std::collections::BTreeMap;
use std::sync::Arc;

const TAG: Tag = Tag::new(b"Driv");

/// A loaded driver beside its DRIVER_OBJECT.
struct Loaded {
    object: Address<DriverObject>,
    /// Keeps the image mapped.
    image: Option<Arc<Image>>,
    name: String,
    unloading: bool,
    /// Memory the driver asked for, by its key.
    extensions: BTreeMap<usize, Address<u8>>,
}

static DRIVERS: Lock<BTreeMap<usize, Loaded>> = Lock::new(BTreeMap::new());

/// Dispatch routine of every major function a driver does not set.
extern "win64" fn invalid_request(_device: *mut DeviceObject, request: *mut Irp) -> NtStatus {
    let status = &at(request).io_status;
    status.status.set(NtStatus::INVALID_DEVICE_REQUEST);
    status.information.set(0);
    irp::complete(request, 0);
    NtStatus::INVALID_DEVICE_REQUEST
}

/// A UNICODE_STRING of the model's own, with its characters behind it.
pub fn unicode_string(text: &str) -> *mut UnicodeString {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let block = pool::allocate_internal(size_of::<UnicodeString>() + units.len() + 2, TAG);
    let buffer = block.wrapping_add(size_of::<UnicodeString>());
    super::abi::write_bytes(buffer, &units);
    let len = units.len() as u16;
    at(block.cast::<UnicodeString>()).point_at(buffer.cast(), len, len + 2);
    block.cast()
}

fn point_copy(to: &UnicodeString, text: &str) -> *mut u8 {
    let from = unicode_string(text);
    let view = at(from);
    to.point_at(
        view.buffer.get(),
        view.length.get(),
        view.maximum_length.get(),
    );
    from.cast()
}

/// Loads an image as the driver of a service: makes the driver object and calls the image's entry.
pub fn load(image: &Arc<Image>, service: &ServiceKey) -> Result<*mut DriverObject, NtStatus> {
    loader::set_interrupt_level_access(thread::irql, thread::write_cr8);
    loader::set_user_addresses(memory::USER_BASE..memory::USER_END);
    service.write()?;
    let name = format!("\\Driver\\{}", service.name);
    let driver = make(&name, &service.name, Some(Arc::clone(image)));
    let view = at(driver);
    view.driver_start.set(image.base as *mut u8);
    view.driver_size.set(image.size as u32);
    let entry = entry_of(image.entry);
    let driver = run_entry(driver, entry, &service.path())?;
    if let Err(error) = image.discard_initialization() {
        verify::model_error(format!("{}: INIT section: {error}", image.name));
    }
    Ok(driver)
}

#[expect(unsafe_code, reason = "the entry of an image is known by address only")]
fn entry_of(address: usize) -> Initialize {
    // SAFETY: the loader vouches for the address; a native image's entry is a DRIVER_INITIALIZE.
    unsafe { std::mem::transmute::<usize, Initialize>(address) }
}

/// IoCreateDriver: a driver that is a function in memory.
pub fn create(name: &str, entry: Initialize) -> Result<*mut DriverObject, NtStatus> {
    let service = name.rsplit('\\').next().unwrap_or(name);
    let driver = make(name, service, None);
    run_entry(driver, entry, &format!("{SERVICES}\\{service}"))
}

fn make(name: &str, service: &str, image: Option<Arc<Image>>) -> *mut DriverObject {
    super::machine::start();
    let own = size_of::<DriverObject>();
    let driver =
        object::create(Kind::Driver, own + size_of::<DriverExtension>()).cast::<DriverObject>();
    let view = at(driver);
    view.kind.set(IO_TYPE_DRIVER);
    view.size.set(own as i16);
    let extension = driver
        .cast::<u8>()
        .wrapping_add(own)
        .cast::<DriverExtension>();
    view.driver_extension.set(extension);
    at(extension).driver_object.set(driver);
    point_copy(&at(extension).service_key_name, service);
    point_copy(&view.driver_name, name);
    let refuse = (invalid_request as Dispatch).stub("IopInvalidDeviceRequest");
    for routine in &view.major_function[..=usize::from(mj::MAXIMUM)] {
        routine.set(Some(refuse));
    }
    DRIVERS.lock().insert(
        driver as usize,
        Loaded {
            object: Address(driver),
            image,
            name: name.to_owned(),
            unloading: false,
            extensions: BTreeMap::new(),
        },
    );
    driver
}

fn run_entry(
    driver: *mut DriverObject,
    entry: Initialize,
    registry_path: &str,
) -> Result<*mut DriverObject, NtStatus> {
    at(driver).driver_init.set(Some(entry));
    let path = unicode_string(registry_path);
    let status = callout::initialize(entry, driver, path);
    pool::free(path.cast(), Some(TAG));
    if status.is_success() {
        return Ok(driver);
    }
    if !at(driver).device_object.get().is_null() {
        verify::violation(
            "NT-DRV-01",
            format!(
                "{}: its entry failed with {status} but left a device object",
                at(driver).driver_name.text()
            ),
        );
    }
    discard(driver);
    Err(status)
}

/// Unloads a driver: calls its unload routine and checks that it leaves nothing behind that leads to its code.
///
/// Fails with STATUS_INVALID_DEVICE_REQUEST if the driver cannot be unloaded (it has no unload routine) and with
/// STATUS_DEVICE_BUSY while PnP devices of it exist, or any device of a PnP driver.
pub fn unload(driver: *mut DriverObject) -> Result<(), NtStatus> {
    let view = at(driver);
    let Some(routine) = view.driver_unload.get() else {
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    };
    // R-DEV-34: a PnP driver goes when its last device object has gone.
    let is_pnp = at(view.driver_extension.get()).add_device.get().is_some();
    if super::pnp::uses(driver) || (is_pnp && !view.device_object.get().is_null()) {
        return Err(NtStatus::DEVICE_BUSY);
    }
    let name = match DRIVERS.lock().get_mut(&(driver as usize)) {
        Some(loaded) if !loaded.unloading => {
            loaded.unloading = true;
            loaded.name.clone()
        }
        _ => return Err(NtStatus::DELETE_PENDING),
    };
    callout::unload(routine, driver);
    workitem::wait_idle();
    if !view.device_object.get().is_null() {
        verify::violation(
            "NT-DRV-02",
            format!(
                "{name}: the unload routine returned, and a device object of the driver is still there"
            ),
        );
    }
    pool::check_freed();
    let start = view.driver_start.get() as usize;
    lock_order::forget(start..start + view.driver_size.get() as usize);
    discard(driver);
    Ok(())
}

fn discard(driver: *mut DriverObject) {
    let Some(loaded) = DRIVERS.lock().remove(&(driver as usize)) else {
        verify::model_error("a driver is discarded that is not loaded");
    };
    let view = at(driver);
    for string in [
        &view.driver_name,
        &at(view.driver_extension.get()).service_key_name,
    ] {
        let buffer = string.buffer.get().cast::<u8>();
        pool::free(buffer.wrapping_sub(size_of::<UnicodeString>()), Some(TAG));
    }
    object::dereference(Kind::Driver, driver.cast());
    for block in loaded.extensions.into_values() {
        pool::free(block.get(), Some(TAG));
    }
    drop(loaded.image);
}

/// IoDeleteDriver: a driver made by [`create`] goes away without its unload routine.
pub fn delete(driver: *mut DriverObject) {
    discard(driver);
}

/// IoAllocateDriverObjectExtension: zeroed memory of the driver object, under a key.
pub fn allocate_extension(
    driver: *mut DriverObject,
    key: *mut u8,
    size: usize,
) -> Result<*mut u8, NtStatus> {
    let mut drivers = DRIVERS.lock();
    let loaded = drivers
        .get_mut(&(driver as usize))
        .ok_or(NtStatus::INVALID_PARAMETER)?;
    if loaded.extensions.contains_key(&(key as usize)) {
        return Err(NtStatus::OBJECT_NAME_COLLISION);
    }
    let block = pool::allocate_internal(size, TAG);
    loaded.extensions.insert(key as usize, Address(block));
    Ok(block)
}

/// IoGetDriverObjectExtension: null if there is none under the key.
pub fn extension(driver: *mut DriverObject, key: *mut u8) -> *mut u8 {
    let drivers = DRIVERS.lock();
    let found = drivers
        .get(&(driver as usize))
        .and_then(|loaded| loaded.extensions.get(&(key as usize)));
    found.map_or(std::ptr::null_mut(), |block| block.get())
}

/// The driver with this name (`\Driver\...`), or of this service.
pub fn by_name(name: &str) -> Option<*mut DriverObject> {
    let drivers = DRIVERS.lock();
    let wanted = name.strip_prefix("\\Driver\\").unwrap_or(name);
    drivers
        .values()
        .find(|loaded| {
            let own = loaded
                .name
                .strip_prefix("\\Driver\\")
                .unwrap_or(&loaded.name);
            own.eq_ignore_ascii_case(wanted)
        })
        .map(|loaded| loaded.object.0)
}

/// The names of all drivers, sorted.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = DRIVERS
        .lock()
        .values()
        .map(|loaded| loaded.name.clone())
        .collect();
    names.sort();
    names
}
