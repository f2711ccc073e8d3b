//! The power side of a device: system and device power requests (R-DEV-61, R-DEV-66).

use super::ddi::guard;
use super::device::Device;
use super::dispatch;
use super::forward;
use super::handle::Ref;
use super::pnp::{self, Stage};
use crate::nt;
use crate::nt::abi::{Address, Irp, mn};
use crate::nt::pnp::DevicePower;
use crate::nt::status::NtStatus;

/// PowerSystemWorking.
const S0: u32 = 1;
/// PowerDeviceD0.
const D0: u32 = 1;

/// IRP_MJ_POWER. Above PASSIVE_LEVEL the work moves to a work item, as it calls the driver and waits.
pub(super) fn dispatch(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    if nt::irp::current(irp).minor_function.get() != mn::SET_POWER {
        return forward::skip(device, irp);
    }
    if nt::thread::current().irql() == 0 {
        return set_power(device, irp);
    }
    nt::irp::mark_pending(irp);
    let device = device.clone();
    let irp = Address(irp);
    nt::workitem::queue(nt::workitem::Queue::Critical, move || {
        guard("a power request", || {
            let _ = set_power(&device, irp.get());
        });
    });
    NtStatus::PENDING
}

fn set_power(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    let location = nt::irp::current(irp);
    let state = location.power_state();
    if location.power_type() == 0 {
        system(device, irp, state)
    } else {
        device_state(device, irp, state)
    }
}

fn owns_policy(device: &Device) -> bool {
    device
        .config()
        .power_policy_owner
        .unwrap_or(!device.is_filter())
}

/// A system power request: the power policy owner turns it into a device power request. Going to sleep, the system waits
/// for the device; waking up, it does not.
fn system(device: &Ref<Device>, irp: *mut Irp, state: u32) -> NtStatus {
    if !owns_policy(device) || device.pnp().stage() != Stage::Started {
        return forward::skip(device, irp);
    }
    if state == S0 {
        let held = device.clone();
        let status = forward::skip(device, irp);
        if !held.pnp().in_d0() {
            request(&held, DevicePower::D0, |_| ());
        }
        return status;
    }
    if !device.pnp().in_d0() {
        return forward::skip(device, irp);
    }
    nt::irp::mark_pending(irp);
    let held = device.clone();
    let irp = Address(irp);
    request(device, DevicePower::D3, move |_| {
        let _ = forward::skip(&held, irp.get());
    });
    NtStatus::PENDING
}

/// Asks the power manager for a device power request; `done` follows its completion.
fn request(device: &Device, state: DevicePower, done: impl FnOnce(NtStatus) + Send + 'static) {
    let _ = nt::power::request(device.wdm(), mn::SET_POWER, state, done);
}

/// A device power request: down before the lower device, up after it.
fn device_state(device: &Ref<Device>, irp: *mut Irp, state: u32) -> NtStatus {
    let _turn = device.pnp().serial().enter();
    if device.pnp().stage() != Stage::Started {
        return forward::skip(device, irp);
    }
    if state == D0 {
        let mut status = forward::and_wait(device, irp);
        if status.is_success() && !device.pnp().in_d0() {
            status = pnp::power_up(device);
        }
        return dispatch::complete_keeping_information(irp, status);
    }
    if device.pnp().in_d0() {
        pnp::power_down(device, u64::from(state));
    }
    forward::skip(device, irp)
}
