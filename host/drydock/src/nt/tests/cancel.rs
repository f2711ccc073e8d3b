//! Cancellation with the I/O manager's rules.

use super::pending::start;
use super::*;
use crate::nt::app::Op;
use crate::nt::thread;
use rusty_fork::rusty_fork_test;

const READ: Op = Op::Read { offset: 0, len: 0 };

extern "win64" fn cancel_routine(_device: *mut DeviceObject, request: *mut Irp) {
    assert_eq!(thread::irql(), thread::DISPATCH_LEVEL);
    irp::release_cancel_lock(at(request).cancel_irql.get());
    log("canceled");
    let _ = complete(request, NtStatus::CANCELLED, 0);
}

/// Pends a request with a cancel routine, as a driver must: one that was canceled before is completed at once.
pub(super) fn pend_cancelable(_device: *mut DeviceObject, request: *mut Irp) -> NtStatus {
    irp::mark_pending(request);
    irp::set_cancel_routine(request, Some(cancel_routine));
    if at(request).cancel.get() != 0 && irp::set_cancel_routine(request, None) != 0 {
        log("found canceled");
        let _ = complete(request, NtStatus::CANCELLED, 0);
    }
    NtStatus::PENDING
}

extern "win64" fn keeps_the_lock(_device: *mut DeviceObject, _request: *mut Irp) {}

rusty_fork_test! {
    #[test]
    fn a_canceled_request_is_completed_once_by_its_cancel_routine() {
        Device::named("T", 0).on(mj::READ, pend_cancelable);
        let (_process, handle) = open("T");
        let (id, end) = start(&handle, READ);
        assert!(handle.cancel(id));
        assert_eq!(end.wait().status, NtStatus::CANCELLED);
        assert_eq!(taken(), ["canceled"]);
        assert!(!handle.cancel(id), "it is gone");
        assert_eq!(thread::irql(), thread::PASSIVE_LEVEL);
    }

    #[test]
    fn cancel_all_reaches_every_request_of_the_file_and_no_other() {
        Device::named("T", 0).on(mj::READ, pend_cancelable);
        let (process, handle) = open("T");
        let other = process.open("\\\\.\\T", 0xc000_0000, 3).unwrap();
        let ends: Vec<_> = (0..3).map(|_| start(&handle, READ).1).collect();
        let (_, untouched) = start(&other, READ);
        assert_eq!(handle.cancel_all(), 3);
        assert!(ends.iter().all(|end| end.wait().status == NtStatus::CANCELLED));
        assert!(!untouched.is_done());
        other.cancel_all();
    }

    #[test]
    fn a_request_without_a_cancel_routine_is_only_marked() {
        let kept = Device::named("T", 0).keep(mj::READ);
        let (_process, handle) = open("T");
        let (id, end) = start(&handle, READ);
        assert!(handle.cancel(id));
        assert!(!end.is_done());
        let request = kept.take();
        assert_eq!(at(request).cancel.get(), 1);
        let _ = complete(request, NtStatus::SUCCESS, 0);
        assert_eq!(end.wait().status, NtStatus::SUCCESS);
    }

    #[test]
    fn completing_with_a_cancel_routine_set_is_a_violation() {
        Device::named("T", 0).on(mj::READ, |_, request| {
            irp::set_cancel_routine(request, Some(cancel_routine));
            complete(request, NtStatus::SUCCESS, 0)
        });
        expect_violation("NT-IRP-06");
        open("T").1.run(READ);
        panic!("nobody noticed");
    }

    #[test]
    fn a_cancel_routine_that_keeps_the_cancel_lock_is_a_violation() {
        Device::named("T", 0).on(mj::READ, |_, request| {
            irp::mark_pending(request);
            irp::set_cancel_routine(request, Some(keeps_the_lock));
            NtStatus::PENDING
        });
        let (_process, handle) = open("T");
        let (id, _end) = start(&handle, READ);
        expect_violation("NT-IRP-08");
        handle.cancel(id);
        panic!("nobody noticed");
    }

    #[test]
    fn a_cancel_and_a_completion_that_race_end_the_request_once() {
        // As a driver does it: who takes the request off the list, or finds the cancel routine gone, leaves it to the other.
        static PENDING: Lock<Vec<Address<Irp>>> = Lock::new(Vec::new());
        extern "win64" fn take_off_the_list(_device: *mut DeviceObject, request: *mut Irp) {
            irp::release_cancel_lock(at(request).cancel_irql.get());
            PENDING.lock().retain(|pending| pending.get() != request);
            let _ = complete(request, NtStatus::CANCELLED, 0);
        }
        Device::named("T", 0).on(mj::READ, |_, request| {
            irp::mark_pending(request);
            PENDING.lock().push(Address(request));
            irp::set_cancel_routine(request, Some(take_off_the_list));
            NtStatus::PENDING
        });
        let (_process, handle) = open("T");
        for _ in 0..2000 {
            let (id, end) = start(&handle, READ);
            let canceler = Arc::clone(&handle);
            let thread = crate::sched::spawn("canceler", move || {
                canceler.cancel(id);
            });
            let mine = {
                let mut pending = PENDING.lock();
                let request = pending.pop();
                request.filter(|request| irp::set_cancel_routine(request.get(), None) != 0)
            };
            if let Some(request) = mine {
                let _ = complete(request.get(), NtStatus::SUCCESS, 0);
            }
            end.wait();
            thread.join();
        }
        assert_eq!(irp::live(), 0);
    }
}
