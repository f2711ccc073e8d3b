//! Misuse that ends a run, with the statement it breaks and the history of the request's owners.

use crate::bench::*;
use drydock::nt::status::NtStatus;
use drydock::verify;
use rusty_fork::rusty_fork_test;

/// The run must end with a violation of this statement; its text must contain all of `parts`.
pub fn expect_end(statement: &'static str, parts: &'static [&'static str]) {
    verify::on_end(move |report| {
        let text = report.to_string();
        let right =
            report.statement == Some(statement) && parts.iter().all(|part| text.contains(part));
        if right {
            return 0;
        }
        eprintln!("{text}");
        1
    });
}

/// A device whose reads `handler` is given.
pub fn with_reader(handler: impl Fn(u64) + Send + Sync + 'static) -> Bench {
    let bench = Bench::control(|device| {
        queue(device, PARALLEL);
    });
    on("EvtIoRead", move |a| {
        handler(a[1]);
        0
    });
    bench
}

/// The same in a stack of devices: an IRP has room for another one.
pub fn with_started_reader(handler: impl Fn(u64) + Send + Sync + 'static) -> Bench {
    let bench = Bench::started(|device| {
        queue(device, PARALLEL);
    });
    on("EvtIoRead", move |a| {
        handler(a[1]);
        0
    });
    bench
}

rusty_fork_test! {
    /// R-REQ-26, R-CHK-61
    #[test]
    fn double_completion_is_named_with_the_history_of_owners() {
        expect_end("R-REQ-26", &["double completion", "given to its handler", "completed"]);
        let bench = with_reader(|request| {
            wdf("WdfObjectReferenceActual", &[request, 0, 0, 0]);
            complete(request, NtStatus::SUCCESS, 0);
            complete(request, NtStatus::SUCCESS, 0);
        });
        start(&bench.open(), read(1));
        panic!("the second completion went through");
    }

    /// R-OBJ-05, R-CHK-60
    #[test]
    fn use_of_a_completed_request_is_a_use_after_free() {
        expect_end("R-OBJ-05", &["use after free of WDFREQUEST"]);
        let bench = with_reader(|request| {
            complete(request, NtStatus::SUCCESS, 0);
            complete(request, NtStatus::SUCCESS, 0);
        });
        start(&bench.open(), read(1));
        panic!("the second completion went through");
    }

    /// R-REQ-24, R-CHK-61
    #[test]
    fn completion_of_a_cancelable_request_is_refused() {
        expect_end("R-REQ-24", &["still cancelable"]);
        let bench = with_reader(|request| {
            wdf("WdfRequestMarkCancelableEx", &[request, address!(evt_cancel)]);
            complete(request, NtStatus::SUCCESS, 0);
        });
        start(&bench.open(), read(1));
        panic!("the completion went through");
    }

    /// R-REQ-17, R-CHK-65
    #[test]
    fn information_beyond_a_programs_buffer_is_refused() {
        expect_end("R-REQ-17", &["Information is 100, the buffer has 8 bytes"]);
        let bench = with_reader(|request| complete(request, NtStatus::SUCCESS, 100));
        start(&bench.open(), read(8));
        panic!("the completion went through");
    }

    /// R-REQ-15, R-CHK-65
    #[test]
    fn completion_with_pending_is_refused() {
        expect_end("R-REQ-15", &["STATUS_PENDING"]);
        let bench = with_reader(|request| complete(request, NtStatus::PENDING, 0));
        start(&bench.open(), read(8));
        panic!("the completion went through");
    }

    /// R-OBJ-21, R-CHK-60, X-01
    #[test]
    fn deletion_of_a_request_that_stands_for_an_irp_is_refused() {
        expect_end("R-OBJ-21", &["WdfObjectDelete"]);
        let bench = with_reader(|request| { wdf("WdfObjectDelete", &[request]); });
        start(&bench.open(), read(8));
        panic!("the deletion went through");
    }

    /// R-CAN-34, R-CHK-62
    #[test]
    fn unmarking_what_was_never_marked_is_refused() {
        expect_end("R-CAN-34", &["not cancelable"]);
        let bench = with_reader(|request| { wdf("WdfRequestUnmarkCancelable", &[request]); });
        start(&bench.open(), read(8));
        panic!("the unmark went through");
    }

    /// R-REQ-21, R-OBJ-07
    #[test]
    fn completion_while_embedded_memory_is_referenced_is_a_bug_check() {
        verify::on_end(|report| match report.bug_check {
            Some((0x10D, [3, _, 1, _])) => 0,
            _ => { eprintln!("{report}"); 1 }
        });
        let bench = with_reader(|request| {
            let out = words([0]);
            assert_eq!(wdf_status("WdfRequestRetrieveOutputMemory", &[request, out]), NtStatus::SUCCESS);
            let memory = drydock::kmdf::guest::read::<u64>(out);
            wdf("WdfObjectReferenceActual", &[memory, 0, 0, 0]);
            complete(request, NtStatus::SUCCESS, 0);
        });
        start(&bench.open(), read(8));
        panic!("the completion went through");
    }
}
