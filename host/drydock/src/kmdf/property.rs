//! Device properties: what the system knows of the physical device (`WdfDeviceQueryProperty` and its kin).

use super::attributes::{Attributes, Rules};
use super::ddi::{Call, PASSIVE, export};
use super::device::Device;
use super::guest;
use super::handle;
use super::init_ddi;
use super::memory;
use super::registry;
use crate::nt::abi::DeviceObject;
use crate::nt::pnp;
use crate::nt::status::NtStatus;

export! {
    "WdfDeviceQueryProperty" => query[device: u64, property: u32, length: u32, buffer: u64, result: u64] -> NtStatus, PASSIVE;
    "WdfDeviceAllocAndQueryProperty" => alloc_and_query[device: u64, property: u32, pool: u32, attributes: u64, out: u64] -> NtStatus, PASSIVE;
    "WdfFdoInitQueryProperty" => query_of_init[init: u64, property: u32, length: u32, buffer: u64, result: u64] -> NtStatus, PASSIVE;
    "WdfFdoInitAllocAndQueryProperty" => alloc_and_query_of_init[init: u64, property: u32, pool: u32, attributes: u64, out: u64] -> NtStatus, PASSIVE;
    "WdfFdoInitOpenRegistryKey" => open_key_of_init[init: u64, kind: u32, access: u32, attributes: u64, out: u64] -> NtStatus, PASSIVE;
}

/// Copies a property to the driver's buffer and says how long it is.
pub(super) fn copy_out(
    call: &Call,
    property: Result<Vec<u8>, NtStatus>,
    length: u32,
    buffer: u64,
    result: u64,
) -> NtStatus {
    call.require(result, "ResultLength");
    let data = match property {
        Ok(data) => data,
        Err(status) => return status,
    };
    guest::write(result, data.len() as u32);
    if (length as usize) < data.len() {
        return NtStatus::BUFFER_TOO_SMALL;
    }
    guest::put_bytes(buffer, &data);
    NtStatus::SUCCESS
}

/// Puts a property into a new memory object.
pub(super) fn give_memory(
    call: &Call,
    property: impl FnOnce() -> Result<Vec<u8>, NtStatus>,
    pool: u32,
    attributes: u64,
    out: u64,
) -> NtStatus {
    call.require(out, "PropertyMemory");
    guest::write(out, 0_u64);
    let wanted = Attributes::read(attributes, Rules::PLAIN)
        .and_then(|attributes| Ok((attributes, property()?)));
    match wanted {
        Ok((attributes, data)) => memory::make_with(call, &attributes, pool, &data, out),
        Err(status) => status,
    }
}

fn of_device(device: u64, property: u32) -> Result<Vec<u8>, NtStatus> {
    let device = handle::resolve::<Device>(device);
    let physical = device.physical().ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
    pnp::property(physical, property)
}

fn of_init(call: &Call, init: u64, property: u32) -> Result<Vec<u8>, NtStatus> {
    let physical = init_ddi::physical(call, init).ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
    pnp::property(physical as *mut DeviceObject, property)
}

/// `WdfDeviceQueryProperty`: a property into a buffer. PASSIVE_LEVEL.
fn query(
    call: &Call,
    device: u64,
    property: u32,
    length: u32,
    buffer: u64,
    result: u64,
) -> NtStatus {
    copy_out(call, of_device(device, property), length, buffer, result)
}

/// `WdfDeviceAllocAndQueryProperty`: a property into a memory object. PASSIVE_LEVEL.
fn alloc_and_query(
    call: &Call,
    device: u64,
    property: u32,
    pool: u32,
    attributes: u64,
    out: u64,
) -> NtStatus {
    give_memory(call, || of_device(device, property), pool, attributes, out)
}

/// `WdfFdoInitQueryProperty`: as `WdfDeviceQueryProperty`, before the device is made. PASSIVE_LEVEL.
fn query_of_init(
    call: &Call,
    init: u64,
    property: u32,
    length: u32,
    buffer: u64,
    result: u64,
) -> NtStatus {
    copy_out(call, of_init(call, init, property), length, buffer, result)
}

/// `WdfFdoInitAllocAndQueryProperty`: as `WdfDeviceAllocAndQueryProperty`, before the device is made. PASSIVE_LEVEL.
fn alloc_and_query_of_init(
    call: &Call,
    init: u64,
    property: u32,
    pool: u32,
    attributes: u64,
    out: u64,
) -> NtStatus {
    give_memory(
        call,
        || of_init(call, init, property),
        pool,
        attributes,
        out,
    )
}

/// `WdfFdoInitOpenRegistryKey`: as `WdfDeviceOpenRegistryKey`, before the device is made. PASSIVE_LEVEL.
fn open_key_of_init(
    call: &Call,
    init: u64,
    kind: u32,
    _access: u32,
    attributes: u64,
    out: u64,
) -> NtStatus {
    match init_ddi::physical(call, init) {
        Some(physical) => {
            registry::open_key_of(call, physical as *mut DeviceObject, kind, attributes, out)
        }
        None => NtStatus::INVALID_DEVICE_REQUEST,
    }
}
