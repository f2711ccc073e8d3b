//! WDFKEY: registry keys (group F.1 of the methods a driver calls at start).

use super::attributes::{Attributes, Rules};
use super::collection::Collection;
use super::ddi::{Call, PASSIVE, export};
use super::device::Device;
use super::driver::Driver;
use super::guest;
use super::handle::{self, Typed};
use super::kind::Kind;
use super::lifetime;
use super::memory;
use super::object::{self, Body, Object};
use super::parent_or_driver;
use super::string::{self, Text};
use crate::nt::abi::DeviceObject;
use crate::nt::object as nt_object;
use crate::nt::registry::{self, REG_DWORD, REG_MULTI_SZ, REG_SZ, Value};
use crate::nt::status::NtStatus;
use crate::sched::Lock;

export! {
    "WdfDriverOpenParametersRegistryKey" => open_parameters[driver: u64, access: u32, attributes: u64, out: u64] -> NtStatus, PASSIVE;
    "WdfDeviceOpenRegistryKey" => open_device[device: u64, kind: u32, access: u32, attributes: u64, out: u64] -> NtStatus, PASSIVE;
    "WdfRegistryOpenKey" => open[parent: u64, name: u64, access: u32, attributes: u64, out: u64] -> NtStatus, PASSIVE;
    "WdfRegistryCreateKey" => create[parent: u64, name: u64, access: u32, options: u32, disposition: u64, attributes: u64, out: u64] -> NtStatus, PASSIVE;
    "WdfRegistryClose" => close[key: u64], PASSIVE;
    "WdfRegistryWdmGetHandle" => wdm_get_handle[key: u64] -> u64, PASSIVE;
    "WdfRegistryRemoveKey" => remove_key[key: u64] -> NtStatus, PASSIVE;
    "WdfRegistryRemoveValue" => remove_value[key: u64, name: u64] -> NtStatus, PASSIVE;
    "WdfRegistryQueryValue" => query_value[key: u64, name: u64, length: u32, buffer: u64, queried: u64, kind: u64] -> NtStatus, PASSIVE;
    "WdfRegistryQueryMemory" => query_memory[key: u64, name: u64, pool: u32, attributes: u64, out: u64, kind: u64] -> NtStatus, PASSIVE;
    "WdfRegistryQueryMultiString" => query_multi_string[key: u64, name: u64, attributes: u64, collection: u64] -> NtStatus, PASSIVE;
    "WdfRegistryQueryUnicodeString" => query_unicode_string[key: u64, name: u64, queried: u64, out: u64] -> NtStatus, PASSIVE;
    "WdfRegistryQueryString" => query_string[key: u64, name: u64, string: u64] -> NtStatus, PASSIVE;
    "WdfRegistryQueryULong" => query_ulong[key: u64, name: u64, out: u64] -> NtStatus, PASSIVE;
}

/// The body of a WDFKEY.
pub struct Key {
    path: String,
    /// The kernel handle, once somebody has asked for it.
    handle: Lock<Option<u64>>,
}

impl Key {
    /// Full path of the key.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

impl Body for Key {
    fn kind(&self) -> Kind {
        Kind::Key
    }

    fn destroyed(&self, _me: &Object) {
        let handle = self.handle.lock().take();
        if let Some(handle) = handle {
            let _ = nt_object::close_handle(handle);
        }
    }
}

impl Typed for Key {
    const KIND: Kind = Kind::Key;
}

fn make(call: &Call, path: String, attributes: u64, out: u64) -> NtStatus {
    call.require(out, "Key");
    guest::write(out, 0_u64);
    let attributes = match Attributes::read(attributes, Rules::PLAIN) {
        Ok(attributes) => attributes,
        Err(status) => return status,
    };
    if !registry::exists(&path) {
        return NtStatus::OBJECT_NAME_NOT_FOUND;
    }
    let body = Key {
        path,
        handle: Lock::new(None),
    };
    let parent = parent_or_driver(call, &attributes);
    match object::create(call.binding, &attributes, parent.as_ref(), body) {
        Ok(key) => {
            guest::write(out, key.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// `WdfDriverOpenParametersRegistryKey`: the `Parameters` key of the driver's service, made if it is not there.
fn open_parameters(call: &Call, driver: u64, _access: u32, attributes: u64, out: u64) -> NtStatus {
    handle::resolve::<Driver>(driver);
    let path = format!("{}\\Parameters", call.binding.registry_path());
    registry::create(&path);
    make(call, path, attributes, out)
}

/// `WdfDeviceOpenRegistryKey`: the device's hardware or software key, made if it is not there.
fn open_device(
    call: &Call,
    device: u64,
    kind: u32,
    _access: u32,
    attributes: u64,
    out: u64,
) -> NtStatus {
    let device = handle::resolve::<Device>(device);
    match device.physical() {
        Some(physical) => open_key_of(call, physical, kind, attributes, out),
        None => NtStatus::INVALID_DEVICE_REQUEST,
    }
}

/// As `WdfDeviceOpenRegistryKey`, by the physical device: before the framework device is made there is no other.
pub(super) fn open_key_of(
    call: &Call,
    physical: *mut DeviceObject,
    kind: u32,
    attributes: u64,
    out: u64,
) -> NtStatus {
    let Some(instance) = crate::nt::pnp::instance(physical) else {
        return NtStatus::INVALID_DEVICE_REQUEST;
    };
    const DEVICE_KEY: u32 = 1;
    let branch = if kind & DEVICE_KEY != 0 {
        format!(
            "\\Registry\\Machine\\System\\CurrentControlSet\\Enum\\{instance}\\Device Parameters"
        )
    } else {
        format!("\\Registry\\Machine\\System\\CurrentControlSet\\Control\\Class\\{instance}")
    };
    registry::create(&branch);
    make(call, branch, attributes, out)
}

fn below(parent: u64, name: u64) -> String {
    let name = guest::unicode_string(name);
    match handle::resolve_optional::<Key>(parent) {
        Some(parent) => format!("{}\\{name}", parent.path),
        None => name,
    }
}

/// `WdfRegistryOpenKey`: an existing key, below another or by its full path.
fn open(call: &Call, parent: u64, name: u64, _access: u32, attributes: u64, out: u64) -> NtStatus {
    call.require(name, "KeyName");
    make(call, below(parent, name), attributes, out)
}

/// `WdfRegistryCreateKey`: a key, made if it is not there.
#[expect(clippy::too_many_arguments, reason = "as many as the DDI has")]
fn create(
    call: &Call,
    parent: u64,
    name: u64,
    _access: u32,
    _options: u32,
    disposition: u64,
    attributes: u64,
    out: u64,
) -> NtStatus {
    call.require(name, "KeyName");
    let path = below(parent, name);
    let is_new = registry::create(&path);
    let status = make(call, path, attributes, out);
    if status.is_success() {
        // REG_CREATED_NEW_KEY and REG_OPENED_EXISTING_KEY.
        guest::write(disposition, if is_new { 1_u32 } else { 2 });
    }
    status
}

/// `WdfRegistryClose`: deletes the key object.
fn close(_call: &Call, key: u64) {
    lifetime::delete(handle::resolve::<Key>(key).object());
}

/// `WdfRegistryWdmGetHandle`: a kernel handle of the key, owned by the key object.
fn wdm_get_handle(_call: &Call, key: u64) -> u64 {
    let key = handle::resolve::<Key>(key);
    let known = *key.handle.lock();
    if let Some(handle) = known {
        return handle;
    }
    match registry::open(&key.path) {
        Ok(handle) => {
            *key.handle.lock() = Some(handle);
            handle
        }
        Err(_) => 0,
    }
}

/// `WdfRegistryRemoveKey`: deletes the key and its object.
fn remove_key(_call: &Call, key: u64) -> NtStatus {
    let key = handle::resolve::<Key>(key);
    match registry::delete(&key.path) {
        Ok(()) => {
            lifetime::delete(key.object());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// `WdfRegistryRemoveValue`: deletes a value.
fn remove_value(call: &Call, key: u64, name: u64) -> NtStatus {
    call.require(name, "ValueName");
    let key = handle::resolve::<Key>(key);
    match registry::delete_value(&key.path, &guest::unicode_string(name)) {
        Ok(()) => NtStatus::SUCCESS,
        Err(status) => status,
    }
}

fn read(call: &Call, key: u64, name: u64) -> Result<Value, NtStatus> {
    call.require(name, "ValueName");
    let key = handle::resolve::<Key>(key);
    registry::query(&key.path, &guest::unicode_string(name))
}

/// A value that must be of one kind.
fn read_kind(call: &Call, key: u64, name: u64, kind: u32) -> Result<Value, NtStatus> {
    let value = read(call, key, name)?;
    if value.kind == kind {
        Ok(value)
    } else {
        Err(NtStatus::OBJECT_TYPE_MISMATCH)
    }
}

/// The UTF-16 units of a value, without the zero that ends them.
fn units(value: &Value) -> Vec<u16> {
    let mut units: Vec<u16> = value
        .data
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    if units.last() == Some(&0) {
        units.pop();
    }
    units
}

/// `WdfRegistryQueryValue`: a value as it is.
fn query_value(
    call: &Call,
    key: u64,
    name: u64,
    length: u32,
    buffer: u64,
    queried: u64,
    kind: u64,
) -> NtStatus {
    let value = match read(call, key, name) {
        Ok(value) => value,
        Err(status) => return status,
    };
    guest::write(queried, value.data.len() as u32);
    guest::write(kind, value.kind);
    if buffer == 0 || (length as usize) < value.data.len() {
        return NtStatus::BUFFER_OVERFLOW;
    }
    guest::put_bytes(buffer, &value.data);
    NtStatus::SUCCESS
}

/// `WdfRegistryQueryMemory`: a value in a new memory object.
fn query_memory(
    call: &Call,
    key: u64,
    name: u64,
    pool: u32,
    attributes: u64,
    out: u64,
    kind: u64,
) -> NtStatus {
    call.require(out, "Memory");
    guest::write(out, 0_u64);
    let attributes = match Attributes::read(attributes, Rules::PLAIN) {
        Ok(attributes) => attributes,
        Err(status) => return status,
    };
    match read(call, key, name) {
        Ok(value) => {
            guest::write(kind, value.kind);
            memory::make_with(call, &attributes, pool, &value.data, out)
        }
        Err(status) => status,
    }
}

/// `WdfRegistryQueryMultiString`: the strings of a REG_MULTI_SZ as string objects in a collection.
fn query_multi_string(
    call: &Call,
    key: u64,
    name: u64,
    attributes: u64,
    collection: u64,
) -> NtStatus {
    let collection = handle::resolve::<Collection>(collection);
    let attributes = match Attributes::read(attributes, Rules::PLAIN) {
        Ok(attributes) => attributes,
        Err(status) => return status,
    };
    let value = match read_kind(call, key, name, REG_MULTI_SZ) {
        Ok(value) => value,
        Err(status) => return status,
    };
    for text in units(&value).split(|unit| *unit == 0) {
        if text.is_empty() {
            continue;
        }
        let parent = attributes
            .parent
            .clone()
            .unwrap_or_else(|| collection.object().clone());
        match string::make(
            call.binding,
            &attributes,
            &parent,
            &String::from_utf16_lossy(text),
        ) {
            Ok(string) => collection.push(string.object()),
            Err(status) => return status,
        }
    }
    NtStatus::SUCCESS
}

/// `WdfRegistryQueryUnicodeString`: a REG_SZ into the driver's UNICODE_STRING.
fn query_unicode_string(call: &Call, key: u64, name: u64, queried: u64, out: u64) -> NtStatus {
    let value = match read_kind(call, key, name, REG_SZ) {
        Ok(value) => value,
        Err(status) => return status,
    };
    let text = units(&value);
    let bytes = 2 * text.len();
    guest::write(queried, (bytes + 2) as u16);
    if out == 0 {
        return NtStatus::SUCCESS;
    }
    if usize::from(guest::read::<u16>(out + 2)) < bytes {
        return NtStatus::BUFFER_OVERFLOW;
    }
    let buffer = guest::read::<u64>(out + 8);
    for (i, unit) in text.iter().enumerate() {
        guest::write(buffer + 2 * i as u64, *unit);
    }
    guest::write(out, bytes as u16);
    NtStatus::SUCCESS
}

/// `WdfRegistryQueryString`: a REG_SZ into a string object.
fn query_string(call: &Call, key: u64, name: u64, string: u64) -> NtStatus {
    let string = handle::resolve::<Text>(string);
    match read_kind(call, key, name, REG_SZ) {
        Ok(value) => {
            let text = String::from_utf16_lossy(&units(&value));
            string::assign(&string, call.binding, &text)
        }
        Err(status) => status,
    }
}

/// `WdfRegistryQueryULong`: a REG_DWORD.
fn query_ulong(call: &Call, key: u64, name: u64, out: u64) -> NtStatus {
    call.require(out, "Value");
    let value = match read_kind(call, key, name, REG_DWORD) {
        Ok(value) => value,
        Err(status) => return status,
    };
    match <[u8; 4]>::try_from(value.data.as_slice()) {
        Ok(bytes) => {
            guest::write(out, u32::from_le_bytes(bytes));
            NtStatus::SUCCESS
        }
        Err(_) => NtStatus::OBJECT_TYPE_MISMATCH,
    }
}
