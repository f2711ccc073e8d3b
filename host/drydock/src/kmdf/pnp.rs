//! The PnP side of a device: the order in which its callbacks, its queues and the lower device see the system's requests
//! (R-DEV-60 to R-DEV-65).
//!
//! Each request is worked off in the thread that brings it. One lock per device keeps them apart (R-DEV-65).

use super::callback;
use super::device::Device;
use super::device_init::PnpEvent;
use super::dispatch;
use super::forward;
use super::handle::Ref;
use super::lifetime;
use super::queue::package;
use super::resources;
use super::serial::Serial;
use super::target;
use super::usage;
use crate::nt;
use crate::nt::abi::{self, Irp, mn};
use crate::nt::status::NtStatus;
use crate::sched::Lock;
use std::sync::atomic::{AtomicU64, Ordering};

/// WdfPowerDeviceD3Final: the state before start and after removal.
const D3_FINAL: u64 = 5;
/// WdfUseDefault.
const USE_DEFAULT: u32 = 2;

/// Where a device is in its PnP life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stage {
    /// Created, not started (WdfDevStatePnpInit).
    Init = 0x105,
    /// Started (WdfDevStatePnpStarted).
    Started = 0x119,
    /// Stopped for rebalancing (WdfDevStatePnpStopped).
    Stopped = 0x11E,
    /// Start failed (WdfDevStatePnpFailed).
    Failed = 0x12B,
    /// Gone without warning; waits for the remove request (WdfDevStatePnpSurpriseRemove).
    SurpriseRemoved = 0x121,
    /// The remove request is being worked off, or has been (WdfDevStatePnpRemoved).
    Removed = 0x113,
}

struct State {
    stage: Stage,
    hardware_prepared: bool,
    in_d0: bool,
    /// EvtDeviceSelfManagedIoInit has succeeded.
    self_managed: bool,
    /// The last state left or to be left for D0.
    last_dx: u64,
    /// `WdfDeviceSetStaticStopRemove(FALSE)`: stop and remove are refused.
    cannot_stop: bool,
    /// The flags of `WDF_DEVICE_STATE`, each a `WDF_TRI_STATE`.
    reported: [u32; 6],
}

/// PnP state of a device.
pub struct Pnp {
    state: Lock<State>,
    serial: Serial,
    usage: usage::Usage,
    /// The thread inside EvtDeviceSurpriseRemoval, plus one; 0: none.
    surprised: AtomicU64,
}

impl Default for Pnp {
    fn default() -> Self {
        Self {
            state: Lock::new(State {
                stage: Stage::Init,
                hardware_prepared: false,
                in_d0: false,
                self_managed: false,
                last_dx: D3_FINAL,
                cannot_stop: false,
                reported: [USE_DEFAULT; 6],
            }),
            serial: Serial::default(),
            usage: usage::Usage::default(),
            surprised: AtomicU64::new(0),
        }
    }
}

impl Pnp {
    /// Where the device is in its PnP life.
    pub fn stage(&self) -> Stage {
        self.state.lock().stage
    }

    /// The device is in its working state D0.
    pub fn in_d0(&self) -> bool {
        self.state.lock().in_d0
    }

    /// The `WDF_DEVICE_POWER_STATE` nearest to where the device is.
    pub(super) fn power_state(&self) -> u32 {
        const CREATED: u32 = 0x300;
        const D0: u32 = 0x307;
        const STOPPED: u32 = 0x315;
        const DX: u32 = 0x31F;
        let state = self.state.lock();
        match state.stage {
            _ if state.in_d0 => D0,
            Stage::Init => CREATED,
            Stage::Started => DX,
            _ => STOPPED,
        }
    }

    /// The lock that keeps PnP and power callbacks apart (R-DEV-65).
    pub(super) fn serial(&self) -> &Serial {
        &self.serial
    }

    /// Special files on the device.
    pub fn usage(&self) -> &usage::Usage {
        &self.usage
    }

    /// What `WdfDeviceGetDeviceState` gives.
    pub(super) fn reported_state(&self) -> [u32; 6] {
        self.state.lock().reported
    }

    /// `WdfDeviceSetDeviceState`.
    pub(super) fn set_reported_state(&self, state: [u32; 6]) {
        self.state.lock().reported = state;
    }

    /// The calling thread is inside EvtDeviceSurpriseRemoval of the device, where the driver may only take note (R-CAN-82).
    pub fn in_surprise_removal(&self) -> bool {
        let inside = self.surprised.load(Ordering::Relaxed);
        inside != 0 && inside == me()
    }

    /// `WdfDeviceSetStaticStopRemove`.
    pub(super) fn set_stoppable(&self, stoppable: bool) {
        self.state.lock().cannot_stop = !stoppable;
    }
}

/// The calling thread, plus one.
fn me() -> u64 {
    u64::from(nt::thread::current().id().0) + 1
}

/// IRP_MJ_PNP.
pub(super) fn dispatch(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    match nt::irp::current(irp).minor_function.get() {
        mn::START_DEVICE => start(device, irp),
        mn::QUERY_STOP_DEVICE => query(device, irp, PnpEvent::QueryStop),
        mn::QUERY_REMOVE_DEVICE => query(device, irp, PnpEvent::QueryRemove),
        mn::CANCEL_STOP_DEVICE | mn::CANCEL_REMOVE_DEVICE => agree(device, irp),
        mn::STOP_DEVICE => stop(device, irp),
        mn::SURPRISE_REMOVAL => surprise_removal(device, irp),
        mn::REMOVE_DEVICE => remove(device, irp),
        mn::DEVICE_USAGE_NOTIFICATION => usage::notification(device, irp),
        _ => forward::skip(device, irp),
    }
}

/// Calls a PnP or power callback that returns a status; success where there is none.
pub(super) fn ask(device: &Ref<Device>, event: PnpEvent, arguments: &[u64]) -> NtStatus {
    let callback = device.config().pnp[event as usize];
    if callback == 0 {
        return NtStatus::SUCCESS;
    }
    let mut all = vec![device.handle()];
    all.extend_from_slice(arguments);
    let verifier = device.object().binding().verifier();
    let raw = callback::call_hooked(verifier, "a PnP or power callback", callback, &all);
    NtStatus(raw as u32 as i32)
}

/// Calls a PnP or power callback that returns nothing.
fn tell(device: &Ref<Device>, event: PnpEvent) {
    let _ = ask(device, event, &[]);
}

/// Success, and on to the next lower device.
fn agree(device: &Device, irp: *mut Irp) -> NtStatus {
    abi::at(irp).io_status.status.set(NtStatus::SUCCESS);
    forward::skip(device, irp)
}

fn query(device: &Ref<Device>, irp: *mut Irp, event: PnpEvent) -> NtStatus {
    let refused = device.pnp().state.lock().cannot_stop || device.pnp().usage.is_in_use();
    let status = if refused {
        NtStatus::INVALID_DEVICE_REQUEST
    } else {
        ask(device, event, &[])
    };
    if status.is_success() {
        agree(device, irp)
    } else {
        dispatch::complete(irp, status)
    }
}

/// R-DEV-60. The lower device starts first.
fn start(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    let _turn = device.pnp().serial.enter();
    let mut status = forward::and_wait(device, irp);
    if status.is_success() {
        status = bring_up(device);
        device.pnp().state.lock().stage = if status.is_success() {
            Stage::Started
        } else {
            Stage::Failed
        };
    }
    dispatch::complete_keeping_information(irp, status)
}

fn bring_up(device: &Ref<Device>) -> NtStatus {
    let lists = resources::assigned(device);
    let status = ask(device, PnpEvent::PrepareHardware, &lists.handles());
    device.pnp().state.lock().hardware_prepared = true;
    if !status.is_success() {
        release_hardware(device);
        return status;
    }
    let status = power_up(device);
    if !status.is_success() {
        release_hardware(device);
        return status;
    }
    device.interfaces().enable_all();
    NtStatus::SUCCESS
}

/// To D0: callbacks, queues, self-managed I/O, in the order of R-DEV-60.
pub(super) fn power_up(device: &Ref<Device>) -> NtStatus {
    let from = device.pnp().state.lock().last_dx;
    let mut status = ask(device, PnpEvent::D0Entry, &[from]);
    if status.is_success() {
        status = ask(device, PnpEvent::D0EntryPostInterruptsEnabled, &[from]);
        if !status.is_success() {
            let _ = ask(device, PnpEvent::D0Exit, &[D3_FINAL]);
        }
    }
    if !status.is_success() {
        return status;
    }
    device.pnp().state.lock().in_d0 = true;
    package::queues_power_up(device);
    let first = !device.pnp().state.lock().self_managed;
    let status = if first {
        ask(device, PnpEvent::SelfManagedIoInit, &[])
    } else {
        ask(device, PnpEvent::SelfManagedIoRestart, &[])
    };
    if status.is_success() {
        device.pnp().state.lock().self_managed = true;
        return status;
    }
    leave_d0(device, D3_FINAL);
    status
}

/// Out of D0, in the order of R-DEV-61.
pub(super) fn power_down(device: &Ref<Device>, to: u64) {
    if device.pnp().state.lock().self_managed {
        let _ = ask(device, PnpEvent::SelfManagedIoSuspend, &[]);
    }
    leave_d0(device, to);
}

fn leave_d0(device: &Ref<Device>, to: u64) {
    package::queues_power_down(device);
    let _ = ask(device, PnpEvent::D0ExitPreInterruptsDisabled, &[to]);
    let _ = ask(device, PnpEvent::D0Exit, &[to]);
    let mut state = device.pnp().state.lock();
    state.in_d0 = false;
    state.last_dx = to;
}

fn release_hardware(device: &Ref<Device>) {
    let prepared = std::mem::take(&mut device.pnp().state.lock().hardware_prepared);
    if prepared {
        let lists = resources::assigned(device);
        let [_, translated] = lists.handles();
        let _ = ask(device, PnpEvent::ReleaseHardware, &[translated]);
    }
}

/// Out of D0 for good or until the next start, and the hardware given back.
fn shut_hardware(device: &Ref<Device>) {
    if device.pnp().in_d0() {
        power_down(device, D3_FINAL);
    }
    release_hardware(device);
    device.pnp().state.lock().last_dx = D3_FINAL;
}

fn stop(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    let _turn = device.pnp().serial.enter();
    shut_hardware(device);
    device.pnp().state.lock().stage = Stage::Stopped;
    agree(device, irp)
}

/// R-DEV-63: the driver hears of it first, at once; the rest waits its turn.
fn surprise_removal(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    device.pnp().surprised.store(me(), Ordering::Relaxed);
    tell(device, PnpEvent::SurpriseRemoval);
    device.pnp().surprised.store(0, Ordering::Relaxed);
    let _turn = device.pnp().serial.enter();
    shut_hardware(device);
    withdraw(device);
    device.pnp().state.lock().stage = Stage::SurpriseRemoved;
    agree(device, irp)
}

/// R-DEV-62, first half: interfaces, symbolic link, power-managed queues, self-managed I/O.
fn withdraw(device: &Ref<Device>) {
    device.interfaces().remove_all();
    package::queues_purge_power_managed(device);
    if device.pnp().state.lock().self_managed {
        tell(device, PnpEvent::SelfManagedIoFlush);
    }
}

/// R-DEV-62; the device object ends with the request.
fn remove(device: &Ref<Device>, irp: *mut Irp) -> NtStatus {
    {
        let _turn = device.pnp().serial.enter();
        if device.pnp().stage() != Stage::SurpriseRemoved {
            shut_hardware(device);
            withdraw(device);
        }
        device.pnp().state.lock().stage = Stage::Removed;
        package::queues_purge_not_power_managed(device);
        let self_managed = std::mem::take(&mut device.pnp().state.lock().self_managed);
        if self_managed {
            tell(device, PnpEvent::SelfManagedIoCleanup);
        }
        if let Some(target) = device.default_target() {
            target::remove_with_device(target);
        }
    }
    let status = agree(device, irp);
    device.detach();
    lifetime::delete(device.object());
    status
}
