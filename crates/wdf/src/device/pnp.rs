//! `PnP` and power callbacks.
//!
//! They run at `PASSIVE_LEVEL`, one at a time per device except surprise removal (R-DEV-65), but not serialised with queue callbacks.

use core::marker::PhantomData;

use wdk_sys::{
    NTSTATUS, WDF_PNPPOWER_EVENT_CALLBACKS, WDF_POWER_DEVICE_STATE, WDFCMRESLIST, WDFDEVICE,
    call_unsafe_wdf_function_binding,
};

use super::{Device, DeviceContext, DeviceInit, Role, borrow};
use crate::{
    Status, context,
    cx::{self, Cx, Place, Pnp, SurpriseRemoval},
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
/// As [`tell`], at place [`Pnp`].
unsafe fn ask<D: DeviceContext, F>(device: WDFDEVICE) -> NTSTATUS
where
    F: Fn(&mut Cx<'_, Pnp>, &Device<D>) -> Result<(), Status> + Stateless,
{
    // SAFETY: the device exists during its callbacks.
    let Some(device) = (unsafe { borrow::<D>(device) }) else {
        return Status::INVALID_DEVICE_STATE.raw();
    };
    // SAFETY: contract of this function.
    let f: F = unsafe { handler::recall() };
    cx::enter::<Pnp, _>(|cx| f(cx, &device))
        .err()
        .unwrap_or(Status::SUCCESS)
        .raw()
}

/// Setters whose callback gets the device only and returns a status.
macro_rules! fallible {
    ($($(#[$doc:meta])* $name:ident $field:ident ( $($argument:ty),* );)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $name<F>(mut self, f: F) -> Self
        where
            F: Fn(&mut Cx<'_, Pnp>, &Device<D>) -> Result<(), Status> + Stateless,
        {
            unsafe extern "C" fn evt<D: DeviceContext, F>(device: WDFDEVICE $(, _: $argument)*) -> NTSTATUS
            where
                F: Fn(&mut Cx<'_, Pnp>, &Device<D>) -> Result<(), Status> + Stateless,
            {
                // SAFETY: called by the framework as this callback; F was handed in by the setter.
                unsafe { ask::<D, F>(device) }
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
        prepare_hardware EvtDevicePrepareHardware (WDFCMRESLIST, WDFCMRESLIST);
        /// `EvtDeviceReleaseHardware`.
        release_hardware EvtDeviceReleaseHardware (WDFCMRESLIST);
        /// `EvtDeviceD0Entry`: before power-managed queues deliver (R-DEV-60).
        d0_entry EvtDeviceD0Entry (WDF_POWER_DEVICE_STATE);
        /// `EvtDeviceD0Exit`: after power-managed queues have stopped (R-DEV-61).
        d0_exit EvtDeviceD0Exit (WDF_POWER_DEVICE_STATE);
        /// `EvtDeviceSelfManagedIoInit`: once, at the first start.
        self_managed_io_init EvtDeviceSelfManagedIoInit ();
        /// `EvtDeviceSelfManagedIoSuspend`.
        self_managed_io_suspend EvtDeviceSelfManagedIoSuspend ();
        /// `EvtDeviceSelfManagedIoRestart`.
        self_managed_io_restart EvtDeviceSelfManagedIoRestart ();
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
