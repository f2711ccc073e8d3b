//! Device interfaces: names under which programs find devices of a class.

use super::super::abi::{Address, DeviceObject};
use super::super::status::NtStatus;
use super::super::{device, namespace};
use super::bus;
use crate::sched::Lock;
use std::collections::BTreeMap;
use std::fmt;

/// GUID, in the order of its bytes in memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 16]);

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g, h, i, rest @ ..] = self.0;
        write!(
            f,
            "{{{:08x}-{:04x}-{:04x}-{:02x}{:02x}-",
            u32::from_le_bytes([a, b, c, d]),
            u16::from_le_bytes([e, g]),
            u16::from_le_bytes([h, i]),
            rest[0],
            rest[1]
        )?;
        for byte in &rest[2..] {
            write!(f, "{byte:02x}")?;
        }
        write!(f, "}}")
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

struct Interface {
    class: Guid,
    physical: Address<DeviceObject>,
    enabled: bool,
}

/// By symbolic link.
static INTERFACES: Lock<BTreeMap<String, Interface>> = Lock::new(BTreeMap::new());

/// IoRegisterDeviceInterface: gives the symbolic link's name (`\??\...`), which leads nowhere until the interface is enabled.
pub fn register_interface(
    physical: *mut DeviceObject,
    class: Guid,
    reference: &str,
) -> Result<String, NtStatus> {
    let (instance, _) = bus::ids(physical).ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
    let mut link = format!("\\??\\{}#{class}", instance.replace('\\', "#"));
    if !reference.is_empty() {
        link = format!("{link}\\{reference}");
    }
    INTERFACES.lock().entry(link.clone()).or_insert(Interface {
        class,
        physical: Address(physical),
        enabled: false,
    });
    Ok(link)
}

/// IoSetDeviceInterfaceState.
pub fn set_interface_state(link: &str, enable: bool) -> Result<(), NtStatus> {
    let physical = {
        let mut interfaces = INTERFACES.lock();
        let interface = interfaces
            .get_mut(link)
            .ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?;
        if interface.enabled == enable {
            // Enabling what is enabled succeeds with a note; so does disabling.
            return if enable {
                Err(NtStatus(0x4000_0000))
            } else {
                Err(NtStatus::OBJECT_NAME_NOT_FOUND)
            };
        }
        interface.enabled = enable;
        interface.physical.0
    };
    if enable {
        let name = device::name(physical).ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
        // Opening with a reference string hands the string to the driver.
        let base = link[4..].find('\\').map_or(link, |end| &link[..4 + end]);
        namespace::create_link(link, &format!("{name}{}", &link[base.len()..]))
    } else {
        namespace::delete_link(link)
    }
}

/// CM_Get_Device_Interface_List: the paths programs can open, of all enabled interfaces of a class.
pub fn interfaces(class: Guid) -> Vec<String> {
    let interfaces = INTERFACES.lock();
    interfaces
        .iter()
        .filter(|(_, interface)| interface.class == class && interface.enabled)
        .map(|(link, _)| format!("\\\\?\\{}", &link[4..]))
        .collect()
}

/// A device is gone, and with it its interfaces.
pub(super) fn remove_all(physical: *mut DeviceObject) {
    let gone: Vec<(String, bool)> = {
        let mut interfaces = INTERFACES.lock();
        let links: Vec<(String, bool)> = interfaces
            .iter()
            .filter(|(_, interface)| interface.physical.0 == physical)
            .map(|(link, interface)| (link.clone(), interface.enabled))
            .collect();
        for (link, _) in &links {
            interfaces.remove(link);
        }
        links
    };
    for (link, enabled) in gone {
        if enabled {
            let _ = namespace::delete_link(&link);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Guid;

    #[test]
    fn a_guid_is_shown_as_the_registry_shows_it() {
        let bytes = [
            0x78, 0x56, 0x34, 0x12, 0xbc, 0x9a, 0xf0, 0xde, 1, 2, 3, 4, 5, 6, 7, 8,
        ];
        assert_eq!(
            Guid(bytes).to_string(),
            "{12345678-9abc-def0-0102-030405060708}"
        );
    }
}
