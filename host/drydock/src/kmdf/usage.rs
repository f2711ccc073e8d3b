//! Special files: paging, hibernation and dump files on the device.

use super::device::Device;
use super::device_init::PnpEvent;
use super::dispatch;
use super::forward;
use super::handle::Ref;
use super::pnp;
use crate::nt;
use crate::nt::abi::Irp;
use crate::nt::status::NtStatus;
use crate::sched::Lock;

/// `WDF_SPECIAL_FILE_TYPE` values run from 1 (paging) to 4 (boot).
const TYPES: usize = 5;

/// What special files are supported and in use.
#[derive(Default)]
pub struct Usage {
    state: Lock<State>,
}

#[derive(Default)]
struct State {
    supported: [bool; TYPES],
    in_use: [u32; TYPES],
}

impl Usage {
    /// `WdfDeviceSetSpecialFileSupport`; false for an unknown type.
    pub(super) fn support(&self, file: u32, supported: bool) -> bool {
        match self.state.lock().supported.get_mut(file as usize) {
            Some(slot) if file > 0 => {
                *slot = supported;
                true
            }
            _ => false,
        }
    }

    /// A special file is on the device, so it can be neither stopped nor removed.
    pub fn is_in_use(&self) -> bool {
        self.state.lock().in_use.iter().any(|count| *count > 0)
    }

    fn is_supported(&self, file: u32) -> bool {
        self.state
            .lock()
            .supported
            .get(file as usize)
            .copied()
            .unwrap_or(false)
    }

    fn count(&self, file: u32, in_path: bool) {
        if let Some(count) = self.state.lock().in_use.get_mut(file as usize) {
            *count = if in_path {
                *count + 1
            } else {
                count.saturating_sub(1)
            };
        }
    }
}

/// IRP_MN_DEVICE_USAGE_NOTIFICATION: a function driver answers only for files it supports; a filter passes all on. Where
/// the driver has EvtDeviceUsageNotificationEx, it may refuse, and is told again if a lower device refuses.
pub(super) fn notification(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    let location = nt::irp::current(irp);
    let (file, in_path) = (location.usage_type(), location.usage_in_path());
    let _turn = device.pnp().serial().enter();
    let usage = device.pnp().usage();
    if !device.is_filter() && !usage.is_supported(file) {
        return dispatch::complete(irp, NtStatus::NOT_IMPLEMENTED);
    }
    let arguments = [u64::from(file), u64::from(in_path)];
    let status = pnp::ask(device, PnpEvent::UsageNotificationEx, &arguments);
    if !status.is_success() {
        return dispatch::complete(irp, status);
    }
    let status = forward::and_wait(device, irp);
    if status.is_success() {
        usage.count(file, in_path);
        let _ = pnp::ask(device, PnpEvent::UsageNotification, &arguments);
    } else {
        let back = [u64::from(file), u64::from(!in_path)];
        let _ = pnp::ask(device, PnpEvent::UsageNotificationEx, &back);
    }
    dispatch::complete_keeping_information(irp, status)
}
