//! Locks, timers, DPCs and work items: R-DEV-70 to R-DEV-88.

use rusty_fork::rusty_fork_test;

use super::super::guest;
use super::bench::{
    attributes, client, expect_end, memory, note, start, start_lenient, start_verified, taken,
};
use super::device::control_device;
use crate::nt::status::NtStatus;
use crate::sched::{self, Event};
use crate::{nt, verify};

/// Set by callbacks.
static FIRED: std::sync::LazyLock<Event> = std::sync::LazyLock::new(|| Event::new(false, false));

extern "win64" fn on_timer(timer: u64) {
    note(format!("timer irql={}", nt::thread::irql()));
    assert_ne!(client().call("WdfTimerGetParentObject", &[timer]), 0);
    FIRED.set();
}

extern "win64" fn on_own_stop(timer: u64) {
    assert!(!client().boolean("WdfTimerStop", &[timer, 1]));
    FIRED.set();
}

extern "win64" fn on_work(item: u64) {
    note(format!("work irql={}", nt::thread::irql()));
    if taken_count() == 1 {
        client().call("WdfWorkItemEnqueue", &[item]);
    }
}

fn taken_count() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    RUNS.fetch_add(1, Ordering::Relaxed) + 1
}

extern "win64" fn on_dpc(_dpc: u64) {
    note(format!("dpc irql={}", nt::thread::irql()));
}

fn timer_config(callback: extern "win64" fn(u64)) -> u64 {
    let at = memory(40);
    guest::write(at, 40_u32);
    guest::write(at + 8, callback as *const () as u64);
    guest::write(at + 20, 1_u8);
    at
}

fn small_config(callback: extern "win64" fn(u64)) -> u64 {
    let at = memory(24);
    guest::write(at, 24_u32);
    guest::write(at + 8, callback as *const () as u64);
    guest::write(at + 16, 1_u8);
    at
}

fn below(parent: u64) -> u64 {
    let at = attributes();
    guest::write(at + 32, parent);
    at
}

/// One millisecond from now.
const SOON: u64 = (-10_000_i64) as u64;
/// An hour from now.
const LATE: u64 = (-36_000_000_000_i64) as u64;

rusty_fork_test! {
    /// R-DEV-70.
    #[test]
    fn a_spin_lock_raises_and_restores_the_level() {
        let t = start();
        let lock = t.create("WdfSpinLockCreate", &[0]).unwrap();
        t.call("WdfSpinLockAcquire", &[lock]);
        assert_eq!(nt::thread::irql(), 2);
        t.call("WdfSpinLockRelease", &[lock]);
        assert_eq!(nt::thread::irql(), 0);
    }

    /// R-DEV-71.
    #[test]
    fn releasing_a_spin_lock_one_does_not_hold_is_a_bug_check_under_the_verifier() {
        let t = start_verified();
        let lock = t.create("WdfSpinLockCreate", &[0]).unwrap();
        expect_end("R-DEV-71", || { t.call("WdfSpinLockRelease", &[lock]); });
    }

    /// R-DEV-74, R-DEV-75.
    #[test]
    fn a_held_wait_lock_times_out_and_keeps_apcs_off() {
        let t = start();
        let lock = t.create("WdfWaitLockCreate", &[0]).unwrap();
        assert_eq!(t.status("WdfWaitLockAcquire", &[lock, 0]), NtStatus::SUCCESS);
        assert!(nt::thread::current().apcs_disabled());
        sched::spawn("other", move || {
            let t = client();
            let (zero, short) = (memory(8), memory(8));
            guest::write(short, -10_000_i64);
            assert_eq!(t.status("WdfWaitLockAcquire", &[lock, zero]), NtStatus::TIMEOUT);
            assert_eq!(t.status("WdfWaitLockAcquire", &[lock, short]), NtStatus::TIMEOUT);
        }).join();
        t.call("WdfWaitLockRelease", &[lock]);
        assert!(!nt::thread::current().apcs_disabled());
    }

    /// R-DEV-75.
    #[test]
    fn acquiring_a_wait_lock_twice_ends_the_run() {
        let t = start();
        let lock = t.create("WdfWaitLockCreate", &[0]).unwrap();
        t.call("WdfWaitLockAcquire", &[lock, 0]);
        expect_end("R-DEV-75", || { t.call("WdfWaitLockAcquire", &[lock, 0]); });
    }

    /// R-QUE-68.
    #[test]
    fn an_object_without_callback_lock_cannot_be_locked() {
        let t = start_lenient();
        let object = t.object(0, "object");
        expect_end("R-QUE-68", || { t.call("WdfObjectAcquireLock", &[object]); });
    }

    /// R-DEV-80, R-DEV-82, R-DEV-83, R-DEV-84.
    #[test]
    fn a_timer_fires_at_its_level_and_says_whether_it_was_queued() {
        let t = start();
        let device = control_device(&t);
        assert_eq!(
            t.create("WdfTimerCreate", &[timer_config(on_timer), 0]),
            Err(NtStatus::WDF_PARENT_NOT_SPECIFIED)
        );
        assert_eq!(
            t.create("WdfTimerCreate", &[timer_config(on_timer), below(t.driver)]),
            Err(NtStatus::INVALID_DEVICE_REQUEST)
        );
        let timer = t.create("WdfTimerCreate", &[timer_config(on_timer), below(device)]).unwrap();
        assert!(!t.boolean("WdfTimerStart", &[timer, LATE]));
        assert!(t.boolean("WdfTimerStart", &[timer, LATE]));
        assert!(t.boolean("WdfTimerStop", &[timer, 0]));
        assert!(!t.boolean("WdfTimerStop", &[timer, 1]));
        t.call("WdfTimerStart", &[timer, SOON]);
        FIRED.wait();
        assert_eq!(taken(), ["timer irql=2"]);
        t.call("WdfObjectDelete", &[timer]);
        let passive = below(device);
        guest::write(passive + 24, 2_u32);
        let timer = t.create("WdfTimerCreate", &[timer_config(on_timer), passive]).unwrap();
        t.call("WdfTimerStart", &[timer, SOON]);
        FIRED.wait();
        assert_eq!(taken(), ["timer irql=0"]);
        let periodic = timer_config(on_timer);
        guest::write(periodic + 16, 10_u32);
        assert_eq!(t.create("WdfTimerCreate", &[periodic, passive]), Err(NtStatus::NOT_SUPPORTED));
    }

    /// R-DEV-84, R-CHK-36.
    #[test]
    fn a_waiting_stop_in_the_timers_own_callback_is_refused() {
        let t = start_lenient();
        let device = control_device(&t);
        let timer = t.create("WdfTimerCreate", &[timer_config(on_own_stop), below(device)]).unwrap();
        t.call("WdfTimerStart", &[timer, SOON]);
        FIRED.wait();
        assert_eq!(verify::breaks(), 1);
    }

    /// R-DEV-85, R-DEV-87.
    #[test]
    fn a_work_item_may_queue_itself_again_and_flush_waits() {
        let t = start();
        let device = control_device(&t);
        let item = t.create("WdfWorkItemCreate", &[small_config(on_work), below(device)]).unwrap();
        t.call("WdfWorkItemEnqueue", &[item]);
        t.call("WdfWorkItemFlush", &[item]);
        t.call("WdfObjectDelete", &[item]);
        assert_eq!(taken(), ["work irql=0", "work irql=0"]);
    }

    /// R-DEV-86.
    #[test]
    fn a_dpc_queued_at_dispatch_level_can_be_cancelled_there() {
        let t = start();
        let device = control_device(&t);
        let dpc = t.create("WdfDpcCreate", &[small_config(on_dpc), below(device)]).unwrap();
        nt::thread::current().at_least(2, || {
            assert!(t.boolean("WdfDpcEnqueue", &[dpc]));
            assert!(!t.boolean("WdfDpcEnqueue", &[dpc]));
            assert!(t.boolean("WdfDpcCancel", &[dpc, 0]));
            assert!(!t.boolean("WdfDpcCancel", &[dpc, 0]));
        });
        assert!(taken().is_empty());
        assert!(t.boolean("WdfDpcEnqueue", &[dpc]));
        assert_eq!(taken(), ["dpc irql=2"]);
    }

    /// R-DEV-87: deletion may come at any instant around the expiry; no callback runs after it, no memory is touched.
    #[test]
    fn a_timer_deleted_around_its_expiry_never_fires_late() {
        let t = start();
        let device = control_device(&t);
        for round in 0..4_000_i64 {
            let timer = t.create("WdfTimerCreate", &[timer_config(on_timer), below(device)]).unwrap();
            t.call("WdfTimerStart", &[timer, (-1_i64) as u64]);
            // The clock thread takes some ten microseconds to wake: the deletions sweep over its way to the DPC.
            let until = sched::now() + round % 800;
            while sched::now() < until {
                std::hint::spin_loop();
            }
            t.call("WdfObjectDelete", &[timer]);
            assert!(taken().len() <= 1);
        }
        nt::dpc::flush();
        assert!(taken().is_empty());
    }
}
