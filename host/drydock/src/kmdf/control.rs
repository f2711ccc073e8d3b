//! Control devices: finishing their set-up, and their end while handles are open (R-DEV-30 to R-DEV-34).

use super::ddi::{Call, PASSIVE, export};
use super::device::Device;
use super::handle::{self, Ref};
use super::lifetime;

export! {
    "WdfControlFinishInitializing" => finish_initializing[device: u64], PASSIVE;
}

/// `WdfControlFinishInitializing`: R-DEV-32.
fn finish_initializing(call: &Call, device: u64) {
    let device = handle::resolve::<Device>(device);
    if device.is_control() {
        device.finish_initializing();
    } else {
        call.framework_break("R-DEV-32", "the device is not a control device");
    }
}

/// The driver deletes a control device: new opens are refused at once. True: no handle is open, deletion may go on
/// (R-DEV-33). Its name and its symbolic link stay until the object ends.
pub(super) fn begin_delete(device: &Ref<Device>) -> bool {
    device.delete_wdm();
    device.files().close_door()
}

/// The last handle of a deleted control device is closed (R-DEV-33).
pub(super) fn last_handle_closed(device: &Ref<Device>) {
    lifetime::delete(device.object());
}
