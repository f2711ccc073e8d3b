//! The checks of the framework verifier (G.3 of the specification): each reports its BREAK, and then does as stated.

use crate::bench::*;
use crate::misuse::{with_reader, with_started_reader};
use crate::targets::{created, remote_target};
use crate::unchecked::{expect_bug_check, found_request};
use drydock::kmdf::guest;
use drydock::nt::app::Op;
use drydock::nt::registry;
use drydock::nt::status::NtStatus;
use drydock::nt::thread;
use drydock::verify::{self, DebugOutput, Settings};
use parking_lot::Mutex;
use rusty_fork::rusty_fork_test;
use std::sync::Arc;

/// What the framework printed.
#[derive(Clone)]
pub struct Breaks(Arc<Mutex<Vec<String>>>);

impl Breaks {
    /// Statements of the BREAKs since the last look.
    pub fn take(&self) -> Vec<String> {
        let lines = std::mem::take(&mut *self.0.lock());
        let breaks = lines.iter().filter_map(|line| line.strip_prefix("BREAK "));
        breaks
            .filter_map(|line| Some(line.split_once(':')?.0.to_owned()))
            .collect()
    }
}

/// BREAKs are printed, the run goes on.
pub fn watch(verifier_on: bool) -> Breaks {
    let lines = Arc::new(Mutex::new(Vec::new()));
    verify::set_debug_output(DebugOutput::Capture(lines.clone()));
    verify::configure(Settings {
        verifier_on,
        break_is_fatal: false,
        ..Settings::default()
    });
    Breaks(lines)
}

const REFUSED: NtStatus = NtStatus::INVALID_DEVICE_REQUEST;

rusty_fork_test! {
    /// R-CHK-17, R-REQ-23
    #[test]
    fn completion_while_cancelable_is_reported_and_proceeds() {
        let breaks = watch(true);
        let bench = with_reader(|request| {
            wdf("WdfRequestMarkCancelableEx", &[request, address!(evt_cancel)]);
            complete(request, NtStatus::SUCCESS, 1);
        });
        let done = start(&bench.open(), read(1)).wait();
        assert_eq!(done.status, NtStatus::SUCCESS);
        assert_eq!(breaks.take(), ["R-REQ-23"]);
    }

    /// R-CHK-12, R-CHK-13, R-CHK-14
    #[test]
    fn marks_and_hand_overs_that_do_not_fit_are_reported_and_refused() {
        let breaks = watch(true);
        let seen = breaks.clone();
        let bench = with_reader(move |request| {
            assert_eq!(wdf_status("WdfRequestUnmarkCancelable", &[request]), REFUSED);
            assert_eq!(seen.take(), ["R-CAN-33"]);
            wdf("WdfRequestMarkCancelableEx", &[request, address!(evt_cancel)]);
            let again = [request, address!(evt_cancel)];
            assert_eq!(wdf_status("WdfRequestMarkCancelableEx", &again), REFUSED);
            assert_eq!(seen.take(), ["R-CAN-20"]);
            assert_eq!(wdf("WdfRequestIsCanceled", &[request]) as u8, 0);
            assert_eq!(seen.take(), ["R-CAN-51"]);
            assert_eq!(wdf_status("WdfRequestUnmarkCancelable", &[request]), NtStatus::SUCCESS);
            complete(request, NtStatus::SUCCESS, 0);
        });
        assert_eq!(start(&bench.open(), read(1)).wait().status, NtStatus::SUCCESS);
        assert!(breaks.take().is_empty());
    }

    /// R-CHK-10, R-CHK-11
    #[test]
    fn a_request_that_was_only_found_stays_in_its_queue() {
        let breaks = watch(true);
        let (_bench, handle, pending, found) = found_request();
        complete(found, NtStatus::SUCCESS, 0);
        assert_eq!(breaks.take(), ["R-REQ-06"]);
        let mark = [found, address!(evt_cancel)];
        assert_eq!(wdf_status("WdfRequestMarkCancelableEx", &mark), REFUSED);
        assert_eq!(breaks.take(), ["R-REQ-06"]);
        assert_eq!(pending.status(), None);
        assert!(handle.cancel(pending.id));
        assert_eq!(pending.wait().status, NtStatus::CANCELLED);
    }

    /// R-CHK-16, R-REQ-80: with or without the verifier.
    #[test]
    fn requeue_is_for_manual_queues() {
        let breaks = watch(false);
        let bench = with_reader(|request| {
            assert_eq!(wdf_status("WdfRequestRequeue", &[request]), REFUSED);
            complete(request, NtStatus::SUCCESS, 0);
        });
        assert_eq!(start(&bench.open(), read(1)).wait().status, NtStatus::SUCCESS);
        assert_eq!(breaks.take(), ["R-REQ-80"]);
    }

    /// R-CHK-25, R-QUE-28, R-QUE-29, R-QUE-96, R-QUE-110, R-QUE-111
    #[test]
    fn queues_refuse_what_their_kind_or_state_does_not_allow() {
        let breaks = watch(false);
        let seen = breaks.clone();
        Bench::control(move |device| {
            let configure = |queue: u64, kind: u64| {
                wdf_status("WdfDeviceConfigureRequestDispatching", &[device, queue, kind])
            };
            let parallel = queue(device, PARALLEL);
            let (manual, other) = (queue(device, MANUAL), queue(device, MANUAL));
            let out = words([0]);
            assert_eq!(wdf_status("WdfIoQueueFindRequest", &[parallel, 0, 0, 0, out]), REFUSED);
            assert_eq!(seen.take(), ["R-QUE-96"]);
            let notify = |queue: u64, callback: u64| {
                wdf_status("WdfIoQueueReadyNotify", &[queue, callback, 0])
            };
            assert_eq!(notify(parallel, address!(evt_default)), REFUSED);
            assert_eq!(seen.take(), ["R-QUE-110"]);
            assert_eq!(notify(manual, 0), REFUSED);
            assert_eq!(notify(manual, address!(evt_default)), NtStatus::SUCCESS);
            assert_eq!(notify(manual, address!(evt_default)), REFUSED);
            assert_eq!(notify(manual, 0), REFUSED);
            assert_eq!(seen.take(), ["R-QUE-111", "R-QUE-111", "R-QUE-111"]);
            assert_eq!(configure(parallel, 3), REFUSED);
            assert_eq!(seen.take(), ["R-QUE-28"]);
            assert_eq!(configure(manual, 3), NtStatus::SUCCESS);
            assert_eq!(configure(other, 3), NtStatus::WDF_BUSY);
            assert_eq!(seen.take(), ["R-QUE-28"]);
            assert_eq!(configure(other, 0), NtStatus::SUCCESS);
            assert_eq!(configure(manual, 0), NtStatus::INVALID_PARAMETER);
            assert_eq!(seen.take(), ["R-QUE-28"]);
        });
        assert!(breaks.take().is_empty());
    }

    /// R-CHK-02
    #[test]
    fn without_the_verifier_retrieval_from_an_idle_sequential_queue_is_not_looked_at() {
        let breaks = watch(false);
        let own = Cell::default();
        let made = own.clone();
        Bench::control(move |device| made.set(queue(device, SEQUENTIAL)));
        let out = words([0]);
        let nothing = wdf_status("WdfIoQueueRetrieveNextRequest", &[own.get(), out]);
        assert_eq!(nothing, NtStatus::NO_MORE_ENTRIES);
        assert!(breaks.take().is_empty());
    }

    /// R-CHK-26, R-QUE-91, R-CHK-01: the driver's own VerifierOn value turns the check on.
    #[test]
    fn the_registry_turns_the_verifier_on_for_one_driver() {
        let breaks = watch(false);
        let service = r"\Registry\Machine\System\CurrentControlSet\Services\Bench\Parameters\Wdf";
        registry::create(service);
        registry::set(service, registry::Value::dword("VerifierOn", 1)).expect("the key is there");
        let own = Cell::default();
        let made = own.clone();
        Bench::control(move |device| made.set(queue(device, SEQUENTIAL)));
        let out = words([0]);
        let nothing = wdf_status("WdfIoQueueRetrieveNextRequest", &[own.get(), out]);
        assert_eq!(nothing, NtStatus::NO_MORE_ENTRIES);
        assert_eq!(breaks.take(), ["R-QUE-91"]);
    }

    /// R-CHK-01: a check that came with 1.11 is not made for a driver built for 1.9.
    #[test]
    fn a_newer_check_is_not_made_for_an_older_driver() {
        built_for_1_9();
        watch(true);
        let (_bench, found, other) = found_beside_another_queue();
        let (status, _) = out(|out| wdf_status("WdfIoQueueRetrieveFoundRequest", &[other, found, out]));
        assert_eq!(status, NtStatus::NOT_FOUND);
    }

    /// R-CHK-01, R-QUE-99: VerifyDownLevel in the registry extends such checks to older drivers.
    #[test]
    fn verify_down_level_makes_newer_checks_for_an_older_driver() {
        expect_bug_check(|parameters| matches!(parameters, [6, 5, _, _]));
        built_for_1_9();
        watch(true);
        let service = r"\Registry\Machine\System\CurrentControlSet\Services\Bench\Parameters\Wdf";
        registry::create(service);
        registry::set(service, registry::Value::dword("VerifyDownLevel", 1)).expect("the key is there");
        let (_bench, found, other) = found_beside_another_queue();
        let _ = out(|out| wdf_status("WdfIoQueueRetrieveFoundRequest", &[other, found, out]));
        panic!("the request was looked for in the wrong queue");
    }

    /// R-CHK-27, R-CHK-28, R-TGT-52, R-TGT-53, R-REQ-41, R-TGT-90
    #[test]
    fn a_send_that_cannot_be_is_refused_and_says_why() {
        let breaks = watch(false);
        let (target, seen) = (Cell::default(), breaks.clone());
        let to = target.clone();
        let bench = with_started_reader(move |request| {
            let refused = |options: u64| {
                assert_eq!(wdf("WdfRequestSend", &[request, to.get(), options]) as u8, 0);
                wdf_status("WdfRequestGetStatus", &[request])
            };
            let format = [to.get(), request, 0x222000, 0, 0, 0, 0];
            assert_eq!(wdf_status("WdfIoTargetFormatRequestForIoctl", &format), NtStatus::SUCCESS);
            assert_eq!(refused(words([17, 0])), NtStatus::INVALID_PARAMETER);
            assert_eq!(refused(words([16 | 16 << 32, 0])), NtStatus::INVALID_PARAMETER);
            // Send-and-forget goes with no other flag.
            assert_eq!(refused(words([16 | 10 << 32, 0])), NtStatus::INVALID_PARAMETER);
            assert_eq!(seen.take(), ["R-TGT-52", "R-TGT-52", "R-TGT-52"]);
            wdf("WdfRequestSetCompletionRoutine", &[request, address!(evt_sent), 0]);
            wdf("WdfRequestSetCompletionRoutine", &[request, 0, 0]);
            assert_eq!(refused(0), REFUSED);
            assert_eq!(seen.take(), ["R-TGT-53"]);
            complete(request, NtStatus::SUCCESS, 0);
        });
        target.set(remote_target(bench.device));
        assert_eq!(start(&bench.open(), read(1)).wait().status, NtStatus::SUCCESS);
    }

    /// R-CHK-29, R-TGT-71
    #[test]
    fn a_request_formatted_for_a_target_is_not_sent_and_forgotten() {
        let breaks = watch(false);
        let target = Cell::default();
        let to = target.clone();
        let bench = with_started_reader(move |request| {
            let format = [to.get(), request, 0x222000, 0, 0, 0, 0];
            assert_eq!(wdf_status("WdfIoTargetFormatRequestForIoctl", &format), NtStatus::SUCCESS);
            let forget = words([16 | 8 << 32, 0]);
            assert_eq!(wdf("WdfRequestSend", &[request, to.get(), forget]) as u8, 0);
            assert_eq!(wdf_status("WdfRequestGetStatus", &[request]), REFUSED);
            complete(request, NtStatus::SUCCESS, 0);
        });
        target.set(remote_target(bench.device));
        assert_eq!(start(&bench.open(), read(1)).wait().status, NtStatus::SUCCESS);
        assert_eq!(breaks.take(), ["R-TGT-71"]);
    }

    /// R-CHK-31, R-TGT-31
    #[test]
    fn the_verifier_refuses_an_unformatted_send_without_a_break() {
        let breaks = watch(true);
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        assert_eq!(wdf("WdfRequestSend", &[request, target, 0]) as u8, 0);
        assert_eq!(wdf_status("WdfRequestGetStatus", &[request]), NtStatus::REQUEST_NOT_ACCEPTED);
        assert!(breaks.take().is_empty());
    }

    /// R-CHK-33, R-REQ-42, R-TGT-87
    #[test]
    fn parameter_structures_of_the_wrong_size_stay_as_they_are() {
        let breaks = watch(false);
        let seen = breaks.clone();
        let bench = with_reader(move |request| {
            let out = words([39, 7, 7, 7, 7, 7, 7, 7, 7]);
            wdf("WdfRequestGetParameters", &[request, out]);
            assert_eq!(seen.take(), ["R-REQ-42"]);
            wdf("WdfRequestGetCompletionParams", &[request, out]);
            assert_eq!(seen.take(), ["R-TGT-87"]);
            assert_eq!((guest::read::<u64>(out), guest::read::<u64>(out + 8)), (39, 7));
            guest::write(out, 72_u64);
            wdf("WdfRequestGetCompletionParams", &[request, out]);
            assert_eq!(seen.take(), ["R-TGT-87"]);
            assert_eq!(guest::read::<u64>(out + 8), 0, "the structure is empty");
            complete(request, NtStatus::SUCCESS, 0);
        });
        assert_eq!(start(&bench.open(), read(1)).wait().status, NtStatus::SUCCESS);
    }

    /// R-CHK-34
    #[test]
    fn dereferencing_a_requests_memory_too_often_is_reported() {
        let breaks = watch(false);
        let seen = breaks.clone();
        let bench = with_reader(move |request| {
            let out = words([0]);
            assert_eq!(wdf_status("WdfRequestRetrieveOutputMemory", &[request, out]), NtStatus::SUCCESS);
            let memory = guest::read::<u64>(out);
            wdf("WdfObjectReferenceActual", &[memory, 0, 0, 0]);
            wdf("WdfObjectDereferenceActual", &[memory, 0, 0, 0]);
            assert!(seen.take().is_empty());
            wdf("WdfObjectDereferenceActual", &[memory, 0, 0, 0]);
            assert_eq!(seen.take(), ["R-CHK-34"]);
            wdf("WdfObjectReferenceActual", &[memory, 0, 0, 0]);
            complete(request, NtStatus::SUCCESS, 0);
        });
        assert_eq!(start(&bench.open(), read(1)).wait().status, NtStatus::SUCCESS);
    }

    /// R-CHK-38
    #[test]
    fn removing_what_is_not_in_a_collection_is_reported_and_ignored() {
        let breaks = watch(false);
        let bench = Bench::control(|_| {});
        let out = words([0]);
        assert_eq!(wdf_status("WdfCollectionCreate", &[0, out]), NtStatus::SUCCESS);
        let collection = guest::read::<u64>(out);
        wdf("WdfCollectionAdd", &[collection, bench.device]);
        wdf("WdfCollectionRemove", &[collection, collection]);
        wdf("WdfCollectionRemoveItem", &[collection, 1]);
        assert_eq!(breaks.take(), ["R-CHK-38", "R-CHK-38"]);
        assert_eq!(wdf("WdfCollectionGetCount", &[collection]) as u32, 1);
    }

    /// R-CHK-44, R-REQ-19
    #[test]
    fn information_without_an_output_buffer_is_reported_and_copies_nothing() {
        let breaks = watch(false);
        let bench = Bench::control(|device| { queue(device, PARALLEL); });
        on("EvtIoDeviceControl", |a| { complete(a[1], NtStatus::SUCCESS, 4); 0 });
        let op = Op::Ioctl { code: 0x222000, input: vec![0; 4], output_len: 0 };
        let done = start(&bench.open(), op).wait();
        assert_eq!(done.status, NtStatus::SUCCESS);
        assert!(done.data.is_empty());
        assert_eq!(breaks.take(), ["R-REQ-19"]);
    }

    /// R-REQ-16
    #[test]
    fn the_verifier_stops_the_machine_at_information_beyond_the_buffer() {
        expect_bug_check(|parameters| matches!(parameters, [6, 4, _, _]));
        watch(true);
        let bench = with_reader(|request| complete(request, NtStatus::SUCCESS, 100));
        start(&bench.open(), read(8));
        panic!("the completion went through");
    }

    /// R-CHK-04
    #[test]
    fn a_handler_that_returns_at_another_irql_is_a_bug_check() {
        expect_bug_check(|parameters| parameters[..3] == [0xE, 0, 2]);
        watch(true);
        let bench = with_reader(|_| { thread::current().raise(2); });
        start(&bench.open(), read(8));
        panic!("the handler went through");
    }

    /// R-CHK-04: EvtRequestCancel is not hooked.
    #[test]
    fn a_cancel_callback_that_leaves_a_critical_region_entered_is_not_looked_at() {
        watch(true);
        let bench = with_reader(|request| {
            wdf("WdfRequestMarkCancelableEx", &[request, address!(evt_cancel)]);
        });
        on("EvtRequestCancel", |a| {
            thread::current().enter_critical_region();
            complete(a[0], NtStatus::CANCELLED, 0);
            0
        });
        let handle = bench.open();
        let pending = start(&handle, read(1));
        assert!(handle.cancel(pending.id));
        assert_eq!(pending.wait().status, NtStatus::CANCELLED);
    }

    /// R-CHK-40, R-QUE-84: here a long wait is 1 ms.
    #[test]
    fn a_wait_for_requests_that_nobody_completes_is_reported_again_and_again() {
        let breaks = watch(true);
        verify::configure(Settings { long_wait: 10_000, ..verify::settings().clone() });
        let (own, held) = (Cell::default(), Cell::default());
        let (made, keep) = (own.clone(), held.clone());
        let bench = Bench::control(move |device| made.set(queue(device, PARALLEL)));
        on("EvtIoRead", move |a| { keep.set(a[1]); 0 });
        let handle = bench.open();
        let pending = start(&handle, read(1));
        let before = verify::breaks();
        let stop = drydock::sched::spawn("stopper", move || {
            wdf("WdfIoQueueStopSynchronously", &[own.get()]);
        });
        while verify::breaks() < before + 2 {
            std::thread::yield_now();
        }
        complete(held.get(), NtStatus::SUCCESS, 0);
        stop.join();
        assert_eq!(pending.wait().status, NtStatus::SUCCESS);
        assert!(breaks.take().iter().all(|id| id == "R-QUE-84"));
    }
}

/// A request found in the default queue, and another manual queue of the device.
fn found_beside_another_queue() -> (Bench, u64, u64) {
    let other = Cell::default();
    let own = Cell::default();
    let (made, default) = (other.clone(), own.clone());
    let bench = Bench::control(move |device| {
        let spec = QueueSpec {
            default: true,
            ..MANUAL
        };
        default.set(queue(device, spec));
        made.set(queue(device, MANUAL));
    });
    start(&bench.open(), read(1));
    let (status, found) =
        out(|out| wdf_status("WdfIoQueueFindRequest", &[own.get(), 0, 0, 0, out]));
    assert_eq!(status, NtStatus::SUCCESS);
    (bench, found, other.get())
}
