//! `PnP` and power callbacks.
//!
//! They run at `PASSIVE_LEVEL`, one at a time per device except surprise removal, query stop and query remove (R-DEV-65), but not serialised with
//! queue callbacks. A device goes through them like this:
//!
//! ```text
//! prepare_hardware -> d0_entry -> [power-managed queues deliver] -> self_managed_io_init
//!        in D0:  self_managed_io_suspend -> [queues hold: EvtIoStop] -> d0_exit
//!        back:   d0_entry -> [EvtIoResume, queues deliver] -> self_managed_io_restart
//! removal: (surprise_removal) -> suspend -> [EvtIoStop] -> d0_exit -> release_hardware -> [managed queues purged]
//!          -> self_managed_io_flush -> [other queues purged] -> self_managed_io_cleanup -> contexts' cleanup
//! ```
//!
//! Left out: interrupts (and with them the callbacks before and after they are connected), relations queries, power policy and idle
//! settings, wake: what a driver of hardware needs and a carrier of requests does not.

use core::marker::PhantomData;

use wdk_sys::{
    NTSTATUS, WDF_PNPPOWER_EVENT_CALLBACKS, WDF_POWER_DEVICE_STATE, WDFCMRESLIST, WDFDEVICE,
    call_unsafe_wdf_function_binding,
};

use super::{Device, DeviceContext, DeviceInit, InStack, NewDevice, Role, borrow};
use crate::{
    Status, context,
    cx::{self, Cx, Place, Pnp, Query, SurpriseRemoval},
    handler::{self, Stateless},
};

/// The callbacks of a device. Stands for `WDF_PNPPOWER_EVENT_CALLBACKS`.
pub struct PnpCallbacks<D: DeviceContext> {
    raw: WDF_PNPPOWER_EVENT_CALLBACKS,
    of: PhantomData<fn() -> D>,
}

impl<D: DeviceContext> Default for PnpCallbacks<D> {
    fn default() -> Self {
        let raw = WDF_PNPPOWER_EVENT_CALLBACKS {
            Size: context::size_u32::<WDF_PNPPOWER_EVENT_CALLBACKS>(),
            ..WDF_PNPPOWER_EVENT_CALLBACKS::default()
        };
        Self {
            raw,
            of: PhantomData,
        }
    }
}

/// Runs `F`, which cannot fail, for the device of a callback.
///
/// # Safety
/// Within a `PnP` callback of `device`, at place `P`; a value of `F` was handed in.
unsafe fn tell<D: DeviceContext, P: Place, F>(device: WDFDEVICE)
where
    F: Fn(&mut Cx<'_, P>, &Device<D>) + Stateless,
{
    // SAFETY: the device exists during its callbacks.
    let Some(device) = (unsafe { borrow::<D>(device) }) else {
        return;
    };
    // SAFETY: contract of this function.
    let f: F = unsafe { handler::recall() };
    cx::enter::<P, _>(|cx| f(cx, &device));
}

/// Runs `F`, which may fail.
///
/// # Safety
/// As [`tell`].
unsafe fn ask<D: DeviceContext, P: Place, F>(device: WDFDEVICE) -> NTSTATUS
where
    F: Fn(&mut Cx<'_, P>, &Device<D>) -> Result<(), Status> + Stateless,
{
    // SAFETY: the device exists during its callbacks.
    let Some(device) = (unsafe { borrow::<D>(device) }) else {
        return Status::INVALID_DEVICE_STATE.raw();
    };
    // SAFETY: contract of this function.
    let f: F = unsafe { handler::recall() };
    cx::enter::<P, _>(|cx| f(cx, &device))
        .err()
        .unwrap_or(Status::SUCCESS)
        .raw()
}

/// Setters whose callback gets the device only and returns a status.
macro_rules! fallible {
    ($($(#[$doc:meta])* $name:ident $field:ident $place:ident ( $($argument:ty),* );)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $name<F>(mut self, f: F) -> Self
        where
            F: Fn(&mut Cx<'_, $place>, &Device<D>) -> Result<(), Status> + Stateless,
        {
            unsafe extern "C" fn evt<D: DeviceContext, F>(device: WDFDEVICE $(, _: $argument)*) -> NTSTATUS
            where
                F: Fn(&mut Cx<'_, $place>, &Device<D>) -> Result<(), Status> + Stateless,
            {
                // SAFETY: called by the framework as this callback; F was handed in by the setter.
                unsafe { ask::<D, $place, F>(device) }
            }
            handler::hand_in(f);
            self.raw.$field = Some(evt::<D, F>);
            self
        }
    )* };
}

/// Setters whose callback cannot fail.
macro_rules! infallible {
    ($($(#[$doc:meta])* $name:ident $field:ident $place:ident;)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $name<F>(mut self, f: F) -> Self
        where
            F: Fn(&mut Cx<'_, $place>, &Device<D>) + Stateless,
        {
            unsafe extern "C" fn evt<D: DeviceContext, F>(device: WDFDEVICE)
            where
                F: Fn(&mut Cx<'_, $place>, &Device<D>) + Stateless,
            {
                // SAFETY: called by the framework as this callback; F was handed in by the setter.
                unsafe { tell::<D, $place, F>(device) };
            }
            handler::hand_in(f);
            self.raw.$field = Some(evt::<D, F>);
            self
        }
    )* };
}

impl<D: DeviceContext> PnpCallbacks<D> {
    /// No callbacks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fallible! {
        /// `EvtDevicePrepareHardware`. The resource lists are not passed on.
        prepare_hardware EvtDevicePrepareHardware Pnp (WDFCMRESLIST, WDFCMRESLIST);
        /// `EvtDeviceReleaseHardware`.
        release_hardware EvtDeviceReleaseHardware Pnp (WDFCMRESLIST);
        /// `EvtDeviceD0Entry`: before power-managed queues deliver (R-DEV-60).
        d0_entry EvtDeviceD0Entry Pnp (WDF_POWER_DEVICE_STATE);
        /// `EvtDeviceD0Exit`: after power-managed queues have stopped (R-DEV-61).
        d0_exit EvtDeviceD0Exit Pnp (WDF_POWER_DEVICE_STATE);
        /// `EvtDeviceSelfManagedIoInit`: once, at the first start.
        self_managed_io_init EvtDeviceSelfManagedIoInit Pnp ();
        /// `EvtDeviceSelfManagedIoSuspend`.
        self_managed_io_suspend EvtDeviceSelfManagedIoSuspend Pnp ();
        /// `EvtDeviceSelfManagedIoRestart`.
        self_managed_io_restart EvtDeviceSelfManagedIoRestart Pnp ();
        /// `EvtDeviceQueryStop`: whether resources may be rebalanced now.
        query_stop EvtDeviceQueryStop Query ();
        /// `EvtDeviceQueryRemove`: whether the device may be removed now.
        query_remove EvtDeviceQueryRemove Query ();
    }

    /// `EvtDeviceUsageNotificationEx`: a paging, hibernation or dump file is about to come onto the device's path (`true`) or has left it.
    /// The driver is told again if a lower device refuses. Its device's special file support must be declared
    /// ([`NewDevice::supports_special_file`]).
    #[must_use]
    pub fn usage_notification<F>(mut self, f: F) -> Self
    where
        F: Fn(&mut Cx<'_, Query>, &Device<D>, SpecialFile, bool) -> Result<(), Status> + Stateless,
    {
        handler::hand_in(f);
        self.raw.EvtDeviceUsageNotificationEx = Some(evt_usage::<D, F>);
        self
    }

    /// `EvtDeviceUsageNotificationEx`: the device stays out of the paths of paging, hibernation and crash-dump files, and of boot: whoever
    /// asks to have one of those on it is refused with `STATUS_NOT_SUPPORTED`. That one is taken away again is fine (filter rule 12).
    #[must_use]
    pub fn refuse_special_files(mut self) -> Self {
        unsafe extern "C" fn evt(
            _device: WDFDEVICE,
            _kind: wdk_sys::WDF_SPECIAL_FILE_TYPE,
            in_path: wdk_sys::BOOLEAN,
        ) -> NTSTATUS {
            if in_path == 0 {
                Status::SUCCESS.raw()
            } else {
                Status::NOT_SUPPORTED.raw()
            }
        }
        self.raw.EvtDeviceUsageNotificationEx = Some(evt);
        self
    }

    infallible! {
        /// `EvtDeviceSelfManagedIoFlush`: removal; power-managed queues are purged, the others are not yet (R-DEV-62).
        self_managed_io_flush EvtDeviceSelfManagedIoFlush Pnp;
        /// `EvtDeviceSelfManagedIoCleanup`: removal; all queues are purged.
        self_managed_io_cleanup EvtDeviceSelfManagedIoCleanup Pnp;
        /// `EvtDeviceSurpriseRemoval`: only take note; requests are finished in the flush (R-CAN-82).
        surprise_removal EvtDeviceSurpriseRemoval SurpriseRemoval;
    }
}

/// A file the system cannot do without while it is there. Stands for `WDF_SPECIAL_FILE_TYPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialFile {
    /// A paging file.
    Paging,
    /// The hibernation file.
    Hibernation,
    /// A crash dump file.
    Dump,
    /// The boot volume.
    Boot,
}

impl SpecialFile {
    const ALL: [(Self, wdk_sys::WDF_SPECIAL_FILE_TYPE); 4] = [
        (
            Self::Paging,
            wdk_sys::_WDF_SPECIAL_FILE_TYPE::WdfSpecialFilePaging,
        ),
        (
            Self::Hibernation,
            wdk_sys::_WDF_SPECIAL_FILE_TYPE::WdfSpecialFileHibernation,
        ),
        (
            Self::Dump,
            wdk_sys::_WDF_SPECIAL_FILE_TYPE::WdfSpecialFileDump,
        ),
        (
            Self::Boot,
            wdk_sys::_WDF_SPECIAL_FILE_TYPE::WdfSpecialFileBoot,
        ),
    ];
}

unsafe extern "C" fn evt_usage<D: DeviceContext, F>(
    device: WDFDEVICE,
    kind: wdk_sys::WDF_SPECIAL_FILE_TYPE,
    comes: u8,
) -> NTSTATUS
where
    F: Fn(&mut Cx<'_, Query>, &Device<D>, SpecialFile, bool) -> Result<(), Status> + Stateless,
{
    let known = SpecialFile::ALL.iter().find(|(_, number)| *number == kind);
    // SAFETY: the device exists during its callbacks.
    let (Some((kind, _)), Some(device)) = (known, (unsafe { borrow::<D>(device) })) else {
        return Status::NOT_SUPPORTED.raw();
    };
    // SAFETY: handed in by the setter.
    let f: F = unsafe { handler::recall() };
    cx::enter::<Query, _>(|cx| f(cx, &device, *kind, comes != 0))
        .err()
        .unwrap_or(Status::SUCCESS)
        .raw()
}

impl<D: DeviceContext, R: InStack> NewDevice<'_, D, R> {
    /// Says that files of that kind may lie on the device's path. Stands for `WdfDeviceSetSpecialFileSupport`.
    pub fn supports_special_file(&self, kind: SpecialFile) {
        for (known, number) in SpecialFile::ALL {
            if known == kind {
                // SAFETY: the device exists and is being set up.
                unsafe {
                    call_unsafe_wdf_function_binding!(
                        WdfDeviceSetSpecialFileSupport,
                        self.handle(),
                        number,
                        1
                    );
                }
            }
        }
    }
}

impl<R: Role> DeviceInit<'_, R> {
    /// `WdfDeviceInitSetPnpPowerEventCallbacks`. The device must be created with context `D`.
    pub fn pnp<D: DeviceContext>(&mut self, mut callbacks: PnpCallbacks<D>) {
        // SAFETY: valid and not consumed (invariant of DeviceInit); the framework copies the structure.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDeviceInitSetPnpPowerEventCallbacks,
                self.raw(),
                &raw mut callbacks.raw
            );
        }
    }
}
