//! What the framework leaves undefined without its verifier: each misuse ends the run with the statement it breaks.

use crate::bench::*;
use crate::misuse::{expect_end, with_reader, with_started_reader};
use crate::targets::{created, remote_target, send};
use drydock::kmdf::guest;
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;

fn mark(request: u64) {
    let marked = wdf_status(
        "WdfRequestMarkCancelableEx",
        &[request, address!(evt_cancel)],
    );
    assert_eq!(marked, NtStatus::SUCCESS);
}

rusty_fork_test! {
    /// R-CAN-28, R-CHK-62
    #[test]
    fn a_second_mark_of_a_cancelable_request_ends_the_run() {
        expect_end("R-CAN-28", &["cancelable already"]);
        let bench = with_reader(|request| {
            mark(request);
            wdf("WdfRequestMarkCancelableEx", &[request, address!(evt_cancel)]);
        });
        start(&bench.open(), read(1));
        panic!("the second mark went through");
    }

    /// R-CAN-31, R-CHK-61
    #[test]
    fn completion_before_the_cancel_callback_that_is_due_ends_the_run() {
        expect_end("R-CAN-31", &["EvtRequestCancel has not been called yet", "canceled while cancelable"]);
        let held = Cell::default();
        let keep = held.clone();
        let bench = with_reader(move |request| {
            if keep.get() == 0 {
                mark(request);
                keep.set(request);
                return;
            }
            // This handler is a frame of the dispatch loop: the callback that a cancellation makes due waits for it.
            let first = keep.get();
            irp_cancel(first);
            assert_eq!(wdf_status("WdfRequestUnmarkCancelable", &[first]), NtStatus::CANCELLED);
            complete(first, NtStatus::CANCELLED, 0);
        });
        on("EvtRequestCancel", |a| { complete(a[0], NtStatus::CANCELLED, 0); 0 });
        let handle = bench.open();
        start(&handle, read(1));
        start(&handle, read(1));
        panic!("the completion went through");
    }

    /// R-CAN-53, R-CHK-63
    #[test]
    fn forwarding_a_cancelable_request_ends_the_run() {
        expect_end("R-CAN-53", &["the request is cancelable"]);
        let manual = Cell::default();
        let made = manual.clone();
        let bench = Bench::control(move |device| {
            queue(device, PARALLEL);
            made.set(queue(device, MANUAL));
        });
        on("EvtIoRead", move |a| {
            mark(a[1]);
            wdf("WdfRequestForwardToIoQueue", &[a[1], manual.get()]);
            0
        });
        start(&bench.open(), read(1));
        panic!("the request was forwarded");
    }

    /// R-CAN-54, R-CHK-63
    #[test]
    fn sending_a_cancelable_request_ends_the_run() {
        expect_end("R-CAN-54", &["the request is cancelable"]);
        let target = Cell::default();
        let to = target.clone();
        let bench = with_started_reader(move |request| {
            mark(request);
            send(request, to.get(), 0);
        });
        target.set(remote_target(bench.device));
        start(&bench.open(), read(1));
        panic!("the request was sent");
    }

    /// R-REQ-87, R-CHK-63
    #[test]
    fn forwarding_to_the_queue_a_request_came_from_ends_the_run() {
        expect_end("R-REQ-87", &["this very queue"]);
        let bench = with_reader(|request| {
            let own = wdf("WdfRequestGetIoQueue", &[request]);
            wdf("WdfRequestForwardToIoQueue", &[request, own]);
        });
        start(&bench.open(), read(1));
        panic!("the request was forwarded");
    }

    /// R-REQ-07: an operation on a request that only its queue owns.
    #[test]
    fn completing_a_request_that_was_only_found_ends_the_run() {
        expect_end("R-REQ-07", &["it waits in a queue", "found, not owned"]);
        let (_bench, _handle, _pending, found) = found_request();
        complete(found, NtStatus::SUCCESS, 0);
        panic!("the completion went through");
    }

    /// R-TGT-31, R-CHK-64
    #[test]
    fn sending_an_unformatted_request_ends_the_run() {
        expect_end("R-TGT-31", &["without a format"]);
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        wdf("WdfRequestSend", &[created(target), target, 0]);
        panic!("the request was sent");
    }

    /// R-TGT-85, R-CHK-64
    #[test]
    fn reuse_of_a_request_that_is_at_a_target_ends_the_run() {
        expect_end("R-TGT-85", &["at an I/O target", "sent to the target"]);
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        send(request, target, 0);
        wdf("WdfRequestReuse", &[request, words([24, 0, 0])]);
        panic!("the request was reused");
    }

    /// R-TGT-114, R-CHK-64
    #[test]
    fn deletion_of_a_request_that_is_at_a_target_ends_the_run() {
        expect_end("R-TGT-114", &["at an I/O target", "sent to the target"]);
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        send(request, target, 0);
        wdf("WdfObjectDelete", &[request]);
        panic!("the request was deleted");
    }

    /// R-TGT-51, R-CHK-64
    #[test]
    fn completion_of_a_request_that_is_at_a_target_ends_the_run() {
        expect_end("R-TGT-51", &["at an I/O target"]);
        let target = Cell::default();
        let to = target.clone();
        let bench = with_started_reader(move |request| {
            send(request, to.get(), 0);
            complete(request, NtStatus::SUCCESS, 0);
        });
        target.set(remote_target(bench.device));
        start(&bench.open(), read(1));
        panic!("the completion went through");
    }

    /// R-TGT-54: with or without the verifier.
    #[test]
    fn sending_a_request_that_is_at_a_target_is_a_bug_check() {
        expect_bug_check(|parameters| matches!(parameters, [6, 3, _, _]));
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        send(request, target, 0);
        wdf("WdfRequestSend", &[request, target, 0]);
        panic!("the request was sent twice");
    }

    /// R-TGT-58: the synchronous form belongs at PASSIVE_LEVEL.
    #[test]
    fn a_synchronous_send_at_dispatch_level_ends_the_run() {
        expect_end("R-TGT-58", &["a synchronous send at IRQL 2"]);
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        drydock::nt::thread::current().raise(2);
        send(request, target, words([16 | 2 << 32, 0]));
        panic!("the request was sent");
    }

    /// R-REQ-76, R-CHK-65: the handle leads to the request it belongs to.
    #[test]
    fn a_memory_handle_used_after_completion_ends_the_run() {
        expect_end("R-OBJ-05", &["use after free of WDFREQUEST", "WdfMemoryGetBuffer"]);
        let bench = with_reader(|request| {
            let out = words([0]);
            assert_eq!(wdf_status("WdfRequestRetrieveOutputMemory", &[request, out]), NtStatus::SUCCESS);
            complete(request, NtStatus::SUCCESS, 0);
            wdf("WdfMemoryGetBuffer", &[guest::read(out), 0]);
        });
        start(&bench.open(), read(8));
        panic!("the memory was used");
    }

    /// R-CAN-22
    #[test]
    fn a_mark_without_a_callback_is_a_bug_check() {
        expect_bug_check(|parameters| parameters[0] == 4);
        let bench = with_reader(|request| { wdf("WdfRequestMarkCancelable", &[request, 0]); });
        start(&bench.open(), read(1));
        panic!("the mark went through");
    }

    /// R-QUE-81
    #[test]
    fn a_deleted_queue_kept_by_a_reference_cannot_be_purged() {
        expect_bug_check(|parameters| {
            parameters[0] == 0xA && parameters[3] == NtStatus::DELETE_PENDING.0 as u32 as u64
        });
        let bench = Bench::control(|_| {});
        let gone = queue(bench.device, MANUAL);
        wdf("WdfObjectReferenceActual", &[gone, 0, 0, 0]);
        wdf("WdfObjectDelete", &[gone]);
        wdf("WdfIoQueuePurge", &[gone, 0, 0]);
        panic!("the purge went through");
    }

    /// R-CHK-66: found at the end of a run that keeps track of requests, not before.
    #[test]
    fn a_request_that_is_never_completed_is_still_counted_as_the_drivers() {
        let own = Cell::default();
        let made = own.clone();
        let bench = Bench::control(move |device| made.set(queue(device, PARALLEL)));
        let handle = bench.open();
        let forgotten = start(&handle, read(1));
        assert_eq!(counts(own.get()), (0, 1));
        assert_eq!(forgotten.status(), None);
    }
}

/// The run must end with a bug check 0x10D whose parameters are right.
pub fn expect_bug_check(right: impl Fn([u64; 4]) -> bool + Send + 'static) {
    drydock::verify::on_end(move |report| match report.bug_check {
        Some((0x10D, parameters)) if right(parameters) => 0,
        _ => {
            eprintln!("{report}");
            1
        }
    });
}

/// A request that waits in a manual queue and was found there.
pub fn found_request() -> (
    Bench,
    std::sync::Arc<drydock::nt::app::Handle>,
    Pending,
    u64,
) {
    let made = Cell::default();
    let manual = made.clone();
    let bench = Bench::control(move |device| {
        manual.set(queue(
            device,
            QueueSpec {
                default: true,
                ..MANUAL
            },
        ));
    });
    let handle = bench.open();
    let pending = start(&handle, read(4));
    let out = words([0]);
    let found = wdf_status("WdfIoQueueFindRequest", &[made.get(), 0, 0, 0, out]);
    assert_eq!(found, NtStatus::SUCCESS);
    (bench, handle, pending, guest::read(out))
}
