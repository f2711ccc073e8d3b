//! Requests sent to the device below.

use crate::bench::*;
use crate::lower;
use drydock::kmdf::guest;
use drydock::nt::status::NtStatus;
use drydock::sched;
use rusty_fork::rusty_fork_test;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

rusty_fork_test! {
    /// R-TGT-50, R-TGT-80, R-TGT-88, R-TGT-89: the physical device refuses reads; its status comes back through the
    /// completion routine.
    #[test]
    fn a_forwarded_request_comes_back_with_the_lower_status() {
        let log = Log::default();
        let bench = Bench::started(|device| { queue(device, PARALLEL); });
        let target = wdf("WdfDeviceGetIoTarget", &[bench.device]);
        on("EvtIoRead", move |a| {
            wdf("WdfRequestFormatRequestUsingCurrentType", &[a[1]]);
            wdf("WdfRequestSetCompletionRoutine", &[a[1], address!(evt_sent), 5]);
            assert_eq!(wdf("WdfRequestSend", &[a[1], target, 0]) as u8, 1);
            0
        });
        let seen = log.clone();
        on("completion routine", move |a| {
            let status = guest::read::<i32>(a[2] + 8);
            seen.add(format!("context {} {}", a[3], NtStatus(status)));
            complete(a[0], NtStatus(status), 0);
            0
        });
        let done = start(&bench.open(), read(4)).wait();
        assert!(!done.status.is_success());
        assert_eq!(log.take(), [format!("context 5 {}", done.status)]);
    }

    /// R-CAN-71, R-CAN-81: cancel-sent against the lower driver's completion; the completion routine runs
    /// once, with one of the two outcomes, and the request can be used again.
    #[test]
    fn for_every_race_of_cancel_sent_and_completion_the_routine_runs_once() {
        static CAME_BACK: AtomicU32 = AtomicU32::new(0);
        static CANCELED: AtomicU32 = AtomicU32::new(0);
        static STOP: AtomicBool = AtomicBool::new(false);
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        on("completion routine", |a| {
            let status = NtStatus(guest::read::<i32>(a[2] + 8));
            if status == NtStatus::CANCELLED {
                CANCELED.fetch_add(1, Ordering::SeqCst);
            } else {
                assert_eq!(status, NtStatus::SUCCESS);
            }
            CAME_BACK.fetch_add(1, Ordering::SeqCst);
            0
        });
        let completer = sched::spawn("completer", || {
            while !STOP.load(Ordering::SeqCst) {
                if !lower::complete_one(0) {
                    std::thread::yield_now();
                }
            }
        });
        let rounds = 2000;
        let reuse = words([24, 0, 0]);
        for round in 1..=rounds {
            send(request, target, 0);
            wdf("WdfRequestCancelSentRequest", &[request]);
            while CAME_BACK.load(Ordering::SeqCst) < round {
                std::thread::yield_now();
            }
            assert_eq!(wdf_status("WdfRequestReuse", &[request, reuse]), NtStatus::SUCCESS);
        }
        STOP.store(true, Ordering::SeqCst);
        completer.join();
        assert_eq!(CAME_BACK.load(Ordering::SeqCst), rounds);
        assert_eq!(lower::held(), 0);
        wdf("WdfObjectDelete", &[request]);
        wdf("WdfObjectDelete", &[target]);
    }

    /// R-TGT-59, R-TGT-60: the timeout cancels, and the cancelled request reports STATUS_IO_TIMEOUT.
    #[test]
    fn an_asynchronous_send_that_times_out_reports_a_timeout() {
        let log = Log::default();
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        let done = std::sync::Arc::new(sched::Event::new(true, false));
        let (seen, event) = (log.clone(), done.clone());
        on("completion routine", move |a| {
            let irql = drydock::nt::thread::current().irql();
            seen.add(format!("{} at IRQL {irql}", NtStatus(guest::read::<i32>(a[2] + 8))));
            event.set();
            0
        });
        let options = words([16 | 1 << 32, (-20_000_i64) as u64]);
        send(request, target, options);
        done.wait();
        assert_eq!(log.take(), [format!("{} at IRQL 2", NtStatus::IO_TIMEOUT)]);
    }

    /// R-TGT-22, R-TGT-24, R-TGT-10: a stop that cancels waits for what it cancelled, and so does deletion.
    #[test]
    fn stop_with_cancel_returns_when_every_sent_request_is_back() {
        static CAME_BACK: AtomicU32 = AtomicU32::new(0);
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        on("completion routine", |_| { CAME_BACK.fetch_add(1, Ordering::SeqCst); 0 });
        let requests: Vec<u64> = (0..20).map(|_| created(target)).collect();
        for &request in &requests {
            send(request, target, 0);
        }
        assert_eq!(lower::held(), 20);
        wdf("WdfIoTargetStop", &[target, 1]);
        assert_eq!(CAME_BACK.load(Ordering::SeqCst), 20);
        assert_eq!(wdf("WdfIoTargetGetState", &[target]), 2);
        for &request in &requests {
            wdf("WdfObjectDelete", &[request]);
        }
    }

    /// R-TGT-27, R-TGT-26
    #[test]
    fn a_target_closed_for_query_remove_fails_sends_instead_of_holding_them() {
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        let format = [target, request, 0x222000, 0, 0, 0, 0];
        assert_eq!(wdf_status("WdfIoTargetFormatRequestForIoctl", &format), NtStatus::SUCCESS);
        wdf("WdfIoTargetCloseForQueryRemove", &[target]);
        assert_eq!(wdf("WdfIoTargetGetState", &[target]), 3);
        assert_eq!(wdf("WdfRequestSend", &[request, target, 0]) as u8, 0);
        assert_eq!(wdf_status("WdfRequestGetStatus", &[request]), NtStatus::INVALID_DEVICE_STATE);
    }

    /// R-TGT-61: a stopped target holds the request, and its time runs.
    #[test]
    fn the_time_a_stopped_target_holds_a_request_counts_toward_its_timeout() {
        let log = Log::default();
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        let done = std::sync::Arc::new(sched::Event::new(true, false));
        let (seen, event) = (log.clone(), done.clone());
        on("completion routine", move |a| {
            seen.add(NtStatus(guest::read::<i32>(a[2] + 8)).to_string());
            event.set();
            0
        });
        wdf("WdfIoTargetStop", &[target, 3]);
        send(request, target, words([16 | 1 << 32, (-20_000_i64) as u64]));
        assert_eq!(lower::held(), 0, "the target holds it");
        done.wait();
        assert_eq!(log.take(), [NtStatus::IO_TIMEOUT.to_string()]);
        assert_eq!(lower::held(), 0, "it was never sent");
    }

    /// R-CAN-76, R-CAN-77, R-CAN-91: as often as the driver likes, at DISPATCH_LEVEL too; the request stays the driver's.
    #[test]
    fn cancel_sent_again_and_again_at_dispatch_level_leaves_a_request_that_can_be_reused() {
        static CAME_BACK: AtomicU32 = AtomicU32::new(0);
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        on("completion routine", |_| { CAME_BACK.fetch_add(1, Ordering::SeqCst); 0 });
        for round in 1..=3 {
            send(request, target, 0);
            let thread = drydock::nt::thread::current();
            thread.raise(2);
            assert_eq!(wdf("WdfRequestCancelSentRequest", &[request]) as u8, 1);
            wdf("WdfRequestCancelSentRequest", &[request]);
            thread.lower(0);
            assert_eq!(CAME_BACK.load(Ordering::SeqCst), round);
            assert_eq!(wdf_status("WdfRequestReuse", &[request, words([24, 0, 0])]), NtStatus::SUCCESS);
        }
        wdf("WdfObjectDelete", &[request]);
    }

    /// R-TGT-112, R-TGT-70: the created request is not sent and forgotten.
    #[test]
    fn a_created_request_is_never_sent_and_forgotten() {
        let bench = Bench::control(|_| {});
        let target = remote_target(bench.device);
        let request = created(target);
        let forget = words([16 | 8 << 32, 0]);
        assert_eq!(wdf("WdfRequestSend", &[request, target, forget]) as u8, 0);
        assert_eq!(wdf_status("WdfRequestGetStatus", &[request]), NtStatus::INVALID_DEVICE_STATE);
        // R-TGT-113: it is still the driver's.
        wdf("WdfObjectDelete", &[request]);
    }
}

/// A target open on the pending device of [`lower`].
pub fn remote_target(device: u64) -> u64 {
    let out = words([0]);
    assert_eq!(
        wdf_status("WdfIoTargetCreate", &[device, 0, out]),
        NtStatus::SUCCESS
    );
    let target = guest::read::<u64>(out);
    let mut params = [0; 17];
    params[0] = 136 | 1 << 32;
    params[4] = lower::create();
    assert_eq!(
        wdf_status("WdfIoTargetOpen", &[target, words(params)]),
        NtStatus::SUCCESS
    );
    target
}

/// A request of the driver's own for a target.
pub fn created(target: u64) -> u64 {
    let out = words([0]);
    assert_eq!(
        wdf_status("WdfRequestCreate", &[0, target, out]),
        NtStatus::SUCCESS
    );
    guest::read(out)
}

/// Formats a request as a control, gives it a completion routine and sends it.
pub fn send(request: u64, target: u64, options: u64) {
    let formatted = wdf_status(
        "WdfIoTargetFormatRequestForIoctl",
        &[target, request, 0x222000, 0, 0, 0, 0],
    );
    assert_eq!(formatted, NtStatus::SUCCESS);
    wdf(
        "WdfRequestSetCompletionRoutine",
        &[request, address!(evt_sent), 0],
    );
    assert_eq!(
        wdf("WdfRequestSend", &[request, target, options]) as u8,
        1,
        "the request is sent"
    );
}
