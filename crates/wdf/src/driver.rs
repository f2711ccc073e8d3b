//! The driver object, and the entry point.

use core::ptr;

use wdk_sys::{
    NTSTATUS, PCUNICODE_STRING, PDRIVER_OBJECT, PWDFDEVICE_INIT, WDF_DRIVER_CONFIG, WDFDRIVER,
    call_unsafe_wdf_function_binding,
};

use crate::{
    Status,
    context::{self, Context},
    cx::{self, Cx, Setup},
    device::{Added, DeviceInit, Undecided},
    trace::{self, Provider},
};

/// A driver: its context on the driver object, and what it does with devices.
pub trait Driver: Context {
    /// Whether it serves no hardware at all: then [`device_add`](Self::device_add) is never called, and the driver creates its control
    /// device in [`start`](Self::start). Stands for `WdfDriverInitNonPnpDriver` (R-DEV-02).
    const NON_PNP: bool = false;

    /// Where the driver's `TraceLogging` events go; see [`trace`]. Registered before [`start`](Self::start), unregistered after
    /// [`unload`](Self::unload).
    #[must_use]
    fn provider() -> Option<&'static Provider> {
        None
    }

    /// `DriverEntry`, after `WdfDriverCreate`. `PASSIVE_LEVEL`.
    ///
    /// # Errors
    /// The driver is not loaded.
    fn start(cx: &mut Cx<'_, Setup>) -> Result<Self, Status>;

    /// `EvtDriverDeviceAdd`: a device the driver serves was found. `PASSIVE_LEVEL`.
    ///
    /// Success needs the proof that a device was made of this very `init` ([`NewDevice::install`](crate::device::NewDevice::install)), or that
    /// the driver left the stack alone on purpose ([`DeviceInit::decline`], R-DEV-05), which is what happens unless a driver says otherwise.
    ///
    /// # Errors
    /// The device is not started; a filter's failure leaves it out of the stack (R-DEV-06).
    fn device_add<'i>(
        &self,
        cx: &mut Cx<'_, Setup>,
        init: DeviceInit<'i, Undecided>,
    ) -> Result<Added<'i>, Status> {
        _ = cx;
        Ok(init.decline())
    }

    /// `EvtDriverUnload`: all devices are gone (R-DEV-08). The context is dropped when this returns.
    fn unload(&self, cx: &mut Cx<'_, Setup>) {
        _ = cx;
    }
}

/// `WdfGetDriver`.
pub(crate) fn handle() -> WDFDRIVER {
    // SAFETY: the loader's binding sets the pointer before DriverEntry runs and never changes it.
    let globals = unsafe { wdk_sys::WdfDriverGlobals };
    // SAFETY: valid while the driver is bound.
    unsafe { (*globals).Driver }
}

/// The installed context of the driver object.
pub(crate) fn context<'c, D: Driver>() -> Option<&'c D> {
    // SAFETY: the driver object outlives every callback, and 'c is bounded by the callback's token.
    let context = unsafe { context::get::<D>(handle().cast()) }?;
    // SAFETY: installed; taken down only in the unload callback, after everything else.
    Some(unsafe { context.as_ref() })
}

/// What `DriverEntry` does.
///
/// # Safety
/// The arguments are those of `DriverEntry`, which calls this once.
#[doc(hidden)]
pub unsafe fn enter<D: Driver>(
    driver: PDRIVER_OBJECT,
    registry_path: PCUNICODE_STRING,
) -> NTSTATUS {
    if let Some(provider) = D::provider() {
        // SAFETY: the one call, and first of all (contract); unregistered in the unload callback, or below if there will be none.
        unsafe { trace::register(provider) };
    }
    // SAFETY: contract of this function.
    let status = unsafe { create::<D>(driver, registry_path) };
    if !status.is_success() {
        // The image goes, and no unload callback is called (R-DEV-04).
        trace::unregister();
    }
    status.raw()
}

/// `WdfDriverCreate`, and the driver's own start.
///
/// # Safety
/// As [`enter`].
unsafe fn create<D: Driver>(driver: PDRIVER_OBJECT, registry_path: PCUNICODE_STRING) -> Status {
    let mut config = WDF_DRIVER_CONFIG {
        Size: context::size_u32::<WDF_DRIVER_CONFIG>(),
        EvtDriverDeviceAdd: (!D::NON_PNP).then_some(evt_device_add::<D> as _),
        EvtDriverUnload: Some(evt_unload::<D>),
        DriverInitFlags: if D::NON_PNP {
            wdk_sys::_WDF_DRIVER_INIT_FLAGS::WdfDriverInitNonPnpDriver.cast_unsigned()
        } else {
            0
        },
        ..WDF_DRIVER_CONFIG::default()
    };
    let mut attributes = context::attributes::<D>();
    // SAFETY: the arguments are those of DriverEntry (contract); the rest are locals. The handle is also in the globals.
    let status = unsafe {
        call_unsafe_wdf_function_binding!(
            WdfDriverCreate,
            driver,
            registry_path,
            &raw mut attributes,
            &raw mut config,
            ptr::null_mut()
        )
    };
    if let Err(status) = Status::from_raw(status).ok() {
        return status;
    }
    match cx::enter::<Setup, _>(|cx| D::start(cx)) {
        // SAFETY: just created; nobody else installs.
        Ok(value) => match unsafe { context::install(handle().cast(), value) } {
            Ok(_) => Status::SUCCESS,
            Err(_) => Status::INTERNAL_ERROR,
        },
        Err(status) => status,
    }
}

unsafe extern "C" fn evt_device_add<D: Driver>(
    _driver: WDFDRIVER,
    init: PWDFDEVICE_INIT,
) -> NTSTATUS {
    let Some(driver) = context::<D>() else {
        return Status::INVALID_DEVICE_STATE.raw();
    };
    // SAFETY: the framework's own, for this call.
    let init = unsafe { DeviceInit::of_device_add(init) };
    cx::enter::<Setup, _>(|cx| driver.device_add(cx, init))
        .err()
        .unwrap_or(Status::SUCCESS)
        .raw()
}

unsafe extern "C" fn evt_unload<D: Driver>(driver: WDFDRIVER) {
    if let Some(context) = context::<D>() {
        cx::enter::<Setup, _>(|cx| context.unload(cx));
    }
    // The context owns objects below the driver object, which dies next and takes them along: it goes first.
    // SAFETY: the driver object exists, all devices are gone and no callback is left that could use the context (R-DEV-08).
    unsafe { context::take_down::<D>(driver.cast()) };
    // Last: until here the driver may write events.
    trace::unregister();
}

/// Defines `DriverEntry` for a [`Driver`](crate::driver::Driver).
#[macro_export]
macro_rules! driver_entry {
    ($driver:ty) => {
        // SAFETY: the one symbol of this name in the image; the framework's entry stub calls it.
        #[unsafe(export_name = "DriverEntry")]
        extern "system" fn driver_entry(
            driver: $crate::__sys::PDRIVER_OBJECT,
            registry_path: $crate::__sys::PCUNICODE_STRING,
        ) -> $crate::__sys::NTSTATUS {
            // SAFETY: called by the entry stub with the arguments of DriverEntry, once.
            unsafe { $crate::driver::enter::<$driver>(driver, registry_path) }
        }
    };
}
