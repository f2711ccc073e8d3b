//! Formats, sends, and what becomes of the requests.

use crate::bench::*;
use crate::checks::watch;
use crate::lower;
use crate::misuse::{with_reader, with_started_reader};
use crate::targets::{created, remote_target, send};
use drydock::kmdf::guest;
use drydock::nt::abi::at;
use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use drydock::nt::{irp as nt_irp, thread};
use drydock::sched;
use rusty_fork::rusty_fork_test;

const CODE: u64 = 0x22_2000;
const FORGET: u64 = 16 | 8 << 32;

fn ioctl(len: u32) -> Op {
    Op::Ioctl {
        code: CODE as u32,
        input: Vec::new(),
        output_len: len,
    }
}

/// A memory object of `size` bytes, and its buffer.
fn memory(size: u64) -> (u64, u64) {
    let (handle, buffer) = (words([0]), words([0]));
    let made = wdf_status("WdfMemoryCreate", &[0, 512, 0, size, handle, buffer]);
    assert_eq!(made, NtStatus::SUCCESS);
    (guest::read(handle), guest::read(buffer))
}

fn format_control(target: u64, request: u64, input: u64) -> NtStatus {
    wdf_status(
        "WdfIoTargetFormatRequestForIoctl",
        &[target, request, CODE, input, 0, 0, 0],
    )
}

fn send_status(request: u64, target: u64, options: u64) -> (bool, NtStatus) {
    let sent = wdf("WdfRequestSend", &[request, target, options]) as u8 != 0;
    (sent, wdf_status("WdfRequestGetStatus", &[request]))
}

extern "win64" fn never(_device: u64, _irp: u64, _context: u64) -> u64 {
    panic!("the completion routine of the supplied stack location was called");
}

rusty_fork_test! {
    /// R-TGT-41, R-REQ-20: a format puts other buffers into the IRP; reuse, and completion before anything else, put its own
    /// back.
    #[test]
    fn an_irp_gets_its_own_buffers_back() {
        let (target, log) = (Cell::default(), Log::default());
        let (to, seen) = (target.clone(), log.clone());
        let bench = with_started_reader(move |request| {
            let (status, buffer) = out(|out| wdf_status("WdfRequestRetrieveOutputBuffer", &[request, 1, out, 0]));
            assert_eq!(status, NtStatus::SUCCESS);
            guest::write(buffer, 7_u8);
            let fields = || {
                let view = at(irp(request));
                (view.system_buffer.get(), view.mdl_address.get(), view.user_buffer.get())
            };
            let own = fields();
            let (input, _) = memory(16);
            assert_eq!(format_control(to.get(), request, input), NtStatus::SUCCESS);
            seen.add(format!("other buffers {}", fields() != own));
            wdf("WdfRequestReuse", &[request, words([24, 0, 0])]);
            seen.add(format!("own buffers {}", fields() == own));
            assert_eq!(format_control(to.get(), request, input), NtStatus::SUCCESS);
            complete(request, NtStatus::SUCCESS, 1);
        });
        target.set(remote_target(bench.device));
        let done = start(&bench.open(), read(1)).wait();
        assert_eq!(log.take(), ["other buffers true", "own buffers true"]);
        assert_eq!(done.data, [7], "the program gets what was put into its own");
    }

    /// R-TGT-43
    #[test]
    fn the_routine_of_a_supplied_stack_location_is_not_called() {
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        let routine = never as *const () as u64;
        let location = words([14 | 0xE0 << 24, 0, 0, CODE, 0, 0, 0, routine, 5]);
        wdf("WdfRequestWdmFormatUsingStackLocation", &[request, location]);
        let log = Log::default();
        let seen = log.clone();
        on("completion routine", move |a| { seen.add(format!("context {}", a[3])); 0 });
        wdf("WdfRequestSetCompletionRoutine", &[request, address!(evt_sent), 6]);
        assert!(send_status(request, target, 0).0);
        assert!(lower::complete_one(0));
        assert_eq!(log.take(), ["context 6"]);
    }

    /// R-TGT-44: the default target's stack is that of the request's file, a remote target's is not.
    #[test]
    fn a_request_keeps_its_file_in_its_own_stack_and_has_the_targets_elsewhere() {
        let remote = Cell::default();
        let to = remote.clone();
        let own = Cell::default();
        let local = own.clone();
        let bench = with_started_reader(move |request| {
            let irp = irp(request);
            let current = nt_irp::current(irp);
            current.flags.set(5);
            assert_eq!(format_control(local.get(), request, 0), NtStatus::SUCCESS);
            let next = nt_irp::next(irp);
            assert_eq!(next.file_object.get(), current.file_object.get());
            assert_eq!(next.flags.get(), 5);
            assert_eq!(format_control(to.get(), request, 0), NtStatus::SUCCESS);
            let file = wdf("WdfIoTargetWdmGetTargetFileObject", &[to.get()]);
            assert_eq!(nt_irp::next(irp).file_object.get() as u64, file);
            assert_ne!(current.file_object.get() as u64, file);
            complete(request, NtStatus::SUCCESS, 0);
        });
        own.set(wdf("WdfDeviceGetIoTarget", &[bench.device]));
        remote.set(remote_target(bench.device));
        assert_eq!(start(&bench.open(), read(1)).wait().status, NtStatus::SUCCESS);
    }

    /// R-TGT-45
    #[test]
    fn a_format_without_memory_leaves_the_request_as_it_was() {
        watch(true);
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        let (input, _) = memory(16);
        let failed = without_resources(|| format_control(target, request, input));
        assert_eq!(failed, NtStatus::INSUFFICIENT_RESOURCES);
        assert_eq!(send_status(request, target, 0), (false, NtStatus::REQUEST_NOT_ACCEPTED), "unformatted");
        assert_eq!(format_control(target, request, input), NtStatus::SUCCESS);
        assert!(send_status(request, target, 0).0);
        assert!(lower::complete_one(0));
        wdf("WdfObjectDelete", &[request]);
    }

    /// R-TGT-56: what the framework has marked as canceled is not sent, be it by the driver or because EvtRequestCancel has it.
    #[test]
    fn a_request_marked_as_canceled_is_not_sent() {
        let target = Cell::default();
        let to = target.clone();
        let bench = with_started_reader(|request| {
            wdf("WdfRequestMarkCancelableEx", &[request, address!(evt_cancel)]);
        });
        target.set(remote_target(bench.device));
        let log = Log::default();
        let seen = log.clone();
        on("EvtRequestCancel", move |a| {
            assert_eq!(format_control(to.get(), a[0], 0), NtStatus::SUCCESS);
            wdf("WdfRequestSetCompletionRoutine", &[a[0], address!(evt_sent), 0]);
            seen.add(format!("{:?}", send_status(a[0], to.get(), 0)));
            complete(a[0], NtStatus::CANCELLED, 0);
            0
        });
        let handle = bench.open();
        let pending = start(&handle, read(1));
        handle.cancel(pending.id);
        assert_eq!(log.take(), [format!("{:?}", (false, NtStatus::CANCELLED))]);
        let request = created(target.get());
        wdf("WdfRequestCancelSentRequest", &[request]);
        assert_eq!(format_control(target.get(), request, 0), NtStatus::SUCCESS);
        assert_eq!(send_status(request, target.get(), 0), (false, NtStatus::CANCELLED));
        assert_eq!(lower::held(), 0);
    }

    /// R-TGT-56: the flag in the IRP alone is for the lower driver to look at.
    #[test]
    fn the_cancel_flag_of_an_irp_does_not_keep_it_from_being_sent() {
        let target = Cell::default();
        let to = target.clone();
        let log = Log::default();
        let (sent, back) = (log.clone(), log.clone());
        let bench = with_started_reader(move |request| {
            irp_cancel(request);
            assert_eq!(format_control(to.get(), request, 0), NtStatus::SUCCESS);
            wdf("WdfRequestSetCompletionRoutine", &[request, address!(evt_sent), 0]);
            let result = wdf("WdfRequestSend", &[request, to.get(), 0]) as u8;
            sent.add(format!("sent {result}"));
        });
        on("completion routine", move |a| {
            back.add(NtStatus(guest::read::<i32>(a[2] + 8)).to_string());
            complete(a[0], NtStatus::CANCELLED, 0);
            0
        });
        target.set(remote_target(bench.device));
        start(&bench.open(), read(1)).wait();
        assert_eq!(log.take(), [NtStatus::CANCELLED.to_string(), "sent 1".to_owned()]);
    }

    /// R-TGT-57
    #[test]
    fn the_verifier_refuses_an_irp_that_is_too_short_for_the_target() {
        let breaks = watch(true);
        let node = lower::stack();
        let bench = Bench::control(|_| {});
        let (_, target) = out(|out| wdf_status("WdfIoTargetCreate", &[bench.device, 0, out]));
        let mut params = [0; 17];
        params[0] = 136 | 1 << 32;
        params[4] = node.top() as u64;
        assert_eq!(wdf_status("WdfIoTargetOpen", &[target, words(params)]), NtStatus::SUCCESS);
        let short = nt_irp::allocate(1);
        let (status, request) = out(|out| wdf_status("WdfRequestCreateFromIrp", &[0, short as u64, 1, out]));
        assert_eq!(status, NtStatus::SUCCESS);
        wdf("WdfRequestWdmFormatUsingStackLocation", &[request, words([14, 0, 0, CODE, 0, 0, 0, 0, 0])]);
        assert_eq!(send_status(request, target, 0), (false, NtStatus::REQUEST_NOT_ACCEPTED));
        assert!(breaks.take().is_empty());
        wdf("WdfObjectDelete", &[request]);
    }

    /// R-TGT-65 (DOC): whoever holds a spin lock is at DISPATCH_LEVEL.
    #[test]
    fn a_synchronous_send_under_a_spin_lock_ends_the_run() {
        must_end("R-TGT-58");
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        let (_, lock) = out(|out| wdf_status("WdfSpinLockCreate", &[0, out]));
        assert_eq!(format_control(target, request, 0), NtStatus::SUCCESS);
        wdf("WdfSpinLockAcquire", &[lock]);
        wdf("WdfRequestSend", &[request, target, words([16 | 2 << 32, 0])]);
        panic!("the send came back");
    }

    /// R-TGT-73, R-CHK-30
    #[test]
    fn a_create_that_is_sent_and_forgotten_is_reported_under_the_verifier() {
        let breaks = watch(true);
        prepare(create_callback);
        let target = Cell::default();
        let to = target.clone();
        on("EvtDeviceFileCreate", move |a| {
            assert_eq!(wdf("WdfRequestSend", &[a[1], to.get(), words([FORGET, 0])]) as u8, 1);
            0
        });
        let bench = Bench::started(|_| {});
        target.set(wdf("WdfDeviceGetIoTarget", &[bench.device]));
        bench.open();
        assert_eq!(breaks.take(), ["R-TGT-73"]);
    }

    /// R-TGT-76: sending and forgetting does not look at references on the request's memory; whoever uses it afterwards is caught.
    #[test]
    fn memory_of_a_forgotten_request_is_not_the_drivers() {
        let target = Cell::default();
        let to = target.clone();
        let bench = with_started_reader(move |request| {
            let (status, memory) = out(|out| wdf_status("WdfRequestRetrieveOutputMemory", &[request, out]));
            assert_eq!(status, NtStatus::SUCCESS);
            wdf("WdfObjectReferenceActual", &[memory, 0, 0, 0]);
            assert_eq!(wdf("WdfRequestSend", &[request, to.get(), words([FORGET, 0])]) as u8, 1);
            must_end("R-OBJ-05");
            wdf("WdfMemoryGetBuffer", &[memory, 0]);
            panic!("the memory was there");
        });
        target.set(wdf("WdfDeviceGetIoTarget", &[bench.device]));
        start(&bench.open(), read(1)).wait();
        panic!("the memory was there");
    }

    /// R-TGT-77: the queue does not count what was sent and forgotten, and a power-down does not ask for it.
    #[test]
    fn a_power_down_does_not_ask_for_forgotten_requests() {
        let (own, target) = (Cell::default(), Cell::default());
        let (made, to) = (own.clone(), target.clone());
        let bench = Bench::started(move |device| {
            made.set(queue(device, QueueSpec { stop: true, ..PARALLEL }));
        });
        target.set(remote_target(bench.device));
        on("EvtIoDeviceControl", move |a| {
            assert_eq!(wdf("WdfRequestSend", &[a[1], to.get(), words([FORGET, 0])]) as u8, 1);
            0
        });
        on("EvtIoStop", |_| panic!("the driver has no request"));
        let pending = start(&bench.open(), ioctl(0));
        assert_eq!((lower::held(), counts(own.get())), (1, (0, 0)));
        bench.node().stop().expect("nothing to wait for");
        assert_eq!(pending.status(), None);
        assert!(lower::complete_one(0));
        assert_eq!(pending.wait().status, NtStatus::SUCCESS);
    }

    /// R-TGT-105: the flags that choose a way of sending mean nothing here: the call waits, and gives the lower driver's status.
    #[test]
    fn a_synchronous_method_looks_at_timeout_and_state_only() {
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        for flags in [0, 2_u64, 8] {
            let completer = sched::spawn("completer", || {
                while !lower::complete_one(3) {
                    std::thread::yield_now();
                }
            });
            let bytes = words([0]);
            let options = words([16 | flags << 32, 0]);
            let arguments = [target, 0, CODE, 0, 0, options, bytes];
            assert_eq!(wdf_status("WdfIoTargetSendIoctlSynchronously", &arguments), NtStatus::SUCCESS);
            completer.join();
            assert_eq!(guest::read::<u64>(bytes), 3);
        }
        wdf("WdfIoTargetStop", &[target, 3]);
        let ignoring = words([16 | 5 << 32, (-20_000_i64) as u64]);
        let arguments = [target, 0, CODE, 0, 0, ignoring, 0];
        assert_eq!(wdf_status("WdfIoTargetSendIoctlSynchronously", &arguments), NtStatus::IO_TIMEOUT);
    }

    /// R-TGT-113: a request that could not be sent is still the driver's, to send again or to delete.
    #[test]
    fn a_request_that_was_not_sent_is_reused_or_deleted() {
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let (_, log) = (0, Log::default());
        let seen = log.clone();
        on("EvtDestroyCallback", move |_| { seen.add("destroyed"); 0 });
        let (status, request) = out(|out| wdf_status("WdfRequestCreate", &[attributes(0, 1), target, out]));
        assert_eq!(status, NtStatus::SUCCESS);
        wdf("WdfIoTargetPurge", &[target, 1]);
        assert_eq!(format_control(target, request, 0), NtStatus::SUCCESS);
        assert_eq!(send_status(request, target, 0), (false, NtStatus::INVALID_DEVICE_STATE));
        assert_eq!(wdf_status("WdfIoTargetStart", &[target]), NtStatus::SUCCESS);
        assert_eq!(wdf_status("WdfRequestReuse", &[request, words([24, 0, 0])]), NtStatus::SUCCESS);
        send(request, target, 0);
        assert!(lower::complete_one(0));
        assert!(log.take().is_empty());
        wdf("WdfObjectDelete", &[request]);
        assert_eq!(log.take(), ["destroyed"]);
    }

    /// R-TGT-12, R-OBJ-40: closed first, a target can be deleted over its requests.
    #[test]
    fn a_closed_target_is_deleted_over_the_requests_below_it() {
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let log = Log::default();
        let (back, gone) = (log.clone(), log.clone());
        on("completion routine", move |_| { back.add("back"); 0 });
        on("EvtCleanupCallback", move |_| { gone.add("cleanup"); 0 });
        let (status, request) = out(|out| wdf_status("WdfRequestCreate", &[attributes(target, 1), target, out]));
        assert_eq!(status, NtStatus::SUCCESS);
        send(request, target, 0);
        wdf("WdfIoTargetClose", &[target]);
        assert_eq!(log.take(), ["back"]);
        wdf("WdfObjectDelete", &[target]);
        assert_eq!(log.take(), ["cleanup"]);
    }

    /// R-CAN-75: with a reference the handle can be used after the completion routine has deleted the request.
    #[test]
    fn a_referenced_request_can_be_canceled_after_its_end() {
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        on("completion routine", |a| wdf("WdfObjectDelete", &[a[0]]));
        wdf("WdfObjectReferenceActual", &[request, 0, 0, 0]);
        send(request, target, 0);
        assert!(lower::complete_one(0));
        assert_eq!(wdf("WdfRequestCancelSentRequest", &[request]) as u8, 0);
        wdf("WdfObjectDereferenceActual", &[request, 0, 0, 0]);
    }

    /// R-CAN-75: without one, it is the use of a dead handle.
    #[test]
    fn a_request_canceled_after_its_end_ends_the_run() {
        must_end("R-OBJ-05");
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        on("completion routine", |a| wdf("WdfObjectDelete", &[a[0]]));
        send(request, target, 0);
        assert!(lower::complete_one(0));
        wdf("WdfRequestCancelSentRequest", &[request]);
        panic!("the handle was alive");
    }

    /// R-REQ-22: deleted, reused or formatted anew, a sub-request has let go of its parent's memory.
    #[test]
    fn sub_requests_that_have_let_go_of_the_memory_do_not_hold_the_parent() {
        let target = Cell::default();
        let to = target.clone();
        let bench = with_reader(move |request| {
            let (status, memory) = out(|out| wdf_status("WdfRequestRetrieveOutputMemory", &[request, out]));
            assert_eq!(status, NtStatus::SUCCESS);
            let subs = [created(to.get()), created(to.get()), created(to.get())];
            for sub in subs {
                assert_eq!(format_control(to.get(), sub, memory), NtStatus::SUCCESS);
            }
            wdf("WdfObjectDelete", &[subs[0]]);
            assert_eq!(wdf_status("WdfRequestReuse", &[subs[1], words([24, 0, 0])]), NtStatus::SUCCESS);
            assert_eq!(format_control(to.get(), subs[2], 0), NtStatus::SUCCESS);
            complete(request, NtStatus::SUCCESS, 0);
        });
        target.set(remote_target(bench.device));
        assert_eq!(start(&bench.open(), read(4)).wait().status, NtStatus::SUCCESS);
    }

    /// R-REQ-98: an IRP of somebody's own making passes a queue and a handler like one that arrived, and goes back when nobody
    /// references the request any more.
    #[test]
    fn a_completable_created_request_goes_through_a_queue() {
        let own = Cell::default();
        let (made, handled) = (own.clone(), Cell::default());
        let keep = handled.clone();
        prepare(|init| {
            let assign = [init, address!(evt_preprocess), 4, 0, 0];
            assert_eq!(wdf_status("WdfDeviceInitAssignWdmIrpPreprocessCallback", &assign), NtStatus::SUCCESS);
        });
        let bench = Bench::control(move |device| made.set(queue(device, PARALLEL)));
        on("EvtIoWrite", move |a| { keep.set(a[1]); 0 });
        let request = Cell::default();
        let wrapped = request.clone();
        let to = own.clone();
        on("EvtDeviceWdmIrpPreprocess", move |a| {
            nt_irp::mark_pending(a[1] as *mut _);
            let (status, request) = out(|out| wdf_status("WdfRequestCreateFromIrp", &[0, a[1], 0, out]));
            assert_eq!(status, NtStatus::SUCCESS);
            let must_complete = words([24 | 2 << 32, 0, 0]);
            assert_eq!(wdf_status("WdfRequestReuse", &[request, must_complete]), NtStatus::SUCCESS);
            wrapped.set(request);
            assert_eq!(wdf_status("WdfRequestForwardToIoQueue", &[request, to.get()]), NtStatus::SUCCESS);
            NtStatus::PENDING.0 as u32 as u64
        });
        let pending = start(&bench.open(), Op::Write { offset: 0, data: vec![1, 2] });
        assert_eq!(handled.get(), request.get());
        assert_eq!(counts(own.get()), (0, 1));
        wdf("WdfObjectReferenceActual", &[request.get(), 0, 0, 0]);
        complete(request.get(), NtStatus::SUCCESS, 2);
        assert_eq!((counts(own.get()), pending.status()), ((0, 0), None));
        wdf("WdfObjectDereferenceActual", &[request.get(), 0, 0, 0]);
        assert_eq!(pending.wait().information, 2);
        wdf("WdfObjectDelete", &[request.get()]);
    }

    /// R-REQ-29: completion under a spin lock is legal, and what the originator does in it runs under the lock, too.
    #[test]
    fn completion_under_a_spin_lock_runs_the_originators_code_there() {
        let (_, lock) = (0, Cell::default());
        let held = lock.clone();
        let log = Log::default();
        let seen = log.clone();
        let bench = with_reader(move |request| {
            seen.add(format!("handler at {}", irql()));
            if irql() == 0 {
                wdf("WdfSpinLockAcquire", &[held.get()]);
                complete(request, NtStatus::SUCCESS, 0);
                wdf("WdfSpinLockRelease", &[held.get()]);
            } else {
                complete(request, NtStatus::SUCCESS, 0);
            }
        });
        let (_, made) = out(|out| wdf_status("WdfSpinLockCreate", &[0, out]));
        lock.set(made);
        let handle = bench.open();
        let again = handle.clone();
        handle.start(read(1), move |_| { again.start(read(1), |_| {}); });
        assert_eq!(log.take(), ["handler at 0", "handler at 2"]);
        assert_eq!(thread::irql(), 0);
    }
}
