//! How requests come into a driver's hands and leave them (C.1 and C.5 of the specification).

use crate::bench::*;
use crate::checks::watch;
use crate::lower;
use crate::targets::remote_target;
use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use drydock::sched;
use rusty_fork::rusty_fork_test;

const REFUSED: NtStatus = NtStatus::INVALID_DEVICE_REQUEST;

/// The three queues of a control device: all handlers, manual with EvtIoCanceledOnQueue, manual.
#[derive(Clone, Default)]
struct Queues {
    handlers: Cell,
    told: Cell,
    manual: Cell,
}

fn three_queues() -> (Bench, Queues) {
    let queues = Queues::default();
    let made = queues.clone();
    let bench = Bench::control(move |device| {
        made.handlers.set(queue(device, PARALLEL));
        let told = QueueSpec {
            canceled_on_queue: true,
            ..MANUAL
        };
        made.told.set(queue(device, told));
        made.manual.set(queue(device, MANUAL));
    });
    (bench, queues)
}

fn forward(request: u64, queue: u64) -> NtStatus {
    wdf_status("WdfRequestForwardToIoQueue", &[request, queue])
}

rusty_fork_test! {
    /// R-REQ-02, R-REQ-28: in each of these places the request is the driver's to complete, and the verifier has nothing to
    /// say.
    #[test]
    fn a_request_is_the_drivers_in_every_callback_that_gets_it() {
        let breaks = watch(true);
        prepare(create_callback);
        on("EvtDeviceFileCreate", |a| { complete(a[1], NtStatus::SUCCESS, 0); 0 });
        on("EvtIoInCallerContext", |a| {
            // A control ends there; the rest goes on.
            let kind = drydock::nt::irp::current(irp(a[1])).major_function.get();
            if kind == 14 {
                complete(a[1], NtStatus::SUCCESS, 14);
                0
            } else {
                wdf("WdfDeviceEnqueueRequest", &[a[0], a[1]])
            }
        });
        let (bench, queues) = three_queues();
        let target = Cell::default();
        let to = target.clone();
        let (told, waiting) = (queues.told.clone(), queues.manual.clone());
        on("EvtIoRead", move |a| {
            match a[2] {
                1 => complete(a[1], NtStatus::SUCCESS, 1),
                2 => assert_eq!(forward(a[1], queues.manual.get()), NtStatus::SUCCESS),
                3 => assert_eq!(forward(a[1], told.get()), NtStatus::SUCCESS),
                _ => {
                    // Sent and back, either way.
                    let format = [to.get(), a[1], 0x22_2000, 0, 0, 0, 0];
                    assert_eq!(wdf_status("WdfIoTargetFormatRequestForIoctl", &format), NtStatus::SUCCESS);
                    if a[2] == 4 {
                        wdf("WdfRequestSetCompletionRoutine", &[a[1], address!(evt_sent), 0]);
                        wdf("WdfRequestSend", &[a[1], to.get(), 0]);
                    } else {
                        wdf("WdfRequestSend", &[a[1], to.get(), words([16 | 3 << 32, (-10_000_i64) as u64])]);
                        complete(a[1], NtStatus::SUCCESS, 5);
                    }
                }
            }
            0
        });
        on("EvtIoCanceledOnQueue", |a| { complete(a[1], NtStatus::CANCELLED, 3); 0 });
        on("completion routine", |a| { complete(a[0], NtStatus::SUCCESS, 4); 0 });
        deepen(bench.device);
        target.set(remote_target(bench.device));
        let handle = bench.open();
        let manual = start(&handle, read(2));
        let canceled = start(&handle, read(3));
        let sent = start(&handle, read(4));
        let control = Op::Ioctl { code: 0x22_2000, input: Vec::new(), output_len: 14 };
        complete(retrieve(waiting.get()).expect("it waits"), NtStatus::SUCCESS, 2);
        handle.cancel(canceled.id);
        assert!(lower::complete_one(0));
        let ends = [start(&handle, read(1)), start(&handle, control), sent, start(&handle, read(5))];
        let informations: Vec<u64> = ends.iter().map(|end| end.wait().information).collect();
        assert_eq!(informations, [1, 14, 4, 5]);
        assert_eq!((manual.wait().information, canceled.wait().information), (2, 3));
        assert!(breaks.take().is_empty());
    }

    /// R-REQ-03, R-REQ-06, R-CHK-10: what was given away is not the driver's to complete.
    #[test]
    fn a_request_given_away_is_not_the_drivers() {
        let breaks = watch(true);
        let (bench, queues) = three_queues();
        let seen = breaks.clone();
        let manual = queues.manual.clone();
        on("EvtIoRead", move |a| {
            assert_eq!(forward(a[1], manual.get()), NtStatus::SUCCESS);
            complete(a[1], NtStatus::SUCCESS, 0);
            assert_eq!(seen.take(), ["R-REQ-06"], "forwarded");
            0
        });
        let handle = bench.open();
        let pending = start(&handle, read(1));
        let request = retrieve(queues.manual.get()).expect("it waits");
        assert_eq!(wdf_status("WdfRequestRequeue", &[request]), NtStatus::SUCCESS);
        complete(request, NtStatus::SUCCESS, 0);
        assert_eq!(breaks.take(), ["R-REQ-06"], "requeued");
        assert_eq!(wdf_status("WdfRequestRequeue", &[request]), REFUSED);
        assert_eq!(breaks.take(), ["R-REQ-06"], "requeued twice");
        assert_eq!(pending.status(), None);
        assert_eq!(retrieve(queues.manual.get()), Ok(request));
        complete(request, NtStatus::SUCCESS, 0);
        assert_eq!(pending.wait().status, NtStatus::SUCCESS);
        assert!(breaks.take().is_empty());
    }

    /// R-REQ-03: enqueued from the caller context, it is the queue's.
    #[test]
    fn an_enqueued_request_is_not_the_drivers() {
        let breaks = watch(true);
        let seen = breaks.clone();
        on("EvtIoInCallerContext", move |a| {
            assert_eq!(wdf_status("WdfDeviceEnqueueRequest", &[a[0], a[1]]), NtStatus::SUCCESS);
            complete(a[1], NtStatus::SUCCESS, 0);
            assert_eq!(seen.take(), ["R-REQ-06"]);
            0
        });
        let own = Cell::default();
        let made = own.clone();
        let bench = Bench::control(move |device| {
            made.set(queue(device, QueueSpec { default: true, ..MANUAL }));
        });
        let pending = start(&bench.open(), read(1));
        complete(retrieve(own.get()).expect("it waits"), NtStatus::SUCCESS, 0);
        pending.wait();
        assert!(breaks.take().is_empty());
    }

    /// R-REQ-83: a drained queue refuses what arrives, and takes back what it gave out.
    #[test]
    fn a_drained_queue_takes_its_own_request_back() {
        let (bench, queues) = three_queues();
        let manual = queues.manual.clone();
        on("EvtIoRead", move |a| forward(a[1], manual.get()).0 as u32 as u64);
        let pending = start(&bench.open(), read(1));
        let request = retrieve(queues.manual.get()).expect("it waits");
        wdf("WdfIoQueueDrain", &[queues.manual.get(), 0, 0]);
        assert_eq!(wdf_status("WdfRequestRequeue", &[request]), NtStatus::SUCCESS);
        assert_eq!(counts(queues.manual.get()), (1, 0));
        complete(retrieve(queues.manual.get()).expect("it waits again"), NtStatus::SUCCESS, 0);
        pending.wait();
    }

    /// R-REQ-88, R-REQ-91: the owner may forward wherever it has the request: after retrieval, and when it has come back from
    /// a target.
    #[test]
    fn a_request_is_forwarded_after_retrieval_and_in_the_completion_routine() {
        let breaks = watch(true);
        let (bench, queues) = three_queues();
        deepen(bench.device);
        let target = remote_target(bench.device);
        let (manual, told) = (queues.manual.get(), queues.told.get());
        on("EvtIoRead", move |a| {
            let format = [target, a[1], 0x22_2000, 0, 0, 0, 0];
            assert_eq!(wdf_status("WdfIoTargetFormatRequestForIoctl", &format), NtStatus::SUCCESS);
            wdf("WdfRequestSetCompletionRoutine", &[a[1], address!(evt_sent), 0]);
            wdf("WdfRequestSend", &[a[1], target, 0]);
            0
        });
        on("completion routine", move |a| {
            assert_eq!(forward(a[0], manual), NtStatus::SUCCESS);
            0
        });
        let pending = start(&bench.open(), read(1));
        assert!(lower::complete_one(0));
        let request = retrieve(manual).expect("forwarded by the completion routine");
        assert_eq!(forward(request, told), NtStatus::SUCCESS);
        assert_eq!(wdf("WdfRequestGetIoQueue", &[request]), told);
        complete(retrieve(told).expect("forwarded after retrieval"), NtStatus::SUCCESS, 0);
        assert_eq!(pending.wait().status, NtStatus::SUCCESS);
        assert!(breaks.take().is_empty());
    }

    /// R-REQ-99, R-REQ-61: a create may wait in a queue, and its opener with it; it has no buffers.
    #[test]
    fn a_create_that_waits_in_a_queue_keeps_its_opener_waiting() {
        let breaks = watch(false);
        prepare(create_callback);
        let queue_of_creates = Cell::default();
        let made = queue_of_creates.clone();
        let bench = Bench::control(move |device| made.set(queue(device, MANUAL)));
        let (to, seen) = (queue_of_creates.clone(), breaks.clone());
        on("EvtDeviceFileCreate", move |a| {
            for retrieve in ["WdfRequestRetrieveInputBuffer", "WdfRequestRetrieveOutputBuffer"] {
                let (status, _) = out(|out| wdf_status(retrieve, &[a[1], 0, out, 0]));
                assert_eq!(status, REFUSED);
                assert_eq!(seen.take(), ["R-REQ-61"]);
            }
            assert_eq!(forward(a[1], to.get()), NtStatus::SUCCESS);
            0
        });
        let opened = Cell::default();
        let done = opened.clone();
        let opener = sched::spawn("opener", move || {
            bench.open();
            done.set(1);
        });
        let create = loop {
            match retrieve(queue_of_creates.get()) {
                Ok(request) => break request,
                Err(_) => std::thread::yield_now(),
            }
        };
        assert_eq!(opened.get(), 0, "the opener waits");
        complete(create, NtStatus::SUCCESS, 0);
        opener.join();
        assert_eq!(opened.get(), 1);
        assert!(breaks.take().is_empty());
    }

    /// R-CAN-35: EvtRequestCancel completes without unmarking; unmarking there only says who has won.
    #[test]
    fn the_cancel_callback_has_nothing_to_unmark() {
        let breaks = watch(true);
        let (bench, _) = three_queues();
        on("EvtIoRead", |a| { wdf("WdfRequestMarkCancelableEx", &[a[1], address!(evt_cancel)]); 0 });
        on("EvtRequestCancel", |a| {
            assert_eq!(wdf_status("WdfRequestUnmarkCancelable", &[a[0]]), NtStatus::CANCELLED);
            complete(a[0], NtStatus::CANCELLED, 0);
            0
        });
        let handle = bench.open();
        let pending = start(&handle, read(1));
        handle.cancel(pending.id);
        assert_eq!(pending.wait().status, NtStatus::CANCELLED);
        assert!(breaks.take().is_empty());
    }
}
