//! How long the handle of a request lives, and what its end takes along (R-OBJ-02 to R-OBJ-76, R-DEV-76, R-DEV-91).

use crate::bench::*;
use crate::lower;
use crate::targets::{created, remote_target};
use drydock::kmdf::guest;
use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use drydock::{nt, verify};
use rusty_fork::rusty_fork_test;

fn control(code: u32) -> Op {
    Op::Ioctl {
        code,
        input: vec![],
        output_len: 8,
    }
}

fn retrieve(queue: u64) -> u64 {
    let out = words([0]);
    assert_eq!(
        wdf_status("WdfIoQueueRetrieveNextRequest", &[queue, out]),
        NtStatus::SUCCESS
    );
    guest::read(out)
}

/// Notes in `log` what cleanup and destroy callbacks are told.
fn note_ends(log: &Log) {
    for name in ["EvtCleanupCallback", "EvtDestroyCallback"] {
        let seen = log.clone();
        on(name, move |_| {
            seen.add(name);
            0
        });
    }
}

rusty_fork_test! {
    /// R-OBJ-02
    #[test]
    fn a_request_keeps_its_handle_through_queues_and_targets() {
        let (manual, first) = (Cell::default(), Cell::default());
        let bench = Bench::control(|device| {
            queue(device, PARALLEL);
            manual.set(queue(device, MANUAL));
        });
        deepen(bench.device);
        let target = remote_target(bench.device);
        let (to, keep) = (manual.clone(), first.clone());
        on("EvtIoDeviceControl", move |a| {
            keep.set(a[1]);
            assert_eq!(wdf_status("WdfRequestForwardToIoQueue", &[a[1], to.get()]), NtStatus::SUCCESS);
            0
        });
        let same = first.clone();
        on("completion routine", move |a| {
            assert_eq!(a[0], same.get());
            complete(a[0], NtStatus::SUCCESS, 0);
            0
        });
        let pending = start(&bench.open(), control(0x222000));
        let request = retrieve(manual.get());
        assert_eq!(request, first.get());
        assert_eq!(wdf_status("WdfRequestRequeue", &[request]), NtStatus::SUCCESS);
        assert_eq!(retrieve(manual.get()), request);
        wdf("WdfRequestFormatRequestUsingCurrentType", &[request]);
        wdf("WdfRequestSetCompletionRoutine", &[request, address!(evt_sent), 0]);
        assert_eq!(wdf("WdfRequestSend", &[request, target, 0]) as u8, 1);
        assert!(lower::complete_one(0));
        assert_eq!(pending.wait().status, NtStatus::SUCCESS);
    }

    /// R-OBJ-14, R-CHK-60
    #[test]
    fn an_excess_dereference_of_a_request_ends_the_run() {
        must_end("R-OBJ-14");
        let bench = Bench::control(|device| { queue(device, PARALLEL); });
        on("EvtIoRead", |a| wdf("WdfObjectDereferenceActual", &[a[1], 0, 0, 0]));
        start(&bench.open(), read(1));
        panic!("the dereference went through");
    }

    /// R-OBJ-22, R-CHK-20: completing it has no effect; it ends with its deletion.
    #[test]
    fn a_created_request_ends_by_deletion_and_not_by_completion() {
        count_breaks(true);
        let log = Log::default();
        note_ends(&log);
        let bench = Bench::control(|_| ());
        let target = remote_target(bench.device);
        let out = words([0]);
        assert_eq!(wdf_status("WdfRequestCreate", &[attributes(0, 1), target, out]), NtStatus::SUCCESS);
        let request = guest::read::<u64>(out);
        complete(request, NtStatus::SUCCESS, 0);
        assert_eq!(verify::breaks(), 1);
        assert!(log.take().is_empty());
        wdf("WdfObjectDelete", &[request]);
        assert_eq!(log.take(), ["EvtCleanupCallback", "EvtDestroyCallback"]);
    }

    /// R-OBJ-39: the originator hears of it after the children are gone.
    #[test]
    fn children_of_a_request_end_before_its_irp_is_given_back() {
        let log = Log::default();
        note_ends(&log);
        let bench = Bench::control(|device| { queue(device, PARALLEL); });
        let seen = log.clone();
        on("EvtIoRead", move |a| {
            let out = words([0]);
            assert_eq!(wdf_status("WdfMemoryCreate", &[attributes(a[1], 1), 0, 0, 8, out, 0]), NtStatus::SUCCESS);
            seen.add("completing");
            complete(a[1], NtStatus::SUCCESS, 0);
            seen.add("completed");
            0
        });
        let done = log.clone();
        bench.open().start(read(1), move |_| done.add("the program knows"));
        assert_eq!(log.take(), [
            "completing", "EvtCleanupCallback", "EvtDestroyCallback", "the program knows", "completed",
        ]);
    }

    /// R-OBJ-40
    #[test]
    fn a_target_must_not_be_deleted_over_a_request_below_it_that_is_sent() {
        must_end("R-OBJ-40");
        let bench = Bench::control(|_| ());
        let target = remote_target(bench.device);
        let out = words([0]);
        assert_eq!(wdf_status("WdfRequestCreate", &[attributes(target, 1), target, out]), NtStatus::SUCCESS);
        crate::targets::send(guest::read(out), target, 0);
        wdf("WdfObjectDelete", &[target]);
        panic!("the deletion went through");
    }

    /// R-OBJ-71, R-OBJ-70, R-CHK-19: a reference keeps the object and its context, and nothing of the IRP.
    #[test]
    fn a_reference_does_not_keep_the_irp_of_a_completed_request() {
        count_breaks(true);
        let kept = Cell::default();
        let bench = Bench::control(|device| { queue(device, PARALLEL); });
        let keep = kept.clone();
        on("EvtIoRead", move |a| {
            keep.set(a[1]);
            wdf("WdfObjectReferenceActual", &[a[1], 0, 0, 0]);
            complete(a[1], NtStatus::SUCCESS, 0);
            0
        });
        start(&bench.open(), read(8)).wait();
        let request = kept.get();
        assert_eq!(verify::breaks(), 0);
        let out = words([0, 0]);
        assert_eq!(
            wdf_status("WdfRequestRetrieveOutputBuffer", &[request, 1, out, out + 8]),
            NtStatus::INTERNAL_ERROR
        );
        assert_eq!(verify::breaks(), 1);
        let parameters = words([40, 0, 0, 0, 0]);
        wdf("WdfRequestGetParameters", &[request, parameters]);
        assert_eq!(guest::bytes(parameters + 8, 32), [0; 32]);
        assert_eq!(verify::breaks(), 2);
        wdf("WdfObjectDereferenceActual", &[request, 0, 0, 0]);
    }

    /// R-OBJ-75: whoever forwards a request has it no longer.
    #[test]
    fn a_forwarded_request_is_not_its_former_owners_to_complete() {
        must_end("R-REQ-07");
        let manual = Cell::default();
        let bench = Bench::control(|device| {
            queue(device, PARALLEL);
            manual.set(queue(device, MANUAL));
        });
        on("EvtIoRead", move |a| {
            wdf("WdfRequestForwardToIoQueue", &[a[1], manual.get()]);
            complete(a[1], NtStatus::SUCCESS, 0);
            0
        });
        start(&bench.open(), read(1));
        panic!("the completion went through");
    }

    /// R-OBJ-75, R-CHK-60: the handle of a request that was sent and forgotten is dead.
    #[test]
    fn a_request_sent_and_forgotten_is_gone() {
        must_end("R-OBJ-05");
        let target = Cell::default();
        let bench = Bench::control(|device| { queue(device, PARALLEL); });
        target.set(remote_target(bench.device));
        on("EvtIoDeviceControl", move |a| {
            let options = words([16 | 8 << 32, 0]);
            assert_eq!(wdf("WdfRequestSend", &[a[1], target.get(), options]) as u8, 1);
            wdf("WdfRequestGetStatus", &[a[1]])
        });
        start(&bench.open(), control(0x222000));
        panic!("the handle is still good");
    }

    /// R-OBJ-76: a child that needs PASSIVE_LEVEL keeps the disposal waiting.
    #[test]
    fn completing_at_dispatch_level_over_a_passive_child_is_a_break() {
        count_breaks(true);
        let log = Log::default();
        note_ends(&log);
        let bench = Bench::control(|device| { queue(device, PARALLEL); });
        on("EvtIoRead", |a| {
            let out = words([0]);
            assert_eq!(wdf_status("WdfObjectCreate", &[attributes(a[1], 2), out]), NtStatus::SUCCESS);
            nt::thread::current().at_least(2, || complete(a[1], NtStatus::SUCCESS, 0));
            0
        });
        assert_eq!(start(&bench.open(), read(1)).wait().status, NtStatus::SUCCESS);
        assert_eq!(verify::breaks(), 1);
        nt::workitem::wait_idle();
        assert_eq!(log.take(), ["EvtCleanupCallback", "EvtDestroyCallback"]);
    }

    /// R-DEV-76: holding a lock of the driver's own does not put off a handler.
    #[test]
    fn handlers_run_inside_a_forward_whatever_lock_the_driver_holds() {
        let log = Log::default();
        let (second, locks) = (Cell::default(), (Cell::default(), Cell::default()));
        let bench = Bench::control(|device| {
            queue(device, PARALLEL);
            second.set(queue(device, QueueSpec { default: false, ..PARALLEL }));
        });
        for (cell, function) in [(&locks.0, "WdfSpinLockCreate"), (&locks.1, "WdfWaitLockCreate")] {
            let out = words([0]);
            assert_eq!(wdf_status(function, &[0, out]), NtStatus::SUCCESS);
            cell.set(guest::read(out));
        }
        let (seen, to) = (log.clone(), second.clone());
        on("EvtIoRead", move |a| {
            if a[0] == to.get() {
                seen.add("second handler");
                complete(a[1], NtStatus::SUCCESS, 0);
                return 0;
            }
            let (acquire, release, lock) = if a[2] == 1 {
                ("WdfSpinLockAcquire", "WdfSpinLockRelease", vec![locks.0.get()])
            } else {
                ("WdfWaitLockAcquire", "WdfWaitLockRelease", vec![locks.1.get(), 0])
            };
            wdf(acquire, &lock);
            wdf("WdfRequestForwardToIoQueue", &[a[1], to.get()]);
            seen.add("forwarded");
            wdf(release, &lock[..1]);
            0
        });
        let handle = bench.open();
        for length in [1, 2] {
            start(&handle, read(length)).wait();
            assert_eq!(log.take(), ["second handler", "forwarded"]);
        }
    }

    /// R-DEV-91
    #[test]
    fn a_request_in_a_collection_is_completed_and_only_its_memory_is_kept() {
        let kept = Cell::default();
        let log = Log::default();
        note_ends(&log);
        prepare(|init| { wdf("WdfDeviceInitSetRequestAttributes", &[init, attributes(0, 1)]); });
        let bench = Bench::control(|device| { queue(device, PARALLEL); });
        let out = words([0]);
        assert_eq!(wdf_status("WdfCollectionCreate", &[0, out]), NtStatus::SUCCESS);
        let collection = guest::read::<u64>(out);
        let keep = kept.clone();
        on("EvtIoRead", move |a| {
            keep.set(a[1]);
            assert_eq!(wdf_status("WdfCollectionAdd", &[collection, a[1]]), NtStatus::SUCCESS);
            complete(a[1], NtStatus::SUCCESS, 0);
            0
        });
        assert_eq!(start(&bench.open(), read(1)).wait().status, NtStatus::SUCCESS);
        assert_eq!(log.take(), ["EvtCleanupCallback"]);
        assert_eq!(wdf("WdfCollectionGetFirstItem", &[collection]), kept.get());
        wdf("WdfCollectionRemove", &[collection, kept.get()]);
        assert_eq!(log.take(), ["EvtDestroyCallback"]);
    }

    /// R-CHK-66: a request that nobody completes is in the report of what is left.
    #[test]
    fn a_request_that_is_never_completed_is_reported_at_the_end() {
        let bench = Bench::control(|device| { queue(device, PARALLEL); });
        let handle = bench.open();
        on("EvtIoRead", |_| 0);
        let before = verify::leak_report().to_string();
        start(&handle, read(1));
        let after = verify::leak_report().to_string();
        assert!(!before.contains("WDFREQUEST"), "{before}");
        assert!(after.contains("WDFREQUEST"), "{after}");
    }

    /// R-OBJ-36: a created request is the driver's unless its attributes name a parent.
    #[test]
    fn a_created_request_below_a_device_ends_with_it() {
        let log = Log::default();
        note_ends(&log);
        let bench = Bench::control(|_| ());
        let out = words([0]);
        assert_eq!(wdf_status("WdfRequestCreate", &[attributes(bench.device, 1), 0, out]), NtStatus::SUCCESS);
        let outside = created(remote_target(bench.device));
        wdf("WdfObjectDelete", &[bench.device]);
        assert_eq!(log.take(), ["EvtCleanupCallback", "EvtDestroyCallback"]);
        wdf("WdfObjectDelete", &[outside]);
    }
}
