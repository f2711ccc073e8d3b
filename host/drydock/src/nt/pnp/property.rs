//! What the system knows of a device beside its stack: the properties drivers can ask for.

use super::super::abi::DeviceObject;
use super::super::device;
use super::super::registry;
use super::super::status::NtStatus;
use super::bus;

/// DEVICE_REGISTRY_PROPERTY, as far as a root-enumerated device without resources has it.
mod number {
    pub(super) const DEVICE_DESCRIPTION: u32 = 0;
    pub(super) const HARDWARE_ID: u32 = 1;
    pub(super) const COMPATIBLE_IDS: u32 = 2;
    pub(super) const CLASS_NAME: u32 = 5;
    pub(super) const CLASS_GUID: u32 = 6;
    pub(super) const DRIVER_KEY_NAME: u32 = 7;
    pub(super) const MANUFACTURER: u32 = 8;
    pub(super) const FRIENDLY_NAME: u32 = 9;
    pub(super) const LOCATION_INFORMATION: u32 = 0xa;
    pub(super) const PHYSICAL_DEVICE_OBJECT_NAME: u32 = 0xb;
    pub(super) const ENUMERATOR_NAME: u32 = 0xf;
    pub(super) const INSTALL_STATE: u32 = 0x12;
    pub(super) const REMOVAL_POLICY: u32 = 0x13;
    pub(super) const LAST: u32 = 0x16;
}

/// InstallStateInstalled.
const INSTALLED: u32 = 0;
/// RemovalPolicyExpectNoRemoval.
const NO_REMOVAL: u32 = 1;
/// Where the description of an installed device is.
const ENUM: &str = "\\Registry\\Machine\\System\\CurrentControlSet\\Enum";

/// The bytes of a property, strings with their end (IoGetDeviceProperty).
///
/// What an installation would have described is read from the device's key below `Enum`, where a test can put it.
///
/// # Errors
/// STATUS_INVALID_DEVICE_REQUEST: no physical device. STATUS_INVALID_PARAMETER_2: no such property.
/// STATUS_OBJECT_NAME_NOT_FOUND: this device does not have it.
pub fn property(physical: *mut DeviceObject, property: u32) -> Result<Vec<u8>, NtStatus> {
    let (instance, hardware_ids) = bus::ids(physical).ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
    let described = |value: &str| {
        let value = registry::query(&format!("{ENUM}\\{instance}"), value);
        value.map(|value| value.data)
    };
    match property {
        number::HARDWARE_ID => Ok(strings(&hardware_ids)),
        number::PHYSICAL_DEVICE_OBJECT_NAME => device::name(physical)
            .map(|name| string(&name))
            .ok_or(NtStatus::OBJECT_NAME_NOT_FOUND),
        number::ENUMERATOR_NAME => Ok(string(
            instance.split_once('\\').map_or(&*instance, |(bus, _)| bus),
        )),
        number::INSTALL_STATE => Ok(INSTALLED.to_le_bytes().to_vec()),
        number::REMOVAL_POLICY => Ok(NO_REMOVAL.to_le_bytes().to_vec()),
        number::DEVICE_DESCRIPTION => described("DeviceDesc"),
        number::COMPATIBLE_IDS => described("CompatibleIDs"),
        number::CLASS_NAME => described("Class"),
        number::CLASS_GUID => described("ClassGUID"),
        number::DRIVER_KEY_NAME => described("Driver"),
        number::MANUFACTURER => described("Mfg"),
        number::FRIENDLY_NAME => described("FriendlyName"),
        number::LOCATION_INFORMATION => described("LocationInformation"),
        other if other <= number::LAST => Err(NtStatus::OBJECT_NAME_NOT_FOUND),
        _ => Err(NtStatus::INVALID_PARAMETER_2),
    }
}

fn string(text: &str) -> Vec<u8> {
    let units = text.encode_utf16().chain([0]);
    units.flat_map(u16::to_le_bytes).collect()
}

fn strings(list: &[String]) -> Vec<u8> {
    let mut bytes: Vec<u8> = list.iter().flat_map(|text| string(text)).collect();
    bytes.extend([0, 0]);
    bytes
}
