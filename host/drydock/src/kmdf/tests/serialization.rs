//! Locks out of order, automatic serialization and the end of timers: R-DEV-72, R-DEV-81 to R-DEV-88, R-CHK-37.

use std::sync::LazyLock;

use rusty_fork::rusty_fork_test;

use super::super::guest;
use super::bench::{
    Client, call_it, client, expect_end, memory, note, recorded, start, start_verified, taken, text,
};
use crate::nt::status::NtStatus;
use crate::sched::{self, Event};
use crate::{nt, verify};

static INSIDE: LazyLock<Event> = LazyLock::new(|| Event::new(true, false));
static LEAVE: LazyLock<Event> = LazyLock::new(|| Event::new(true, false));
static TICK: LazyLock<Event> = LazyLock::new(|| Event::new(false, false));

extern "win64" fn on_timer(_timer: u64) {
    note("timer");
    TICK.set();
}

extern "win64" fn on_held(_timer: u64) {
    INSIDE.set();
    LEAVE.wait();
}

extern "win64" fn on_work(_item: u64) {
    INSIDE.set();
    note("work");
}

fn timer_config(callback: extern "win64" fn(u64), period: u32, serialized: bool) -> u64 {
    let at = memory(40);
    guest::write(at, 40_u32);
    guest::write(at + 8, callback as *const () as u64);
    guest::write(at + 16, period);
    guest::write(at + 20, u8::from(serialized));
    at
}

fn small_config(callback: extern "win64" fn(u64)) -> u64 {
    let at = memory(24);
    guest::write(at, 24_u32);
    guest::write(at + 8, callback as *const () as u64);
    guest::write(at + 16, 1_u8);
    at
}

fn below(parent: u64, level: u32) -> u64 {
    let at = recorded(parent);
    guest::write(at + 24, level);
    at
}

/// A control device of this execution level and synchronization scope.
fn scoped_device(t: &Client, name: &str, level: u32, scope: u32) -> u64 {
    let init = t.call(
        "WdfControlDeviceInitAllocate",
        &[t.driver, text("D:P(A;;GA;;;SY)")],
    );
    t.call("WdfDeviceInitAssignName", &[init, text(name)]);
    let pointer = memory(8);
    guest::write(pointer, init);
    let at = recorded(0);
    guest::write(at + 24, level);
    guest::write(at + 28, scope);
    let device = t.create("WdfDeviceCreate", &[pointer, at]).unwrap();
    call_it(device, name);
    t.call("WdfControlFinishInitializing", &[device]);
    device
}

extern "win64" fn d0_exit_that_waits(_device: u64, _to: u64) -> NtStatus {
    note(format!("d0-exit irql={}", nt::thread::irql()));
    INSIDE.set();
    LEAVE.wait();
    note("d0-exit ends");
    NtStatus::SUCCESS
}

extern "win64" fn release_hardware(_device: u64, _resources: u64) -> NtStatus {
    note(format!("release irql={}", nt::thread::irql()));
    TICK.set();
    NtStatus::SUCCESS
}

fn with_power_callbacks(t: &Client, init: u64) {
    let at = memory(144);
    guest::write(at, 144_u32);
    guest::write(at + 24, d0_exit_that_waits as *const () as u64);
    guest::write(at + 48, release_hardware as *const () as u64);
    t.call("WdfDeviceInitSetPnpPowerEventCallbacks", &[init, at]);
}

const PASSIVE: u32 = 2;
const DISPATCH: u32 = 3;
const DEVICE: u32 = 2;
const NONE: u32 = 4;
/// One millisecond from now.
const SOON: u64 = (-10_000_i64) as u64;

rusty_fork_test! {
    /// R-DEV-72: each lock remembers the level before it, so the wrong order would leave a held lock at PASSIVE_LEVEL.
    #[test]
    fn a_spin_lock_released_before_an_inner_one_would_restore_the_wrong_level() {
        let t = start();
        let locks = [(); 2].map(|()| t.create("WdfSpinLockCreate", &[0]).unwrap());
        for lock in locks {
            t.call("WdfSpinLockAcquire", &[lock]);
        }
        expect_end("NT-LOCK-01", || { t.call("WdfSpinLockRelease", &[locks[0]]); });
    }

    /// R-DEV-81: a callback lock of the other level cannot be taken; without scope or without serialization none is.
    #[test]
    fn serialization_needs_a_parent_of_the_same_level() {
        let t = start();
        let refused = Some(NtStatus::WDF_INCOMPATIBLE_EXECUTION_LEVEL);
        let passive = scoped_device(&t, "\\Device\\Passive", PASSIVE, DEVICE);
        let dispatch = scoped_device(&t, "\\Device\\Dispatch", DISPATCH, DEVICE);
        let free = scoped_device(&t, "\\Device\\Free", PASSIVE, NONE);
        let timer = |device, level, serialized| {
            t.create("WdfTimerCreate", &[timer_config(on_timer, 0, serialized), below(device, level)]).err()
        };
        assert_eq!(timer(passive, 1, true), refused);
        assert_eq!(timer(passive, 1, false), None);
        assert_eq!(timer(passive, PASSIVE, true), None);
        assert_eq!(timer(dispatch, PASSIVE, true), refused);
        assert_eq!(timer(dispatch, 1, true), None);
        assert_eq!(timer(free, 1, true), None);
        let small = |function, device| t.create(function, &[small_config(on_work), below(device, 1)]).err();
        assert_eq!(small("WdfDpcCreate", passive), refused);
        assert_eq!(small("WdfDpcCreate", dispatch), None);
        assert_eq!(small("WdfWorkItemCreate", dispatch), refused);
        assert_eq!(small("WdfWorkItemCreate", passive), None);
    }

    /// R-DEV-81: the callback waits for the parent's callback lock.
    #[test]
    fn a_serialized_work_item_waits_for_the_callback_lock() {
        let t = start();
        let device = scoped_device(&t, "\\Device\\Passive", PASSIVE, DEVICE);
        let item = t.create("WdfWorkItemCreate", &[small_config(on_work), below(device, 1)]).unwrap();
        t.call("WdfObjectAcquireLock", &[device]);
        t.call("WdfWorkItemEnqueue", &[item]);
        assert!(!INSIDE.wait_timeout(200_000));
        note("released");
        t.call("WdfObjectReleaseLock", &[device]);
        t.call("WdfWorkItemFlush", &[item]);
        assert_eq!(taken(), ["released", "work"]);
    }

    /// R-DEV-82: what a configuration asks for must exist.
    #[test]
    fn a_timers_period_and_tolerance_are_judged() {
        let t = start();
        let device = scoped_device(&t, "\\Device\\Passive", PASSIVE, DEVICE);
        assert_eq!(
            t.create("WdfTimerCreate", &[timer_config(on_timer, 0x8000_0000, false), below(device, 1)]),
            Err(NtStatus::INVALID_PARAMETER)
        );
        let tolerant = timer_config(on_timer, 0, false);
        guest::write(tolerant + 24, 5_u32);
        guest::write(tolerant + 32, 1_u8);
        assert_eq!(t.create("WdfTimerCreate", &[tolerant, below(device, 1)]), Err(NtStatus::INVALID_PARAMETER));
    }

    /// R-DEV-88, R-DEV-87: a periodic timer has stopped before the cleanup of its parent.
    #[test]
    fn no_timer_callback_runs_after_the_parents_cleanup() {
        let t = start();
        let device = scoped_device(&t, "\\Device\\Bench", DISPATCH, NONE);
        let timer = t.create("WdfTimerCreate", &[timer_config(on_timer, 1, false), below(device, 1)]).unwrap();
        call_it(timer, "timer");
        t.call("WdfTimerStart", &[timer, SOON]);
        TICK.wait();
        t.call("WdfObjectDelete", &[device]);
        assert!(!TICK.wait_timeout(0) || !TICK.wait_timeout(200_000));
        let log = taken();
        let end = log.iter().position(|line| line.starts_with("cleanup timer")).unwrap();
        assert_eq!(log[end..], [
            "cleanup timer irql=0", "cleanup \\Device\\Bench irql=0", "destroy timer", "destroy \\Device\\Bench",
        ]);
    }

    /// R-DEV-65: a stop that comes while EvtDeviceD0Exit runs waits until it has returned.
    #[test]
    fn pnp_and_power_callbacks_of_a_device_do_not_overlap() {
        let t = start();
        let node = super::device::node(&t, with_power_callbacks);
        node.start().unwrap();
        taken();
        let (sleeping, stopping) = (std::sync::Arc::clone(&node), std::sync::Arc::clone(&node));
        let sleep = sched::spawn("sleeps", move || sleeping.system_power(nt::pnp::SystemPower::Sleeping3).unwrap());
        INSIDE.wait();
        let stop = sched::spawn("stops", move || stopping.stop().unwrap());
        assert!(!TICK.wait_timeout(200_000));
        LEAVE.set();
        sleep.join();
        stop.join();
        assert_eq!(taken(), ["d0-exit irql=0", "d0-exit ends", "release irql=0"]);
    }

    /// R-CHK-37: the second waiter is told; both return.
    #[test]
    fn two_threads_in_a_waiting_stop_are_a_break_under_the_verifier() {
        let t = start_verified();
        let device = scoped_device(&t, "\\Device\\Bench", PASSIVE, NONE);
        let timer = t.create("WdfTimerCreate", &[timer_config(on_held, 0, false), below(device, PASSIVE)]).unwrap();
        t.call("WdfTimerStart", &[timer, SOON]);
        INSIDE.wait();
        let waiters = [(); 2].map(|()| sched::spawn("waiter", move || {
            assert!(!client().boolean("WdfTimerStop", &[timer, 1]));
        }));
        while verify::breaks() == 0 {
            std::thread::yield_now();
        }
        LEAVE.set();
        waiters.into_iter().for_each(sched::JoinHandle::join);
        assert_eq!(verify::breaks(), 1);
    }
}
