//! Device interfaces and symbolic links: how user mode finds a device.

use wdk_sys::{GUID, call_unsafe_wdf_function_binding};

use super::{DeviceContext, Function, NewDevice, Role};
use crate::{
    Status, Wide,
    cx::{Cx, Passive},
};

impl<D: DeviceContext> NewDevice<'_, D, Function> {
    /// `WdfDeviceCreateDeviceInterface` without reference string. The framework enables it when the device starts and disables it at removal (R-DEV-18).
    ///
    /// # Errors
    /// What the framework returns.
    pub fn interface(
        &self,
        _cx: &Cx<'_, impl Passive>,
        (data1, data2, data3, data4): (u32, u16, u16, [u8; 8]),
    ) -> Result<(), Status> {
        let class = GUID {
            Data1: data1,
            Data2: data2,
            Data3: data3,
            Data4: data4,
        };
        // SAFETY: the device exists; the GUID is read during the call.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDeviceCreateDeviceInterface,
                self.handle(),
                &raw const class,
                core::ptr::null()
            )
        };
        Status::from_raw(status).ok()
    }
}

impl<D: DeviceContext, R: Role> NewDevice<'_, D, R> {
    /// `WdfDeviceCreateSymbolicLink`; deleted with the device (R-DEV-19).
    ///
    /// # Errors
    /// What the framework returns, for example if the name is taken.
    pub fn symbolic_link(&self, _cx: &Cx<'_, impl Passive>, name: Wide) -> Result<(), Status> {
        let name = name.unicode();
        // SAFETY: the device exists; the string is read during the call.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDeviceCreateSymbolicLink,
                self.handle(),
                &raw const name
            )
        };
        Status::from_raw(status).ok()
    }
}
