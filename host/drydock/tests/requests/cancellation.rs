//! Cancellation by the originator.

use crate::bench::*;
use drydock::nt::status::NtStatus;
use drydock::sched::{self, Lock};
use rusty_fork::rusty_fork_test;
use std::sync::atomic::{AtomicU32, Ordering};

rusty_fork_test! {
    /// R-CAN-10: what was never delivered is cancelled without the driver.
    #[test]
    fn cancel_of_a_waiting_request_completes_it_once() {
        let held = Cell::default();
        let bench = Bench::control(|device| { queue(device, SEQUENTIAL); });
        let keep = held.clone();
        on("EvtIoRead", move |a| { keep.set(a[1]); 0 });
        let handle = bench.open();
        let first = start(&handle, read(1));
        let waiting = start(&handle, read(2));
        assert!(handle.cancel(waiting.id));
        assert_eq!(waiting.wait().status, NtStatus::CANCELLED);
        complete(held.get(), NtStatus::SUCCESS, 0);
        assert_eq!(first.wait().status, NtStatus::SUCCESS);
    }

    /// R-CAN-11, R-CAN-13
    #[test]
    fn cancel_of_a_forwarded_request_calls_the_callback_of_the_queue_it_is_in() {
        let manual = Cell::default();
        let created = manual.clone();
        let bench = Bench::control(move |device| {
            queue(device, PARALLEL);
            created.set(queue(device, QueueSpec { canceled_on_queue: true, ..MANUAL }));
        });
        let target = manual.clone();
        on("EvtIoRead", move |a| {
            assert_eq!(wdf_status("WdfRequestForwardToIoQueue", &[a[1], target.get()]), NtStatus::SUCCESS);
            0
        });
        on("EvtIoCanceledOnQueue", |a| { complete(a[1], NtStatus::CANCELLED, 0); 0 });
        let handle = bench.open();
        let pending = start(&handle, read(1));
        assert_eq!(counts(manual.get()), (1, 0));
        assert!(handle.cancel(pending.id));
        assert_eq!(pending.wait().status, NtStatus::CANCELLED);
        assert_eq!(counts(manual.get()), (0, 0));
    }

    /// R-CAN-80, by the pattern P-07: a finisher with unmark, the originator's cancel and EvtRequestCancel; exactly one
    /// of them completes the request.
    #[test]
    fn for_every_race_of_cancel_and_finish_exactly_one_party_completes() {
        /// The request, and how many parties may still complete it.
        static SHARED: Lock<(u64, u32)> = Lock::new((0, 0));
        static CANCELED: AtomicU32 = AtomicU32::new(0);

        fn lower() -> bool {
            let mut shared = SHARED.lock();
            shared.1 -= 1;
            shared.1 == 0
        }

        let bench = Bench::control(|device| { queue(device, PARALLEL); });
        on("EvtIoRead", |a| {
            *SHARED.lock() = (a[1], 1);
            let marked = wdf_status("WdfRequestMarkCancelableEx", &[a[1], address!(evt_cancel)]);
            assert_eq!(marked, NtStatus::SUCCESS);
            0
        });
        on("EvtRequestCancel", |a| {
            CANCELED.fetch_add(1, Ordering::SeqCst);
            if lower() {
                complete(a[0], NtStatus::CANCELLED, 0);
            }
            0
        });
        let handle = bench.open();
        let rounds = 300;
        let mut finished = 0;
        for round in 0..rounds {
            let pending = start(&handle, read(1));
            let (canceller, id) = (handle.clone(), pending.id);
            let thread = sched::spawn("canceller", move || { canceller.cancel(id); });
            if round % 3 == 0 {
                std::thread::yield_now();
            }
            let request = {
                let mut shared = SHARED.lock();
                if shared.1 != 0 { shared.1 += 1; shared.0 } else { 0 }
            };
            if request != 0 {
                if wdf_status("WdfRequestUnmarkCancelable", &[request]).is_success() {
                    finished += 1;
                    complete(request, NtStatus::SUCCESS, 0);
                } else if lower() {
                    complete(request, NtStatus::CANCELLED, 0);
                }
            }
            thread.join();
            pending.wait();
        }
        assert_eq!(CANCELED.load(Ordering::SeqCst) + finished, rounds);
    }

    /// R-CAN-12
    #[test]
    fn cancel_of_a_forwarded_request_without_a_callback_is_the_frameworks_to_complete() {
        let manual = Cell::default();
        let created = manual.clone();
        let bench = Bench::control(move |device| {
            queue(device, PARALLEL);
            created.set(queue(device, MANUAL));
        });
        on("EvtIoRead", move |a| {
            assert_eq!(wdf_status("WdfRequestForwardToIoQueue", &[a[1], manual.get()]), NtStatus::SUCCESS);
            0
        });
        on("EvtIoCanceledOnQueue", |_| panic!("the queue has no such callback"));
        let handle = bench.open();
        let pending = start(&handle, read(1));
        assert!(handle.cancel(pending.id));
        assert_eq!(pending.wait().status, NtStatus::CANCELLED);
    }

    /// R-CAN-15, R-CAN-52: owned from then on; it cannot be made cancelable, and is completed whenever the driver likes.
    #[test]
    fn a_request_canceled_on_its_queue_is_the_drivers_to_complete_later() {
        let (manual, canceled) = (Cell::default(), Cell::default());
        let created = manual.clone();
        let bench = Bench::control(move |device| {
            queue(device, PARALLEL);
            created.set(queue(device, QueueSpec { canceled_on_queue: true, ..MANUAL }));
        });
        let (target, keep) = (manual.clone(), canceled.clone());
        on("EvtIoRead", move |a| {
            assert_eq!(wdf_status("WdfRequestForwardToIoQueue", &[a[1], target.get()]), NtStatus::SUCCESS);
            0
        });
        on("EvtIoCanceledOnQueue", move |a| { keep.set(a[1]); 0 });
        let handle = bench.open();
        let pending = start(&handle, read(1));
        assert!(handle.cancel(pending.id));
        let request = canceled.get();
        assert_eq!(counts(manual.get()), (0, 1));
        assert_eq!(wdf("WdfRequestIsCanceled", &[request]) as u8, 1);
        let mark = [request, address!(evt_cancel)];
        assert_eq!(wdf_status("WdfRequestMarkCancelableEx", &mark), NtStatus::CANCELLED);
        assert_eq!(pending.status(), None);
        complete(request, NtStatus::CANCELLED, 0);
        assert_eq!(pending.wait().status, NtStatus::CANCELLED);
        assert_eq!(counts(manual.get()), (0, 0));
    }

    /// R-REQ-96
    #[test]
    fn a_request_enqueued_from_the_caller_context_counts_as_presented() {
        let log = Log::default();
        on("EvtIoInCallerContext", |a| {
            assert_eq!(wdf_status("WdfDeviceEnqueueRequest", &[a[0], a[1]]), NtStatus::SUCCESS);
            0
        });
        let bench = Bench::control(|device| {
            queue(device, QueueSpec { default: true, canceled_on_queue: true, ..MANUAL });
        });
        let seen = log.clone();
        on("EvtIoCanceledOnQueue", move |a| {
            seen.add("canceled on the queue");
            complete(a[1], NtStatus::CANCELLED, 0);
            0
        });
        let handle = bench.open();
        let pending = start(&handle, read(1));
        assert!(handle.cancel(pending.id));
        assert_eq!(pending.wait().status, NtStatus::CANCELLED);
        assert_eq!(log.take(), ["canceled on the queue"]);
    }

    /// R-CAN-41, R-CAN-45: the request stays a valid handle until its callback returns, even if that completes it.
    #[test]
    fn the_cancel_callback_runs_once_and_may_still_name_a_request_it_completed() {
        let log = Log::default();
        let bench = Bench::control(|device| { queue(device, PARALLEL); });
        on("EvtIoRead", |a| {
            wdf("WdfRequestMarkCancelableEx", &[a[1], address!(evt_cancel)]);
            0
        });
        let seen = log.clone();
        on("EvtRequestCancel", move |a| {
            complete(a[0], NtStatus::CANCELLED, 0);
            wdf("WdfObjectReferenceActual", &[a[0], 0, 0, 0]);
            wdf("WdfObjectDereferenceActual", &[a[0], 0, 0, 0]);
            seen.add("canceled");
            0
        });
        let handle = bench.open();
        let pending = start(&handle, read(1));
        handle.cancel(pending.id);
        handle.cancel(pending.id);
        assert_eq!(pending.wait().status, NtStatus::CANCELLED);
        assert_eq!(log.take(), ["canceled"]);
    }
}
