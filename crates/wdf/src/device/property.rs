//! What the system knows of a device.

use wdk_sys::call_unsafe_wdf_function_binding;

use super::{DeviceContext, InStack, NewDevice};
use crate::{
    Status,
    cx::{Cx, Passive},
};

/// A property of a device, as the plug and play manager keeps it. Stands for `DEVICE_REGISTRY_PROPERTY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Property {
    /// `DevicePropertyDeviceDescription`, UTF-16 with terminator.
    Description = 0,
    /// `DevicePropertyHardwareID`, a multi-string.
    HardwareIds = 1,
    /// `DevicePropertyCompatibleIDs`, a multi-string.
    CompatibleIds = 2,
    /// `DevicePropertyClassName`, UTF-16 with terminator.
    ClassName = 5,
    /// `DevicePropertyClassGuid`, UTF-16 with terminator.
    ClassGuid = 6,
    /// `DevicePropertyManufacturer`, UTF-16 with terminator.
    Manufacturer = 8,
    /// `DevicePropertyFriendlyName`, UTF-16 with terminator.
    FriendlyName = 9,
    /// `DevicePropertyLocationInformation`, UTF-16 with terminator.
    Location = 10,
    /// `DevicePropertyPhysicalDeviceObjectName`, UTF-16 with terminator.
    PhysicalDeviceName = 11,
    /// `DevicePropertyEnumeratorName`, UTF-16 with terminator.
    Enumerator = 15,
}

impl<D: DeviceContext, R: InStack> NewDevice<'_, D, R> {
    /// Writes a property into `buffer` and says how many bytes that were. Stands for `WdfDeviceQueryProperty`. `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// `STATUS_BUFFER_TOO_SMALL`; `STATUS_OBJECT_NAME_NOT_FOUND` if the device has no such property.
    pub fn property(
        &self,
        _cx: &Cx<'_, impl Passive>,
        property: Property,
        buffer: &mut [u8],
    ) -> Result<usize, Status> {
        let room = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let mut length = 0;
        // SAFETY: the device exists and is being set up; at most `room` bytes of the buffer are written; the length is a local.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDeviceQueryProperty,
                self.handle(),
                property as wdk_sys::DEVICE_REGISTRY_PROPERTY::Type,
                room,
                buffer.as_mut_ptr().cast(),
                &raw mut length
            )
        };
        Status::from_raw(status).ok()?;
        Ok(usize::try_from(length).map_or(buffer.len(), |length| length.min(buffer.len())))
    }
}
