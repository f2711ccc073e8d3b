//! What a queue does first, in which thread and at which level.

use crate::bench::*;
use crate::checks::watch;
use crate::lower;
use crate::targets::{created, remote_target, send};
use drydock::nt::irp::set_cancel_routine;
use drydock::nt::status::NtStatus;
use drydock::sched::{self, Event};
use rusty_fork::rusty_fork_test;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Execution levels and synchronization scopes, as attributes name them.
const INHERIT: u64 = 1;
const LEVEL_DISPATCH: u64 = 3;
const SCOPE_DEVICE: u64 = 2;
const SCOPE_QUEUE: u64 = 3;
const SCOPE_NONE: u64 = 4;

const DEFAULT_MANUAL: QueueSpec = QueueSpec {
    default: true,
    ..MANUAL
};

/// Every request passes the caller-context callback, and so counts as presented.
fn enqueue_all() {
    on("EvtIoInCallerContext", |a| {
        wdf("WdfDeviceEnqueueRequest", &[a[0], a[1]])
    });
}

/// A control device whose default queue is manual; gives the queue.
fn manual_bench() -> (Bench, u64) {
    let own = Cell::default();
    let made = own.clone();
    let bench = Bench::control(move |device| made.set(queue(device, DEFAULT_MANUAL)));
    (bench, own.get())
}

rusty_fork_test! {
    /// R-QUE-54, R-CAN-16: while a frame is in the loop, cancellations wait for it; then cancel callbacks come first, then
    /// those canceled on the queue, and only then is the next request delivered.
    #[test]
    fn cancellations_come_before_deliveries_and_the_frame_inside_the_loop_does_both() {
        static ARRIVED: AtomicU32 = AtomicU32::new(0);
        enqueue_all();
        let bench = Bench::control(|device| {
            queue(device, QueueSpec { limit: 2, canceled_on_queue: true, ..PARALLEL });
        });
        let (inside, leave) = (Arc::new(Event::new(true, false)), Arc::new(Event::new(true, false)));
        let (entered, go) = (inside.clone(), leave.clone());
        let log = Log::default();
        let (delivered, canceled, on_queue) = (log.clone(), log.clone(), log.clone());
        let me = || sched::current().0;
        on("EvtIoRead", move |a| {
            match ARRIVED.fetch_add(1, Ordering::SeqCst) {
                0 => {
                    entered.set();
                    go.wait();
                    delivered.add(format!("first in {}", me()));
                    complete(a[1], NtStatus::SUCCESS, 0);
                }
                1 => { wdf("WdfRequestMarkCancelableEx", &[a[1], address!(evt_cancel)]); }
                _ => {
                    delivered.add("delivered");
                    complete(a[1], NtStatus::SUCCESS, 0);
                }
            }
            0
        });
        on("EvtRequestCancel", move |a| {
            canceled.add(format!("canceled in {}", me()));
            complete(a[0], NtStatus::CANCELLED, 0);
            0
        });
        on("EvtIoCanceledOnQueue", move |a| {
            on_queue.add(format!("canceled on the queue in {}", me()));
            complete(a[1], NtStatus::CANCELLED, 0);
            0
        });
        let handle = bench.open();
        let other = handle.clone();
        let runs_in = Cell::default();
        let thread = runs_in.clone();
        let blocked = sched::spawn("first", move || {
            thread.set(me().into());
            start(&other, read(1)).wait();
        });
        inside.wait();
        let marked = start(&handle, read(1));
        let waiting = start(&handle, read(1));
        let last = start(&handle, read(1));
        handle.cancel(waiting.id);
        handle.cancel(marked.id);
        assert!(log.take().is_empty(), "the frame inside the loop is the one to call");
        leave.set();
        blocked.join();
        let first = runs_in.get();
        assert_eq!(log.take(), [
            format!("first in {first}"),
            format!("canceled in {first}"),
            format!("canceled on the queue in {first}"),
            "delivered".to_owned(),
        ]);
        assert_eq!(last.wait().status, NtStatus::SUCCESS);
    }

    /// R-QUE-61, R-CAN-16, R-CAN-43: with scope Queue and level Dispatch the callback lock raises to DISPATCH_LEVEL around
    /// handlers, EvtRequestCancel and EvtIoCanceledOnQueue.
    #[test]
    fn scope_queue_holds_the_lock_around_the_callbacks_of_the_queue() {
        enqueue_all();
        let bench = Bench::control(|device| {
            let spec = QueueSpec { canceled_on_queue: true, ..SEQUENTIAL };
            synchronized_queue(device, spec, LEVEL_DISPATCH, SCOPE_QUEUE);
        });
        let log = Log::default();
        let (handler, canceled, on_queue) = (log.clone(), log.clone(), log.clone());
        on("EvtIoRead", move |a| {
            handler.add(format!("handler {}", irql()));
            wdf("WdfRequestMarkCancelableEx", &[a[1], address!(evt_cancel)]);
            0
        });
        on("EvtRequestCancel", move |a| {
            canceled.add(format!("cancel {}", irql()));
            complete(a[0], NtStatus::CANCELLED, 0);
            0
        });
        on("EvtIoCanceledOnQueue", move |a| {
            on_queue.add(format!("canceled on the queue {}", irql()));
            complete(a[1], NtStatus::CANCELLED, 0);
            0
        });
        let handle = bench.open();
        let (first, second) = (start(&handle, read(1)), start(&handle, read(1)));
        handle.cancel(second.id);
        handle.cancel(first.id);
        assert_eq!(log.take(), ["handler 2", "canceled on the queue 2", "cancel 2"]);
        assert_eq!(irql(), 0);
    }

    /// R-QUE-60: the queue's own scope goes before the device's, which a queue without one has.
    #[test]
    fn a_queue_has_its_own_scope_or_that_of_its_device() {
        device_level_and_scope(LEVEL_DISPATCH, SCOPE_DEVICE);
        let bench = Bench::control(|device| {
            queue(device, SEQUENTIAL);
            let own = QueueSpec { default: false, ..SEQUENTIAL };
            let writes = synchronized_queue(device, own, INHERIT, SCOPE_NONE);
            let configure = [device, writes, 4];
            assert_eq!(wdf_status("WdfDeviceConfigureRequestDispatching", &configure), NtStatus::SUCCESS);
        });
        let log = Log::default();
        let (reads, writes) = (log.clone(), log.clone());
        on("EvtIoRead", move |a| {
            reads.add(format!("read {}", irql()));
            complete(a[1], NtStatus::SUCCESS, 0);
            0
        });
        on("EvtIoWrite", move |a| {
            writes.add(format!("write {}", irql()));
            complete(a[1], NtStatus::SUCCESS, 0);
            0
        });
        let handle = bench.open();
        start(&handle, read(1)).wait();
        start(&handle, drydock::nt::app::Op::Write { offset: 0, data: vec![1] }).wait();
        assert_eq!(log.take(), ["read 2", "write 0"]);
    }

    /// R-QUE-62: the callback lock of a device of scope Device is free in completion routines and in EvtIoInCallerContext.
    #[test]
    fn completion_routines_and_the_caller_context_callback_run_without_the_lock() {
        device_level_and_scope(LEVEL_DISPATCH, SCOPE_DEVICE);
        let log = Log::default();
        let (caller, handler, routine) = (log.clone(), log.clone(), log.clone());
        on("EvtIoInCallerContext", move |a| {
            caller.add(format!("caller context {}", irql()));
            wdf("WdfDeviceEnqueueRequest", &[a[0], a[1]])
        });
        let bench = Bench::control(|device| { queue(device, SEQUENTIAL); });
        let device = bench.device;
        on("EvtIoRead", move |a| {
            handler.add(format!("handler {}", irql()));
            complete(a[1], NtStatus::SUCCESS, 0);
            0
        });
        on("completion routine", move |_| {
            routine.add(format!("completion routine {}", irql()));
            // Were it held, this would be a bug check (R-QUE-67).
            wdf("WdfObjectAcquireLock", &[device]);
            wdf("WdfObjectReleaseLock", &[device]);
            0
        });
        start(&bench.open(), read(1)).wait();
        let target = remote_target(bench.device);
        let request = created(target);
        send(request, target, 0);
        assert!(lower::complete_one(0));
        assert_eq!(log.take(), ["caller context 0", "handler 2", "completion routine 0"]);
        wdf("WdfObjectDelete", &[request]);
    }

    /// R-QUE-67
    #[test]
    fn taking_the_callback_lock_twice_is_a_bug_check() {
        crate::unchecked::expect_bug_check(|parameters| parameters[0] == 2);
        let bench = Bench::control(|device| {
            synchronized_queue(device, SEQUENTIAL, LEVEL_DISPATCH, SCOPE_QUEUE);
        });
        on("EvtIoRead", |a| wdf("WdfObjectAcquireLock", &[a[0]]));
        start(&bench.open(), read(1));
        panic!("the lock was taken twice");
    }

    /// R-QUE-94, R-QUE-116: a request whose cancel routine has been taken is on its way out. Retrieval skips it, and what arrives
    /// after that is announced though the queue never was empty.
    #[test]
    fn a_request_that_is_being_canceled_is_skipped_and_the_next_is_announced() {
        let (bench, own) = manual_bench();
        let log = Log::default();
        let seen = log.clone();
        on("EvtIoQueueState", move |_| { seen.add("ready"); 0 });
        let handle = bench.open();
        assert_eq!(wdf_status("WdfIoQueueReadyNotify", &[own, address!(evt_ready), 0]), NtStatus::SUCCESS);
        let leaving = start(&handle, read(1));
        assert_eq!(log.take(), ["ready"]);
        // What a canceller does first: from here on the request is its own to take out of the queue.
        let (status, found) = out(|out| wdf_status("WdfIoQueueFindRequest", &[own, 0, 0, 0, out]));
        assert_eq!(status, NtStatus::SUCCESS);
        let its_irp = drydock::nt::abi::Address(irp(found));
        let routine = set_cancel_routine(its_irp.get(), None);
        assert_ne!(routine, 0);
        assert_eq!(retrieve(own), Err(NtStatus::NO_MORE_ENTRIES));
        assert_eq!(counts(own), (1, 0));
        let next = start(&handle, read(1));
        assert_eq!(log.take(), ["ready"]);
        let request = retrieve(own).expect("the one behind it");
        complete(request, NtStatus::SUCCESS, 0);
        assert_eq!(next.status(), Some(NtStatus::SUCCESS));
        // The canceller goes on.
        drydock::nt::abi::at(its_irp.get()).cancel.set(1);
        let level = drydock::nt::irp::acquire_cancel_lock();
        drydock::nt::abi::at(its_irp.get()).cancel_irql.set(level);
        drydock::kmdf::callback::call(routine as u64, &[0, its_irp.get() as u64]);
        assert_eq!(leaving.wait().status, NtStatus::CANCELLED);
        wdf("WdfObjectDereferenceActual", &[found, 0, 0, 0]);
    }

    /// R-QUE-101
    #[test]
    fn retrieval_completes_a_transfer_of_nothing_and_goes_on() {
        let own = Cell::default();
        let made = own.clone();
        let bench = Bench::control(move |device| {
            made.set(queue(device, QueueSpec { no_zero_length: true, ..DEFAULT_MANUAL }));
        });
        let own = own.get();
        let handle = bench.open();
        let (empty, full) = (start(&handle, read(0)), start(&handle, read(1)));
        assert_eq!(empty.status(), None, "it waits like any other");
        let request = retrieve(own).expect("the second");
        let done = empty.result().expect("ended by the retrieval");
        assert_eq!((done.status, done.information), (NtStatus::SUCCESS, 0));
        assert_eq!(full.status(), None);
        complete(request, NtStatus::SUCCESS, 0);
    }

    /// R-QUE-100: drivers built for a framework before 1.11.
    #[test]
    fn an_old_driver_must_have_found_the_request_it_names() {
        built_for_1_9();
        let breaks = watch(true);
        let (bench, own) = manual_bench();
        let handle = bench.open();
        let pending = [start(&handle, read(1)), start(&handle, read(1))];
        let find = |tag: u64| out(|out| wdf_status("WdfIoQueueFindRequest", &[own, tag, 0, 0, out]));
        let (status, first) = find(0);
        assert_eq!(status, NtStatus::SUCCESS);
        let (status, second) = find(first);
        assert_eq!(status, NtStatus::SUCCESS, "a found request is a tag");
        assert!(breaks.take().is_empty());
        let retrieve_found = |request: u64| {
            out(|out| wdf_status("WdfIoQueueRetrieveFoundRequest", &[own, request, out])).0
        };
        assert_eq!(retrieve_found(first), NtStatus::SUCCESS);
        assert_eq!(find(first).0, NtStatus::NOT_FOUND, "an owned one may be named");
        assert_eq!(wdf_status("WdfRequestRequeue", &[first]), NtStatus::SUCCESS);
        assert!(breaks.take().is_empty());
        assert_eq!(find(first).0, NtStatus::INVALID_PARAMETER, "it was not found since");
        assert_eq!(retrieve_found(first), NtStatus::INVALID_PARAMETER);
        assert_eq!(breaks.take(), ["R-QUE-100", "R-QUE-100"]);
        for found in [first, second] {
            wdf("WdfObjectDereferenceActual", &[found, 0, 0, 0]);
        }
        handle.cancel_all();
        assert!(pending.iter().all(|request| request.status() == Some(NtStatus::CANCELLED)));
    }

    /// R-QUE-98: to a newer framework such a request has only left the queue.
    #[test]
    fn a_tag_that_has_left_the_queue_is_not_found() {
        let breaks = watch(true);
        let (bench, own) = manual_bench();
        let handle = bench.open();
        let pending = start(&handle, read(1));
        let find = |tag: u64| out(|out| wdf_status("WdfIoQueueFindRequest", &[own, tag, 0, 0, out]));
        let (_, found) = find(0);
        assert_eq!(find(found).0, NtStatus::NO_MORE_ENTRIES);
        handle.cancel(pending.id);
        assert_eq!(find(found).0, NtStatus::NOT_FOUND);
        let small = words([39, 0, 0, 0, 0]);
        let (status, _) = out(|out| wdf_status("WdfIoQueueFindRequest", &[own, 0, 0, small, out]));
        assert_eq!(status, NtStatus::INVALID_PARAMETER_4);
        assert!(breaks.take().is_empty());
        wdf("WdfObjectDereferenceActual", &[found, 0, 0, 0]);
    }

    /// R-QUE-130, R-QUE-121: a request canceled while the driver is told of the others is not told of, and its cancel callback
    /// waits until they all are.
    #[test]
    fn a_cancellation_waits_until_the_driver_has_been_told_to_stop() {
        let bench = Bench::started(|device| { queue(device, QueueSpec { stop: true, ..PARALLEL }); });
        let log = Log::default();
        let (stops, cancels) = (log.clone(), log.clone());
        let marked = Cell::default();
        let (keep, to_cancel) = (marked.clone(), marked.clone());
        on("EvtIoRead", move |a| {
            if a[2] == 2 {
                wdf("WdfRequestMarkCancelableEx", &[a[1], address!(evt_cancel)]);
                keep.set(a[1]);
            }
            0
        });
        on("EvtIoStop", move |a| {
            stops.add(format!("stop {:x}", a[2]));
            if to_cancel.get() != 0 {
                irp_cancel(to_cancel.get());
                to_cancel.set(0);
            }
            complete(a[1], NtStatus::SUCCESS, 0);
            0
        });
        on("EvtRequestCancel", move |a| {
            cancels.add("cancel");
            complete(a[0], NtStatus::CANCELLED, 0);
            0
        });
        let handle = bench.open();
        let requests: Vec<Pending> = (1..=3).map(|len| start(&handle, read(len))).collect();
        bench.node().stop().expect("the device stops");
        assert_eq!(log.take(), ["stop 1", "stop 1", "cancel"]);
        assert!(requests.iter().all(|request| request.status().is_some()));
    }

    /// R-QUE-12
    #[test]
    fn a_queue_made_while_the_device_goes_takes_no_requests() {
        prepare(pnp_callbacks);
        let bits = Cell::default();
        let seen = bits.clone();
        on("EvtDeviceSelfManagedIoCleanup", move |a| {
            let late = queue(a[0], MANUAL);
            seen.set(1 << 32 | wdf("WdfIoQueueGetState", &[late, 0, 0]));
            0
        });
        let bench = Bench::started(|_| {});
        bench.node().remove().expect("the device goes");
        assert_eq!(bits.get() >> 32, 1, "the callback was called");
        assert_eq!(bits.get() & 1, 0, "the queue accepts");
    }

    /// R-QUE-83, R-QUE-84: stopped in its own handler, the queue waits for the handler.
    #[test]
    fn a_queue_stopped_in_its_own_handler_waits_for_ever() {
        must_end("R-QUE-84");
        drydock::verify::configure(drydock::verify::Settings {
            verifier_on: true,
            long_wait: 10_000,
            ..drydock::verify::Settings::default()
        });
        let bench = Bench::control(|device| { queue(device, PARALLEL); });
        on("EvtIoRead", |a| {
            complete(a[1], NtStatus::SUCCESS, 0);
            wdf("WdfIoQueueStopSynchronously", &[a[0]])
        });
        start(&bench.open(), read(1));
        panic!("the stop came back");
    }

    /// R-CAN-82 (DOC)
    #[test]
    fn a_queue_purged_in_the_surprise_removal_callback_ends_the_run() {
        must_end("R-CAN-82");
        prepare(pnp_callbacks);
        let own = Cell::default();
        let made = own.clone();
        on("EvtDeviceSurpriseRemoval", move |_| wdf("WdfIoQueuePurge", &[own.get(), 0, 0]));
        let bench = Bench::started(move |device| made.set(queue(device, PARALLEL)));
        let _ = bench.node().surprise_remove();
        panic!("the purge went through");
    }

    /// R-CAN-82 (DOC)
    #[test]
    fn a_request_completed_in_the_surprise_removal_callback_ends_the_run() {
        must_end("R-CAN-82");
        prepare(pnp_callbacks);
        let held = Cell::default();
        let keep = held.clone();
        on("EvtIoRead", move |a| { keep.set(a[1]); 0 });
        on("EvtDeviceSurpriseRemoval", move |_| { complete(held.get(), NtStatus::CANCELLED, 0); 0 });
        let bench = Bench::started(|device| { queue(device, PARALLEL); });
        start(&bench.open(), read(1));
        let _ = bench.node().surprise_remove();
        panic!("the completion went through");
    }

    /// R-DEV-33, R-DEV-19: the link of a deleted control device goes with its last handle, and until then nobody gets in by it.
    #[test]
    fn the_names_of_a_deleted_control_device_stay_until_its_last_handle_is_closed() {
        let bench = Bench::control(|device| {
            let link = drydock::nt::driver::unicode_string("\\DosDevices\\Bench") as u64;
            assert_eq!(wdf_status("WdfDeviceCreateSymbolicLink", &[device, link]), NtStatus::SUCCESS);
        });
        let program = drydock::nt::app::Process::new("program");
        let handle = program.open("\\\\.\\Bench", 0, 7).expect("it opens");
        wdf("WdfObjectDelete", &[bench.device]);
        assert_eq!(drydock::nt::namespace::links().len(), 1);
        assert_eq!(program.open("\\\\.\\Bench", 0, 7).unwrap_err(), NtStatus::NO_SUCH_DEVICE);
        handle.close();
        assert!(drydock::nt::namespace::links().is_empty());
        assert_eq!(program.open("\\Device\\Bench", 0, 7).unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND);
    }

    /// R-QUE-30
    #[test]
    fn an_irp_without_a_request_object_fails() {
        let bench = Bench::control(|device| { queue(device, PARALLEL); });
        on("EvtIoRead", |_| panic!("there is no request"));
        let handle = bench.open();
        let pending = without_resources(|| start(&handle, read(1)));
        let done = pending.wait();
        assert_eq!((done.status, done.information), (NtStatus::INSUFFICIENT_RESOURCES, 0));
    }
}
