//! Waiting for objects, and threads.

use super::*;
use crate::nt::abi::{DispatcherHeader, Kevent, Kmutant, Ksemaphore};
use crate::nt::exports::lookup;
use crate::nt::pool::{self, Tag};
use crate::nt::{object, thread, wait, workitem};
use crate::sched;
use rusty_fork::rusty_fork_test;

fn memory<T>() -> *mut T {
    pool::allocate_internal(size_of::<T>(), Tag::new(b"Test")).cast()
}

fn event(notification: bool) -> *mut Kevent {
    let event = memory();
    wait::initialize_event(event, notification, false);
    event
}

extern "win64" fn thread_routine(context: *mut u8) {
    log(format!(
        "thread {} system={}",
        context as usize,
        thread::current().process().is_none()
    ));
}

rusty_fork_test! {
    #[test]
    fn a_synchronization_event_lets_one_wait_go_on() {
        let event = event(false);
        assert_eq!(wait::set_event(event), 0);
        assert_eq!(wait::set_event(event), 1);
        assert_eq!(wait::wait_for_one(event.cast(), Some(0)), NtStatus::SUCCESS);
        assert_eq!(wait::wait_for_one(event.cast(), Some(0)), NtStatus::TIMEOUT);
        assert_eq!(wait::wait_for_one(event.cast(), Some(-10)), NtStatus::TIMEOUT);
    }

    #[test]
    fn a_wait_for_any_says_which_and_a_wait_for_all_takes_all_or_none() {
        let (a, b) = (event(false), event(false));
        let both: [*mut DispatcherHeader; 2] = [a.cast(), b.cast()];
        wait::set_event(b);
        assert_eq!(wait::wait_for(&both, true, Some(0)), NtStatus::TIMEOUT);
        assert_eq!(wait::wait_for(&both, false, Some(0)), NtStatus::WAIT_1);
        let (first, second) = (Address(a), Address(b));
        let waiter = sched::spawn("waiter", move || {
            let both: [*mut DispatcherHeader; 2] = [first.get().cast(), second.get().cast()];
            assert_eq!(wait::wait_for(&both, true, None), NtStatus::SUCCESS);
            log("both");
        });
        wait::set_event(a);
        wait::set_event(b);
        waiter.join();
        assert_eq!(taken(), ["both"]);
        assert_eq!(wait::wait_for(&both, false, Some(0)), NtStatus::TIMEOUT, "both were taken");
    }

    #[test]
    fn a_mutex_belongs_to_a_thread_which_may_take_it_again() {
        let mutex: *mut Kmutant = memory();
        wait::initialize_mutex(mutex);
        assert_eq!(wait::wait_for_one(mutex.cast(), None), NtStatus::SUCCESS);
        assert_eq!(wait::wait_for_one(mutex.cast(), None), NtStatus::SUCCESS);
        let there = Address(mutex);
        sched::spawn("other", move || {
            assert_eq!(wait::wait_for_one(there.get().cast(), Some(0)), NtStatus::TIMEOUT);
        }).join();
        assert_eq!(wait::release_mutex(mutex), -1);
        assert_eq!(wait::release_mutex(mutex), 0);
        sched::spawn("other", move || {
            assert_eq!(wait::wait_for_one(there.get().cast(), Some(0)), NtStatus::SUCCESS);
            wait::release_mutex(there.get());
        }).join();
        expect_violation("NT-WAIT-02");
        wait::release_mutex(mutex);
        panic!("nobody noticed");
    }

    #[test]
    fn a_semaphore_lets_as_many_go_on_as_it_counts() {
        let semaphore: *mut Ksemaphore = memory();
        wait::initialize_semaphore(semaphore, 0, 2);
        assert_eq!(wait::release_semaphore(semaphore, 2), 0);
        for expected in [NtStatus::SUCCESS, NtStatus::SUCCESS, NtStatus::TIMEOUT] {
            assert_eq!(wait::wait_for_one(semaphore.cast(), Some(0)), expected);
        }
        expect_violation("NT-WAIT-01");
        wait::release_semaphore(semaphore, 3);
        panic!("nobody noticed");
    }

    #[test]
    fn a_system_thread_can_be_waited_for_until_it_has_ended() {
        let ethread = thread::create_system(thread_routine as *const () as usize, 5 as *mut u8);
        let handle = object::open_handle(ethread);
        let object = object::by_handle(handle).unwrap();
        assert_eq!(wait::wait_for_one(object.cast(), None), NtStatus::SUCCESS);
        assert_eq!(taken(), ["thread 5 system=true"]);
        object::dereference_any(object);
        assert_eq!(object::close_handle(handle), NtStatus::SUCCESS);
        assert_eq!(object::close_handle(handle), NtStatus::INVALID_HANDLE);
    }

    #[test]
    fn more_work_than_worker_threads_is_all_done() {
        for _ in 0..200 {
            workitem::queue(workitem::Queue::Delayed, || log("work"));
        }
        workitem::wait_idle();
        assert_eq!(taken().len(), 200);
    }

    #[test]
    fn a_worker_that_blocks_does_not_stop_the_others() {
        let gate = Address(event(true));
        for _ in 0..3 {
            workitem::queue(workitem::Queue::Delayed, move || {
                assert!(wait::wait_for_one(gate.get().cast(), None).is_success());
            });
        }
        workitem::queue(workitem::Queue::Delayed, move || {
            wait::set_event(gate.get());
        });
        workitem::wait_idle();
    }

    #[test]
    fn what_a_driver_imports_by_another_name_is_the_same_function() {
        assert_eq!(lookup("ntoskrnl.exe", "PoCallDriver"), lookup("ntoskrnl.exe", "IofCallDriver"));
        assert!(lookup("HAL.dll", "KeStallExecutionProcessor").is_some());
        assert_eq!(lookup("ntoskrnl.exe", "NoSuchFunction"), None);
    }
}
