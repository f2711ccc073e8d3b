//! The rules of pending and completing, and what breaking each is called.

use super::*;
use crate::nt::app::{Completion, Op};
use crate::sched::{self, Event};
use rusty_fork::rusty_fork_test;

fn read() -> Op {
    Op::Read { offset: 0, len: 0 }
}

/// Starts an operation; gives where its end will be.
pub(super) fn start(handle: &Handle, op: Op) -> (crate::nt::app::IoId, Arc<End>) {
    let end = Arc::new(End {
        event: Event::new(true, false),
        completion: Lock::new(Vec::new()),
    });
    let there = Arc::clone(&end);
    let id = handle.start(op, move |completion| {
        there.completion.lock().push(completion);
        there.event.set();
    });
    (id, end)
}

/// The end of an operation.
pub(super) struct End {
    event: Event,
    completion: Lock<Vec<Completion>>,
}

impl End {
    pub(super) fn wait(&self) -> Completion {
        self.event.wait();
        self.completion.lock().first().cloned().unwrap()
    }

    pub(super) fn is_done(&self) -> bool {
        self.event.is_set()
    }
}

rusty_fork_test! {
    #[test]
    fn a_pended_request_ends_when_another_thread_completes_it() {
        let kept = Device::named("T", 0).keep(mj::READ);
        let (_process, handle) = open("T");
        let (_, end) = start(&handle, read());
        assert!(!end.is_done());
        assert_eq!(handle.outstanding(), 1);
        let there = kept.clone();
        sched::spawn("completer", move || {
            let _ = complete(there.take(), NtStatus::END_OF_FILE, 0);
        });
        assert_eq!(end.wait().status, NtStatus::END_OF_FILE);
        assert_eq!(handle.outstanding(), 0);
    }

    #[test]
    fn a_request_may_be_completed_before_its_dispatch_routine_returns_pending() {
        let device = Device::named("T", 0);
        device.on(mj::READ, |_, request| {
            irp::mark_pending(request);
            let _ = complete(request, NtStatus::SUCCESS, 0);
            NtStatus::PENDING
        });
        let (_process, handle) = open("T");
        assert_eq!(handle.run(read()).status, NtStatus::SUCCESS);
        drop(handle);
    }

    #[test]
    fn pending_returned_but_not_marked_is_a_violation() {
        Device::named("T", 0).on(mj::READ, |_, request| {
            let _ = complete(request, NtStatus::SUCCESS, 0);
            NtStatus::PENDING
        });
        expect_violation("NT-IRP-10");
        open("T").1.run(read());
        panic!("nobody noticed");
    }

    #[test]
    fn marked_pending_but_another_status_returned_is_a_violation() {
        Device::named("T", 0).on(mj::READ, |_, request| {
            irp::mark_pending(request);
            complete(request, NtStatus::SUCCESS, 0)
        });
        expect_violation("NT-IRP-11");
        open("T").1.run(read());
        panic!("nobody noticed");
    }

    #[test]
    fn a_final_status_for_a_request_that_is_not_completed_is_a_violation() {
        Device::named("T", 0).on(mj::READ, |_, _| NtStatus::SUCCESS);
        expect_violation("NT-IRP-09");
        open("T").1.run(read());
        panic!("nobody noticed");
    }

    #[test]
    fn another_status_than_the_one_completed_with_is_a_violation() {
        Device::named("T", 0).on(mj::READ, |_, request| {
            let _ = complete(request, NtStatus::UNSUCCESSFUL, 0);
            NtStatus::SUCCESS
        });
        expect_violation("NT-IRP-12");
        open("T").1.run(read());
        panic!("nobody noticed");
    }

    #[test]
    fn completing_with_status_pending_is_a_violation() {
        Device::named("T", 0).on(mj::READ, |_, request| complete(request, NtStatus::PENDING, 0));
        expect_violation("NT-IRP-07");
        open("T").1.run(read());
        panic!("nobody noticed");
    }

    #[test]
    fn completing_twice_is_bug_check_44() {
        let kept = Device::named("T", 0).keep(mj::READ);
        let (_process, handle) = open("T");
        let (_, end) = start(&handle, read());
        let request = kept.take();
        let _ = complete(request, NtStatus::SUCCESS, 0);
        end.wait();
        expect_bug_check(0x44);
        irp::complete(request, 0);
        panic!("nobody noticed");
    }

    #[test]
    fn a_dispatch_routine_that_returns_at_another_level_is_a_violation() {
        Device::named("T", 0).on(mj::READ, |_, request| {
            crate::nt::thread::current().raise(crate::nt::thread::APC_LEVEL);
            complete(request, NtStatus::SUCCESS, 0)
        });
        expect_violation("NT-IRQL-04");
        open("T").1.run(read());
        panic!("nobody noticed");
    }

    #[test]
    fn a_critical_region_left_open_by_a_dispatch_routine_is_a_violation() {
        Device::named("T", 0).on(mj::READ, |_, request| {
            crate::nt::thread::current().enter_critical_region();
            complete(request, NtStatus::SUCCESS, 0)
        });
        expect_violation("NT-REGION-03");
        open("T").1.run(read());
        panic!("nobody noticed");
    }
}
