//! Delivery and state of queues.

use crate::bench::*;
use drydock::nt::abi::at;
use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use drydock::sched::{self, Event};
use rusty_fork::rusty_fork_test;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

rusty_fork_test! {
    /// R-QUE-26, R-REQ-11, R-REQ-66: a buffered control comes back with what the driver wrote, and not more.
    #[test]
    fn a_buffered_control_returns_what_the_driver_wrote() {
        let bench = Bench::control(|device| { queue(device, SEQUENTIAL); });
        on("EvtIoDeviceControl", |a| {
            assert_eq!((a[2], a[3], a[4] as u32), (8, 4, 0x222000));
            let out = words([0, 0]);
            assert_eq!(wdf_status("WdfRequestRetrieveInputBuffer", &[a[1], 4, out, out + 8]), NtStatus::SUCCESS);
            let buffer = drydock::kmdf::guest::read::<u64>(out);
            let sum: u32 = drydock::kmdf::guest::bytes(buffer, 4).iter().map(|&b| u32::from(b)).sum();
            drydock::kmdf::guest::write(buffer, sum);
            complete(a[1], NtStatus::SUCCESS, 4);
            0
        });
        let handle = bench.open();
        let done = handle.run(Op::Ioctl { code: 0x222000, input: vec![1, 2, 3, 4], output_len: 8 });
        assert_eq!((done.status, done.information), (NtStatus::SUCCESS, 4));
        assert_eq!(done.data, [10, 0, 0, 0]);
    }

    /// R-QUE-41, R-QUE-44, R-QUE-40
    #[test]
    fn a_sequential_queue_delivers_the_next_request_when_the_first_is_completed() {
        let log = Log::default();
        let held = Cell::default();
        let bench = Bench::control(|device| { queue(device, SEQUENTIAL); });
        let (seen, keep) = (log.clone(), held.clone());
        on("EvtIoRead", move |a| {
            seen.add(format!("read {}", a[2]));
            if a[2] == 1 { keep.set(a[1]) } else { complete(a[1], NtStatus::SUCCESS, 0) }
            0
        });
        let handle = bench.open();
        let (first, second, third) = (start(&handle, read(1)), start(&handle, read(2)), start(&handle, read(3)));
        assert_eq!(log.take(), ["read 1"]);
        assert_eq!(second.status(), None);
        complete(held.get(), NtStatus::SUCCESS, 1);
        assert_eq!(log.take(), ["read 2", "read 3"]);
        assert_eq!(first.wait().information, 1);
        assert_eq!(third.wait().status, NtStatus::SUCCESS);
    }

    /// R-QUE-47: "sequential" counts owned requests, not running handlers.
    #[test]
    fn a_sequential_queue_overlaps_a_handler_that_has_completed_its_request() {
        let bench = Bench::control(|device| { queue(device, SEQUENTIAL); });
        let (inside, leave) = (Arc::new(Event::new(true, false)), Arc::new(Event::new(true, false)));
        let (i, l) = (inside.clone(), leave.clone());
        on("EvtIoRead", move |a| {
            complete(a[1], NtStatus::SUCCESS, 0);
            if a[2] == 1 { i.set(); l.wait(); }
            0
        });
        let handle = bench.open();
        let other = handle.clone();
        let blocked = sched::spawn("first", move || { start(&other, read(1)).wait(); });
        inside.wait();
        assert_eq!(start(&handle, read(2)).status(), Some(NtStatus::SUCCESS));
        leave.set();
        blocked.join();
    }

    /// R-QUE-42: under load from many threads, N never exceeds the limit, and every request ends once.
    #[test]
    fn a_parallel_queue_never_presents_more_than_its_limit() {
        static INSIDE: AtomicU32 = AtomicU32::new(0);
        static MOST: AtomicU32 = AtomicU32::new(0);
        let bench = Bench::control(|device| { queue(device, QueueSpec { limit: 3, ..PARALLEL }); });
        on("EvtIoRead", |a| {
            let inside = INSIDE.fetch_add(1, Ordering::SeqCst) + 1;
            MOST.fetch_max(inside, Ordering::SeqCst);
            INSIDE.fetch_sub(1, Ordering::SeqCst);
            complete(a[1], NtStatus::SUCCESS, 0);
            0
        });
        let handle = bench.open();
        let threads: Vec<_> = (0..6).map(|n| {
            let handle = handle.clone();
            sched::spawn(&format!("program {n}"), move || {
                for _ in 0..500 {
                    assert_eq!(start(&handle, read(1)).wait().status, NtStatus::SUCCESS);
                }
            })
        }).collect();
        threads.into_iter().for_each(sched::JoinHandle::join);
        assert!(MOST.load(Ordering::SeqCst) <= 3);
    }

    /// R-QUE-31, R-QUE-32
    #[test]
    fn a_handler_runs_in_a_critical_region_and_the_request_is_pending() {
        let bench = Bench::control(|device| { queue(device, SEQUENTIAL); });
        on("EvtIoRead", |a| {
            assert_eq!(drydock::nt::thread::current().critical_depth(), 1);
            assert_ne!(at(irp(a[1])).stack_count.get(), 0);
            complete(a[1], NtStatus::SUCCESS, 0);
            0
        });
        assert_eq!(start(&bench.open(), read(1)).wait().status, NtStatus::SUCCESS);
        assert_eq!(drydock::nt::thread::current().critical_depth(), 0);
    }

    /// R-QUE-33, R-QUE-75, R-QUE-72
    #[test]
    fn a_drained_queue_refuses_requests_until_it_is_started() {
        let bench = Bench::control(|device| { queue(device, SEQUENTIAL); });
        on("EvtIoRead", |a| { complete(a[1], NtStatus::SUCCESS, 0); 0 });
        let queue = wdf("WdfDeviceGetDefaultQueue", &[bench.device]);
        let handle = bench.open();
        wdf("WdfIoQueueDrainSynchronously", &[queue]);
        assert_eq!(start(&handle, read(1)).wait().status, NtStatus::INVALID_DEVICE_STATE);
        wdf("WdfIoQueueStart", &[queue]);
        assert_eq!(start(&handle, read(1)).wait().status, NtStatus::SUCCESS);
    }

    /// R-QUE-125, R-QUE-129, R-QUE-55: what is kept is resumed before anything new is delivered.
    #[test]
    fn a_kept_request_is_resumed_before_new_ones_are_delivered() {
        let log = Log::default();
        let kept = Cell::default();
        let bench = Bench::started(|device| { queue(device, QueueSpec { stop: true, ..PARALLEL }); });
        for name in ["EvtIoStop", "EvtIoResume"] {
            let seen = log.clone();
            on(name, move |a| {
                seen.add(name);
                if name == "EvtIoStop" { wdf("WdfRequestStopAcknowledge", &[a[1], 0]); }
                0
            });
        }
        let (seen, keep) = (log.clone(), kept.clone());
        on("EvtIoRead", move |a| {
            seen.add(format!("read {}", a[2]));
            if a[2] == 1 { keep.set(a[1]) } else { complete(a[1], NtStatus::SUCCESS, 0) }
            0
        });
        let handle = bench.open();
        let first = start(&handle, read(1));
        bench.node().stop().expect("the device stops");
        let second = start(&handle, read(2));
        assert_eq!(log.take(), ["read 1", "EvtIoStop"]);
        assert_eq!(second.status(), None);
        bench.node().start().expect("the device starts again");
        assert_eq!(log.take(), ["EvtIoResume", "read 2"]);
        complete(kept.get(), NtStatus::SUCCESS, 0);
        assert_eq!(first.wait().status, NtStatus::SUCCESS);
        second.wait();
    }

    /// R-QUE-03
    #[test]
    fn only_a_default_queue_can_do_without_a_handle() {
        Bench::control(|device| {
            let manual = |default: u64| {
                let config = words([96 | 3 << 32, 2 | default << 40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                wdf_status("WdfIoQueueCreate", &[device, config, 0, 0])
            };
            assert_eq!(manual(0), NtStatus::INVALID_PARAMETER_4);
            assert_eq!(manual(1), NtStatus::SUCCESS);
        });
    }

    /// R-QUE-63
    #[test]
    fn scope_device_needs_the_execution_level_of_the_device() {
        Bench::control(|device| {
            let (passive, dispatch) = (2_u64, 3_u64);
            let scope_device = 2_u64;
            let create = |level: u64| {
                let config = words([96 | 3 << 32, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                let attributes = words([56, 0, 0, level | scope_device << 32, 0, 0, 0]);
                wdf_status("WdfIoQueueCreate", &[device, config, attributes, words([0])])
            };
            assert_eq!(create(passive), NtStatus::INVALID_PARAMETER);
            assert_eq!(create(dispatch), NtStatus::SUCCESS);
        });
    }

    /// R-QUE-117, R-QUE-112
    #[test]
    fn a_notification_comes_again_only_after_the_queue_was_empty() {
        let log = Log::default();
        let own = Cell::default();
        let made = own.clone();
        let bench = Bench::control(move |device| {
            made.set(queue(device, QueueSpec { default: true, ..MANUAL }));
        });
        let seen = log.clone();
        on("EvtIoDefault", move |_| { seen.add("ready"); 0 });
        let notify = [own.get(), address!(evt_default), 0];
        assert_eq!(wdf_status("WdfIoQueueReadyNotify", &notify), NtStatus::SUCCESS);
        let handle = bench.open();
        start(&handle, read(1));
        start(&handle, read(1));
        assert_eq!(log.take(), ["ready"]);
        let take = || {
            let out = words([0]);
            let got = wdf_status("WdfIoQueueRetrieveNextRequest", &[own.get(), out]);
            assert_eq!(got, NtStatus::SUCCESS);
            complete(drydock::kmdf::guest::read(out), NtStatus::SUCCESS, 0);
        };
        take();
        start(&handle, read(1));
        assert!(log.take().is_empty(), "the queue has not been empty");
        take();
        take();
        start(&handle, read(1));
        assert_eq!(log.take(), ["ready"]);
    }
}
