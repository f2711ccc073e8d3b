//! Power requests.

use super::super::abi::{Address, DeviceObject, Irp, at, mj, mn};
use super::super::irp::{self, Originator};
use super::super::status::NtStatus;
use super::super::{device, thread, workitem};
use crate::sched::Lock;
use std::sync::Arc;

/// SYSTEM_POWER_STATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum SystemPower {
    /// PowerSystemWorking (S0).
    Working = 1,
    /// PowerSystemSleeping1.
    Sleeping1,
    /// PowerSystemSleeping2.
    Sleeping2,
    /// PowerSystemSleeping3.
    Sleeping3,
    /// PowerSystemHibernate.
    Hibernate,
    /// PowerSystemShutdown.
    Shutdown,
}

/// DEVICE_POWER_STATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum DevicePower {
    /// Working.
    D0 = 1,
    /// Sleeping lightly.
    D1,
    /// Sleeping.
    D2,
    /// Off.
    D3,
}

/// POWER_ACTION: PowerActionSleep.
const SLEEP: u64 = 2;

fn power_irp(top: *mut DeviceObject, minor: u8, kind: u32, state: u32) -> *mut Irp {
    let irp = irp::allocate(at(top).stack_size.get());
    at(irp).io_status.status.set(NtStatus::NOT_SUPPORTED);
    let next = irp::next(irp);
    next.major_function.set(mj::POWER);
    next.minor_function.set(minor);
    next.parameters[1].set(kind.into());
    next.parameters[2].set(state.into());
    next.parameters[3].set(SLEEP);
    irp
}

/// The power manager takes a stack to a system state: asks first when it goes to sleep.
pub(super) fn set_system(top: *mut DeviceObject, state: SystemPower) -> Result<(), NtStatus> {
    if state != SystemPower::Working {
        let irp = power_irp(top, mn::QUERY_POWER, 0, state as u32);
        let status = irp::send_and_wait(top, irp);
        irp::free(irp);
        if !status.is_success() {
            // A refused query is answered by going back to where the system was.
            let irp = power_irp(top, mn::SET_POWER, 0, SystemPower::Working as u32);
            let _ = irp::send_and_wait(top, irp);
            irp::free(irp);
            return Err(status);
        }
    }
    let irp = power_irp(top, mn::SET_POWER, 0, state as u32);
    let status = irp::send_and_wait(top, irp);
    irp::free(irp);
    status.ok()
}

/// Requests a device power state, as [`request`] does, and waits for the end. True: every driver agreed.
pub fn request_and_wait(device: *mut DeviceObject, state: u32) -> bool {
    let top = device::attached_top(device);
    let irp = power_irp(top, mn::SET_POWER, 1, state);
    let status = irp::send_and_wait(top, irp);
    irp::free(irp);
    status.is_success()
}

type OnDone = Box<dyn FnOnce(NtStatus) + Send>;

struct Requested {
    on_done: Lock<Option<OnDone>>,
}

impl Originator for Requested {
    fn done(&self, irp: *mut Irp) {
        let status = at(irp).io_status.status.get();
        let on_done = self.on_done.lock().take();
        if let Some(on_done) = on_done {
            on_done(status);
        }
        irp::free(irp);
    }
}

/// PoRequestPowerIrp: sends a device power request to the top of the stack `device` is in; `on_done` gets its final status, in whatever
/// thread that comes.
pub fn request(
    device: *mut DeviceObject,
    minor: u8,
    state: DevicePower,
    on_done: impl FnOnce(NtStatus) + Send + 'static,
) -> NtStatus {
    let top = device::attached_top(device);
    let irp = power_irp(top, minor, 1, state as u32);
    irp::set_originator(
        irp,
        Arc::new(Requested {
            on_done: Lock::new(Some(Box::new(on_done))),
        }),
    );
    if thread::irql() == thread::PASSIVE_LEVEL {
        let _ = irp::send(top, irp);
    } else {
        let (top, irp) = (Address(top), Address(irp));
        workitem::queue(workitem::Queue::Critical, move || {
            let _ = irp::send(top.get(), irp.get());
        });
    }
    NtStatus::PENDING
}
