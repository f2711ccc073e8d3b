//! Interrupt levels, DPCs, spin locks.

use super::*;
use crate::nt::abi::{Kdpc, Kevent, Ktimer};
use crate::nt::pool::{self, Tag};
use crate::nt::spinlock::{self, KspinLock};
use crate::nt::thread::{self, APC_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::nt::{dpc, timer, wait};
use crate::sched;
use rusty_fork::rusty_fork_test;

extern "win64" fn routine(_dpc: *mut Kdpc, context: *mut u8, first: *mut u8, _second: *mut u8) {
    log(format!(
        "dpc {} {} at {}",
        context as usize,
        first as usize,
        thread::irql()
    ));
}

extern "win64" fn signals(_dpc: *mut Kdpc, context: *mut u8, _first: *mut u8, _second: *mut u8) {
    log("timer dpc");
    wait::set_event(context.cast());
}

fn memory<T>() -> *mut T {
    pool::allocate_internal(size_of::<T>(), Tag::new(b"Test")).cast()
}

fn new_dpc(context: usize) -> *mut Kdpc {
    let dpc = memory();
    dpc::initialize(dpc, Some(routine), context as *mut u8);
    dpc
}

const NULL: *mut u8 = std::ptr::null_mut();

rusty_fork_test! {
    #[test]
    fn a_dpc_queued_below_dispatch_level_runs_at_once() {
        assert!(dpc::insert(new_dpc(1), 7 as *mut u8, NULL));
        assert_eq!(taken(), ["dpc 1 7 at 2"]);
        assert_eq!(thread::irql(), PASSIVE_LEVEL);
    }

    #[test]
    fn dpcs_queued_at_dispatch_level_run_in_order_when_the_level_drops() {
        let (one, two) = (new_dpc(1), new_dpc(2));
        let old = thread::current().raise(DISPATCH_LEVEL);
        assert!(dpc::insert(one, NULL, NULL));
        assert!(!dpc::insert(one, 9 as *mut u8, NULL), "it is queued already");
        assert!(dpc::insert(two, NULL, NULL));
        assert!(taken().is_empty());
        thread::current().lower(old);
        assert_eq!(taken(), ["dpc 1 0 at 2", "dpc 2 0 at 2"]);
    }

    #[test]
    fn a_dpc_that_is_removed_does_not_run_and_may_be_queued_again() {
        let one = new_dpc(1);
        let old = thread::current().raise(DISPATCH_LEVEL);
        dpc::insert(one, NULL, NULL);
        assert!(dpc::remove(one));
        assert!(!dpc::remove(one));
        thread::current().lower(old);
        assert!(taken().is_empty());
        assert!(dpc::insert(one, NULL, NULL));
        assert_eq!(taken().len(), 1);
    }

    #[test]
    fn a_flush_waits_for_a_dpc_another_processor_has_not_run_yet() {
        let one = Address(new_dpc(1));
        let queued = Arc::new(sched::Event::new(true, false));
        let proceed = Arc::new(sched::Event::new(true, false));
        let (there, go) = (Arc::clone(&queued), Arc::clone(&proceed));
        let thread = sched::spawn("other processor", move || {
            let old = thread::current().raise(DISPATCH_LEVEL);
            dpc::insert(one.get(), NULL, NULL);
            there.set();
            // A busy processor at DISPATCH_LEVEL.
            while !go.is_set() {
                std::thread::yield_now();
            }
            log("lowered");
            thread::current().lower(old);
        });
        queued.wait();
        proceed.set();
        dpc::flush();
        assert_eq!(taken(), ["lowered", "dpc 1 0 at 2"]);
        thread.join();
    }

    #[test]
    fn a_timer_signals_and_queues_its_dpc_once_unless_it_is_canceled() {
        let event: *mut Kevent = memory();
        wait::initialize_event(event, true, false);
        let dpc = memory();
        dpc::initialize(dpc, Some(signals), event.cast());
        let clock: *mut Ktimer = memory();
        timer::initialize(clock, true);
        assert!(!timer::set(clock, -10_000_000_000, 0, dpc));
        assert!(timer::set(clock, -1, 0, dpc), "it was set");
        assert_eq!(wait::wait_for_one(event.cast(), None), NtStatus::SUCCESS);
        assert!(timer::is_signaled(clock));
        assert!(!timer::cancel(clock));
        assert_eq!(taken(), ["timer dpc"]);
        assert_eq!(timer::armed(), 0);
    }

    #[test]
    fn lowering_the_level_by_raising_it_is_a_violation() {
        thread::current().raise(DISPATCH_LEVEL);
        expect_violation("NT-IRQL-01");
        thread::current().raise(APC_LEVEL);
        panic!("nobody noticed");
    }

    #[test]
    fn a_wait_at_dispatch_level_is_a_violation() {
        let event: *mut Kevent = memory();
        wait::initialize_event(event, true, true);
        thread::current().raise(DISPATCH_LEVEL);
        assert_eq!(wait::wait_for_one(event.cast(), Some(0)), NtStatus::SUCCESS, "asking is allowed");
        expect_violation("NT-IRQL-03");
        let _ = wait::wait_for_one(event.cast(), None);
        panic!("nobody noticed");
    }

    #[test]
    fn two_threads_take_turns_with_a_spin_lock() {
        static LOCK: KspinLock = KspinLock::new();
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let threads: Vec<_> = (0..4).map(|_| sched::spawn("contender", || {
            for _ in 0..5000 {
                let old = spinlock::raise_and_acquire(&LOCK);
                let seen = COUNT.load(std::sync::atomic::Ordering::Relaxed);
                std::hint::spin_loop();
                COUNT.store(seen + 1, std::sync::atomic::Ordering::Relaxed);
                spinlock::release_and_lower(&LOCK, old);
            }
        })).collect();
        for thread in threads {
            thread.join();
        }
        assert_eq!(COUNT.load(std::sync::atomic::Ordering::Relaxed), 20_000);
    }

    #[test]
    fn a_spin_lock_acquired_twice_by_one_thread_is_a_violation() {
        let lock = KspinLock::new();
        spinlock::raise_and_acquire(&lock);
        expect_violation("NT-LOCK-03");
        spinlock::acquire(&lock);
        panic!("nobody noticed");
    }

    #[test]
    fn the_level_cannot_drop_under_a_held_spin_lock() {
        let lock = KspinLock::new();
        let old = spinlock::raise_and_acquire(&lock);
        expect_violation("NT-LOCK-01");
        thread::current().lower(old);
        panic!("nobody noticed");
    }

    #[test]
    fn releasing_a_spin_lock_another_thread_holds_is_a_violation() {
        let lock = KspinLock::new();
        expect_violation("NT-LOCK-04");
        spinlock::release(&lock);
        panic!("nobody noticed");
    }
}
