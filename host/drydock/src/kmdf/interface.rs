//! Device interfaces and the symbolic link of a device (R-DEV-18, R-DEV-19).

use super::ddi::{Call, PASSIVE, export};
use super::device::Device;
use super::guest;
use super::handle;
use super::string;
use crate::nt;
use crate::nt::namespace;
use crate::nt::pnp::{self, Guid};
use crate::nt::status::NtStatus;
use crate::sched::Lock;

export! {
    "WdfDeviceCreateDeviceInterface" => create[device: u64, class: u64, reference: u64] -> NtStatus, PASSIVE;
    "WdfDeviceSetDeviceInterfaceState" => set_state[device: u64, class: u64, reference: u64, enabled: u8], PASSIVE;
    "WdfDeviceSetDeviceInterfaceStateEx" => set_state_ex[device: u64, class: u64, reference: u64, enabled: u8] -> NtStatus, PASSIVE;
    "WdfDeviceRetrieveDeviceInterfaceString" => retrieve_string[device: u64, class: u64, reference: u64, string: u64] -> NtStatus, PASSIVE;
    "WdfDeviceCreateSymbolicLink" => create_symbolic_link[device: u64, name: u64] -> NtStatus, PASSIVE;
}

struct Interface {
    class: Guid,
    reference: String,
    link: String,
    /// The driver does not want it enabled at start.
    off: bool,
}

#[derive(Default)]
struct State {
    interfaces: Vec<Interface>,
    /// The device has been started and not removed.
    started: bool,
    symbolic_link: Option<String>,
}

/// The names by which programs find a device.
#[derive(Default)]
pub struct Interfaces(Lock<State>);

impl Interfaces {
    /// The device has started (R-DEV-18).
    pub(super) fn enable_all(&self) {
        let links: Vec<String> = {
            let mut state = self.0.lock();
            state.started = true;
            let wanted = state.interfaces.iter().filter(|interface| !interface.off);
            wanted.map(|interface| interface.link.clone()).collect()
        };
        for link in links {
            set(&link, true);
        }
    }

    /// The device is being removed: its interfaces and its symbolic link go (R-DEV-62).
    pub(super) fn remove_all(&self) {
        let (links, symbolic) = {
            let mut state = self.0.lock();
            let started = std::mem::take(&mut state.started);
            let links: Vec<String> = if started {
                state.interfaces.iter().map(|i| i.link.clone()).collect()
            } else {
                Vec::new()
            };
            (links, state.symbolic_link.take())
        };
        for link in links {
            set(&link, false);
        }
        if let Some(link) = symbolic {
            // Somebody else may have deleted the name meanwhile; then there is nothing left to do.
            let _ = namespace::delete_link(&link);
        }
    }
}

/// Enabling what is enabled, or the reverse, has no effect; neither has a name that is already gone.
fn set(link: &str, enable: bool) {
    let _ = pnp::set_interface_state(link, enable);
}

fn guid_at(call: &Call, class: u64) -> Guid {
    call.require(class, "InterfaceClassGUID");
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&guest::bytes(class, 16));
    Guid(bytes)
}

/// The reference string of an optional UNICODE_STRING.
fn reference_at(reference: u64) -> String {
    guest::unicode_string(reference)
}

/// `WdfDeviceCreateDeviceInterface`: R-DEV-18. PASSIVE_LEVEL.
fn create(call: &Call, device: u64, class: u64, reference: u64) -> NtStatus {
    let device = handle::resolve::<Device>(device);
    let class = guid_at(call, class);
    let Some(physical) = device.physical() else {
        return NtStatus::INVALID_DEVICE_REQUEST;
    };
    let reference = reference_at(reference);
    let link = match pnp::register_interface(physical, class, &reference) {
        Ok(link) => link,
        Err(status) => return status,
    };
    let now = {
        let mut state = device.interfaces().0.lock();
        state.interfaces.push(Interface {
            class,
            reference,
            link: link.clone(),
            off: false,
        });
        state.started
    };
    if now {
        set(&link, true);
    }
    NtStatus::SUCCESS
}

/// `WdfDeviceSetDeviceInterfaceState`: enables or disables an interface, at once if the device has started.
fn set_state(call: &Call, device: u64, class: u64, reference: u64, enabled: u8) {
    let status = set_state_ex(call, device, class, reference, enabled);
    if !status.is_success() {
        call.framework_break("R-DEV-18", "the device has no such interface");
    }
}

/// `WdfDeviceSetDeviceInterfaceStateEx`: as `WdfDeviceSetDeviceInterfaceState`, with a status.
fn set_state_ex(call: &Call, device: u64, class: u64, reference: u64, enabled: u8) -> NtStatus {
    let device = handle::resolve::<Device>(device);
    let class = guid_at(call, class);
    let reference = reference_at(reference);
    let link = {
        let mut state = device.interfaces().0.lock();
        let started = state.started;
        let found = state
            .interfaces
            .iter_mut()
            .find(|interface| interface.class == class && interface.reference == reference);
        match found {
            None => return NtStatus::OBJECT_NAME_NOT_FOUND,
            Some(interface) => {
                interface.off = enabled == 0;
                started.then(|| interface.link.clone())
            }
        }
    };
    if let Some(link) = link {
        set(&link, enabled != 0);
    }
    NtStatus::SUCCESS
}

/// `WdfDeviceRetrieveDeviceInterfaceString`: the interface's symbolic link name into a string object.
fn retrieve_string(call: &Call, device: u64, class: u64, reference: u64, string: u64) -> NtStatus {
    let device = handle::resolve::<Device>(device);
    let class = guid_at(call, class);
    let reference = reference_at(reference);
    let string = handle::resolve(string);
    let link = device
        .interfaces()
        .0
        .lock()
        .interfaces
        .iter()
        .find(|interface| interface.class == class && interface.reference == reference)
        .map(|interface| interface.link.clone());
    match link {
        Some(link) => string::assign(&string, call.binding, &link),
        None => NtStatus::OBJECT_NAME_NOT_FOUND,
    }
}

/// `WdfDeviceCreateSymbolicLink`: R-DEV-19. PASSIVE_LEVEL.
fn create_symbolic_link(call: &Call, device: u64, name: u64) -> NtStatus {
    let device = handle::resolve::<Device>(device);
    call.require(name, "SymbolicLinkName");
    let link = guest::unicode_string(name);
    if link.is_empty() {
        return NtStatus::INVALID_DEVICE_REQUEST;
    }
    let Some(target) = device_name(&device) else {
        return NtStatus::INVALID_DEVICE_REQUEST;
    };
    {
        let mut state = device.interfaces().0.lock();
        if state.symbolic_link.is_some() {
            return NtStatus::INVALID_DEVICE_REQUEST;
        }
        state.symbolic_link = Some(link.clone());
    }
    match namespace::create_link(&link, &target) {
        Ok(()) => NtStatus::SUCCESS,
        Err(status) => {
            device.interfaces().0.lock().symbolic_link = None;
            status
        }
    }
}

/// The name a symbolic link can lead to: the device's own, or that of the physical device.
pub(super) fn device_name(device: &Device) -> Option<String> {
    nt::device::name(device.wdm()).or_else(|| device.physical().and_then(nt::device::name))
}
