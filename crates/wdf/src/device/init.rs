//! What a device will be, before it exists.

use core::marker::PhantomData;

use wdk_sys::{PWDFDEVICE_INIT, WDFDEVICE, WDFDEVICE_INIT, call_unsafe_wdf_function_binding};

use super::{Added, DeviceContext, NewDevice};
use crate::{
    Status, context,
    cx::{Brand, Cx, Passive},
    request,
};

mod sealed {
    pub trait Sealed {}
}

/// What a device is to its stack. Sealed.
pub trait Role: sealed::Sealed + 'static {
    /// Whether it filters somebody else's device.
    const FILTERS: bool;
}

/// Not said yet.
pub struct Undecided(PhantomData<()>);
/// The function device of its stack.
pub struct Function(PhantomData<()>);
/// A filter.
pub struct Filter(PhantomData<()>);
/// A control device: in no stack.
pub struct Control(PhantomData<()>);

/// A device of a stack, which `EvtDriverDeviceAdd` makes. Sealed.
pub trait InStack: Role {}
impl InStack for Function {}
impl InStack for Filter {}

macro_rules! roles {
    ($($role:ident $filters:literal)*) => { $(
        impl sealed::Sealed for $role {}
        impl Role for $role {
            const FILTERS: bool = $filters;
        }
    )* };
}
roles!(Function false Filter true Control false);

/// How reads and writes carry their data. It has no effect on controls (R-DEV-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IoType {
    /// `WdfDeviceIoBuffered`: through the system's private copy.
    Buffered,
    /// `WdfDeviceIoDirect`: the user's pages, locked and mapped.
    Direct,
}

/// A device about to be created. Stands for `WDFDEVICE_INIT`, which `create` consumes (R-DEV-07).
///
/// Invariant: `init` is valid until `create` consumed it; `ours` says whether it must be freed otherwise. `'i` is minted for this
/// structure and for nothing else.
pub struct DeviceInit<'i, R> {
    init: PWDFDEVICE_INIT,
    ours: bool,
    lent: PhantomData<&'i mut WDFDEVICE_INIT>,
    brand: Brand<'i>,
    role: PhantomData<fn() -> R>,
}

impl<'i> DeviceInit<'i, Undecided> {
    /// # Safety
    /// `init` is what `EvtDriverDeviceAdd` was called with, for `'i`.
    pub(crate) const unsafe fn of_device_add(init: PWDFDEVICE_INIT) -> Self {
        Self {
            init,
            ours: false,
            lent: PhantomData,
            brand: PhantomData,
            role: PhantomData,
        }
    }

    /// A function device.
    #[must_use]
    pub const fn function(self) -> DeviceInit<'i, Function> {
        self.into_role()
    }

    /// A filter. Stands for `WdfFdoInitSetFilter`: what the driver does not handle goes down (R-DEV-12).
    #[must_use]
    pub fn filter(self, _cx: &Cx<'_, impl Passive>) -> DeviceInit<'i, Filter> {
        // SAFETY: valid and not consumed (type invariant), from EvtDriverDeviceAdd.
        unsafe { call_unsafe_wdf_function_binding!(WdfFdoInitSetFilter, self.init) };
        self.into_role()
    }

    /// Makes no device: the stack does without this driver (R-DEV-05).
    pub fn decline(self) -> Added<'i> {
        // The framework frees its own structure.
        Added::token()
    }

    const fn into_role<R>(self) -> DeviceInit<'i, R> {
        let init = self.init;
        core::mem::forget(self);
        DeviceInit {
            init,
            ours: false,
            lent: PhantomData,
            brand: PhantomData,
            role: PhantomData,
        }
    }
}

impl<R> DeviceInit<'_, R> {
    /// # Safety
    /// `init` was allocated by the driver and is given to this value.
    pub(super) const unsafe fn own(init: PWDFDEVICE_INIT) -> Self {
        Self {
            init,
            ours: true,
            lent: PhantomData,
            brand: PhantomData,
            role: PhantomData,
        }
    }

    pub(crate) const fn raw(&mut self) -> PWDFDEVICE_INIT {
        self.init
    }
}

impl<R: Role> DeviceInit<'_, R> {
    /// One open handle at a time. Stands for `WdfDeviceInitSetExclusive` (R-DEV-20).
    pub fn exclusive(&mut self) {
        // SAFETY: valid and not consumed (type invariant).
        unsafe { call_unsafe_wdf_function_binding!(WdfDeviceInitSetExclusive, self.init, 1) };
    }

    /// `WdfDeviceInitSetDeviceType`: a `FILE_DEVICE_` number; a filter's is that of the device below it.
    pub fn device_type(&mut self, device_type: u32) {
        // SAFETY: valid and not consumed (type invariant).
        unsafe {
            call_unsafe_wdf_function_binding!(WdfDeviceInitSetDeviceType, self.init, device_type);
        }
    }
}

impl DeviceInit<'_, Function> {
    /// `WdfDeviceInitSetIoType`.
    pub fn io_type(&mut self, io_type: IoType) {
        let io_type = match io_type {
            IoType::Buffered => wdk_sys::_WDF_DEVICE_IO_TYPE::WdfDeviceIoBuffered,
            IoType::Direct => wdk_sys::_WDF_DEVICE_IO_TYPE::WdfDeviceIoDirect,
        };
        // SAFETY: valid and not consumed (type invariant).
        unsafe { call_unsafe_wdf_function_binding!(WdfDeviceInitSetIoType, self.init, io_type) };
    }
}

impl<'i, R: InStack> DeviceInit<'i, R> {
    /// Creates the device with space for its context and those of its requests. Stands for `WdfDeviceInitSetRequestAttributes` and `WdfDeviceCreate`.
    ///
    /// If `EvtDriverDeviceAdd` fails after this, the framework deletes the device (R-DEV-06).
    ///
    /// # Errors
    /// What `WdfDeviceCreate` returns.
    pub fn create<D: DeviceContext>(
        self,
        _cx: &Cx<'_, impl Passive>,
    ) -> Result<NewDevice<'i, D, R>, Status> {
        self.into_device()
    }
}

impl<'i, R: Role> DeviceInit<'i, R> {
    /// As [`create`](Self::create), for every role.
    pub(super) fn into_device<D: DeviceContext>(mut self) -> Result<NewDevice<'i, D, R>, Status> {
        let mut requests = request::attributes::<D::Request>();
        // SAFETY: valid and not consumed (type invariant); the framework copies the attributes.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDeviceInitSetRequestAttributes,
                self.init,
                &raw mut requests
            );
        };
        let mut attributes = context::attributes::<D>();
        let mut device: WDFDEVICE = core::ptr::null_mut();
        // SAFETY: as above. On success the framework nulls `self.init`: consumed.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDeviceCreate,
                &raw mut self.init,
                &raw mut attributes,
                &raw mut device
            )
        };
        Status::from_raw(status).ok()?;
        self.ours = false;
        Ok(NewDevice {
            handle: device,
            scope: PhantomData,
            of: PhantomData,
        })
    }
}

impl<R> Drop for DeviceInit<'_, R> {
    fn drop(&mut self) {
        if self.ours && !self.init.is_null() {
            // SAFETY: allocated by the driver and not consumed (type invariant, R-DEV-07).
            unsafe { call_unsafe_wdf_function_binding!(WdfDeviceInitFree, self.init) };
        }
    }
}
