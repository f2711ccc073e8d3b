//! Io and Po: device interfaces, properties, power.

use super::exports;
use crate::loader::call;
use crate::nt::abi::{
    Address, DeviceObject, IoStatusBlock, Irp, UnicodeString, at, read_in, text_at, write_bytes,
    write_out,
};
use crate::nt::pnp::{self, DevicePower, Guid};
use crate::nt::pool::{self, PoolKind, Tag};
use crate::nt::power;
use crate::nt::status::NtStatus;

const TAG: Tag = Tag::new(b"IoPn");

fn guid_at(guid: *const [u8; 16]) -> Guid {
    Guid(read_in(guid))
}

/// Gives a driver a string in pool that it frees with RtlFreeUnicodeString.
pub(super) fn give_string(out: *mut UnicodeString, text: &str) {
    let units: Vec<u8> = text
        .encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect();
    let buffer = pool::allocate(PoolKind::Paged, units.len(), TAG, false);
    write_bytes(buffer, &units);
    let length = units.len() as u16;
    at(out).point_at(buffer.cast(), length - 2, length);
}

fn device_power(state: u32) -> DevicePower {
    match state {
        1 => DevicePower::D0,
        2 => DevicePower::D1,
        3 => DevicePower::D2,
        _ => DevicePower::D3,
    }
}

/// REQUEST_POWER_COMPLETE.
#[expect(
    unsafe_code,
    reason = "a power completion routine is known by address only"
)]
fn call_power_complete(
    routine: usize,
    device: *mut DeviceObject,
    minor: u8,
    state: u32,
    context: *mut u8,
    status: NtStatus,
) {
    let block = IoStatusBlock {
        status: crate::nt::abi::Field::new(status),
        information: crate::nt::abi::Field::new(0),
    };
    let block = std::ptr::from_ref(&block) as u64;
    // SAFETY: the driver vouches that the address is a REQUEST_POWER_COMPLETE, which takes these arguments.
    unsafe {
        call::call5(
            routine,
            device as u64,
            minor.into(),
            state.into(),
            context as u64,
            block,
        )
    };
}

exports! {
    PASSIVE fn IoRegisterDeviceInterface(physical: *mut DeviceObject, class: *const [u8; 16], reference: *mut UnicodeString, out: *mut UnicodeString) -> NtStatus {
        if crate::verify::failable("IoRegisterDeviceInterface") {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        match pnp::register_interface(physical, guid_at(class), &text_at(reference)) {
            Ok(link) => {
                give_string(out, &link);
                NtStatus::SUCCESS
            }
            Err(status) => status,
        }
    }
    PASSIVE fn IoSetDeviceInterfaceState(link: *mut UnicodeString, enable: u8) -> NtStatus {
        NtStatus::of(pnp::set_interface_state(&text_at(link), enable != 0))
    }
    PASSIVE fn IoGetDeviceInterfaces(class: *const [u8; 16], _physical: *mut DeviceObject, _flags: u32, out: *mut *mut u16) -> NtStatus {
        let links: Vec<String> = pnp::interfaces(guid_at(class));
        let text: String = links.iter().map(|link| format!("{}\0", link.replace("\\\\?\\", "\\??\\"))).collect();
        let units: Vec<u8> = text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let buffer = pool::allocate(PoolKind::Paged, units.len(), TAG, false);
        write_bytes(buffer, &units);
        write_out(out, buffer.cast());
        NtStatus::SUCCESS
    }
    PASSIVE fn IoGetDeviceProperty(physical: *mut DeviceObject, property: u32, size: u32, buffer: *mut u8, needed: *mut u32) -> NtStatus {
        let bytes = match pnp::property(physical, property) {
            Ok(bytes) => bytes,
            Err(status) => return status,
        };
        write_out(needed, bytes.len() as u32);
        if (size as usize) < bytes.len() {
            return NtStatus::BUFFER_TOO_SMALL;
        }
        write_bytes(buffer, &bytes);
        NtStatus::SUCCESS
    }
    DISPATCH fn IoInvalidateDeviceState(_physical: *mut DeviceObject) {}
    DISPATCH fn IoInvalidateDeviceRelations(_physical: *mut DeviceObject, _kind: u32) {}
    DISPATCH fn PoStartNextPowerIrp(_request: *mut Irp) {}
    DISPATCH fn PoSetPowerState(_device: *mut DeviceObject, _kind: u32, state: u32) -> u32 {
        state
    }
    DISPATCH fn PoRequestPowerIrp(target: *mut DeviceObject, minor: u8, state: u32, routine: usize, context: *mut u8, out: *mut *mut Irp) -> NtStatus {
        write_out(out, std::ptr::null_mut());
        let (device, context) = (Address(target), Address(context));
        power::request(target, minor, device_power(state), move |status| {
            if routine != 0 {
                call_power_complete(routine, device.get(), minor, state, context.get(), status);
            }
        })
    }
    DISPATCH fn PoRegisterDeviceForIdleDetection(_device: *mut DeviceObject, _conservation: u32, _performance: u32, _state: u32) -> *mut u32 {
        std::ptr::null_mut()
    }
    DISPATCH fn PoSetSystemState(_flags: u32) {}
}
