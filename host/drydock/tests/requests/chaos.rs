//! Many threads at once: whatever happens, every request ends exactly once and nothing is left in a queue.

use crate::bench::*;
use drydock::kmdf::guest;
use drydock::nt::app::Handle;
use drydock::nt::status::NtStatus;
use drydock::sched;
use rusty_fork::rusty_fork_test;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

static STOP: AtomicBool = AtomicBool::new(false);

fn random(state: &AtomicU64) -> u64 {
    let mut x = state.load(Ordering::Relaxed);
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    state.store(x, Ordering::Relaxed);
    x
}

fn take_one(manual: u64) -> bool {
    let out = words([0]);
    let found = wdf_status("WdfIoQueueRetrieveNextRequest", &[manual, out]);
    let request = guest::read::<u64>(out);
    drydock::nt::pool::free(out as *mut u8, None);
    if found.is_success() {
        complete(request, NtStatus::SUCCESS, 0);
    }
    found.is_success()
}

fn program(handle: &Arc<Handle>, seed: u64, rounds: u32, ended: &AtomicU32) {
    let state = AtomicU64::new(seed);
    let mut open = Vec::new();
    for _ in 0..rounds {
        open.push(start(handle, read(1)));
        if random(&state).is_multiple_of(3) {
            let at = random(&state) as usize % open.len();
            let pending: &Pending = &open[at];
            handle.cancel(pending.id);
        }
        if open.len() > 8 {
            let at = random(&state) as usize % open.len();
            let pending = open.swap_remove(at);
            handle.cancel(pending.id);
            pending.wait();
            ended.fetch_add(1, Ordering::SeqCst);
        }
    }
    for pending in open {
        handle.cancel(pending.id);
        pending.wait();
        ended.fetch_add(1, Ordering::SeqCst);
    }
}

rusty_fork_test! {
    /// R-CAN-17, R-CAN-80, R-REQ-01
    #[test]
    fn under_cancels_forwards_and_parking_from_many_threads_every_request_ends_once() {
        static CHOICE: AtomicU64 = AtomicU64::new(0x9E37_79B9_7F4A_7C15);
        static ENDED: AtomicU32 = AtomicU32::new(0);
        let manual = Cell::default();
        let made = manual.clone();
        let bench = Bench::control(move |device| {
            queue(device, PARALLEL);
            made.set(queue(device, QueueSpec { canceled_on_queue: true, ..MANUAL }));
        });
        let target = manual.get();
        on("EvtIoRead", move |a| {
            match random(&CHOICE) % 4 {
                0 => complete(a[1], NtStatus::SUCCESS, 1),
                1 => {
                    let marked = wdf_status("WdfRequestMarkCancelableEx", &[a[1], address!(evt_cancel)]);
                    if !marked.is_success() {
                        complete(a[1], NtStatus::CANCELLED, 0);
                    }
                }
                _ => {
                    let forwarded = wdf_status("WdfRequestForwardToIoQueue", &[a[1], target]);
                    assert_eq!(forwarded, NtStatus::SUCCESS);
                }
            }
            0
        });
        on("EvtRequestCancel", |a| { complete(a[0], NtStatus::CANCELLED, 0); 0 });
        on("EvtIoCanceledOnQueue", |a| { complete(a[1], NtStatus::CANCELLED, 0); 0 });
        let finisher = sched::spawn("finisher", move || {
            while !STOP.load(Ordering::SeqCst) {
                if !take_one(target) {
                    std::thread::yield_now();
                }
            }
        });
        let rounds = 3000;
        let programs: Vec<_> = (1..=4).map(|seed| {
            let handle = bench.open();
            sched::spawn("program", move || program(&handle, seed * 0x1234_5678_9ABC, rounds, &ENDED))
        }).collect();
        programs.into_iter().for_each(sched::JoinHandle::join);
        STOP.store(true, Ordering::SeqCst);
        finisher.join();
        assert_eq!(ENDED.load(Ordering::SeqCst), 4 * rounds);
        assert_eq!(counts(manual.get()), (0, 0));
        let default = wdf("WdfDeviceGetDefaultQueue", &[bench.device]);
        assert_eq!(counts(default), (0, 0));
    }

    /// R-QUE-17, R-QUE-76: purging and starting a queue under load loses nothing.
    #[test]
    fn purge_and_start_under_load_lose_no_request() {
        static ENDED: AtomicU32 = AtomicU32::new(0);
        static DONE: AtomicBool = AtomicBool::new(false);
        let bench = Bench::control(|device| { queue(device, SEQUENTIAL); });
        on("EvtIoRead", |a| { complete(a[1], NtStatus::SUCCESS, 0); 0 });
        let default = wdf("WdfDeviceGetDefaultQueue", &[bench.device]);
        let controller = sched::spawn("controller", move || {
            while !DONE.load(Ordering::SeqCst) {
                for operation in ["WdfIoQueuePurgeSynchronously", "WdfIoQueueStart", "WdfIoQueueStopSynchronously",
                    "WdfIoQueueStart", "WdfIoQueueStopAndPurgeSynchronously", "WdfIoQueueStart",
                    "WdfIoQueueDrainSynchronously", "WdfIoQueueStart"] {
                    wdf(operation, &[default]);
                }
            }
        });
        let programs: Vec<_> = (1..=3).map(|seed| {
            let handle = bench.open();
            sched::spawn("program", move || program(&handle, seed * 0xABCD_EF01_2345, 2000, &ENDED))
        }).collect();
        programs.into_iter().for_each(sched::JoinHandle::join);
        DONE.store(true, Ordering::SeqCst);
        controller.join();
        assert_eq!(ENDED.load(Ordering::SeqCst), 6000);
        assert_eq!(counts(default), (0, 0));
    }
}
