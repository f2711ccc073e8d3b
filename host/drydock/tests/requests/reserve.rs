//! Guaranteed forward progress: what a queue with a reserve does without memory (B.10 of the specification).

use crate::bench::*;
use crate::checks::watch;
use drydock::nt::abi::{Address, DeviceObject};
use drydock::nt::app::{Process, RawRequest};
use drydock::nt::status::NtStatus;
use drydock::sched::Event;
use rusty_fork::rusty_fork_test;
use std::sync::Arc;

const ALWAYS: u64 = 1;
const EXAMINE: u64 = 2;
const PAGING: u64 = 3;
/// `WDF_IO_FORWARD_PROGRESS_ACTION`.
const FAIL: u64 = 1;
const USE_RESERVED: u64 = 2;

/// A control device whose default queue has `total` reserved requests; its reads are kept.
struct Reserved {
    bench: Bench,
    log: Log,
    /// Nonzero: the driver has no resources for a normal request.
    poor: Cell,
    kept: Cell,
}

fn reserved(total: u64, policy: u64) -> Reserved {
    let (log, poor, kept) = (Log::default(), Cell::default(), Cell::default());
    let (seen, reserve, ended) = (log.clone(), log.clone(), log.clone());
    let (lacks, keep) = (poor.clone(), kept.clone());
    on("EvtIoAllocateResourcesForReservedRequest", move |_| {
        reserve.add("reserve");
        0
    });
    on("EvtIoAllocateRequestResources", move |_| {
        if lacks.get() == 0 {
            0
        } else {
            NtStatus::INSUFFICIENT_RESOURCES.0 as u32 as u64
        }
    });
    on("EvtIoRead", move |a| {
        let reserved = wdf("WdfRequestIsReserved", &[a[1]]) as u8;
        seen.add(format!("read {} reserved={reserved}", a[2]));
        keep.set(a[1]);
        0
    });
    on("EvtCleanupCallback", move |_| {
        ended.add("cleanup");
        0
    });
    prepare(|init| {
        wdf(
            "WdfDeviceInitSetRequestAttributes",
            &[init, attributes(0, 1)],
        );
    });
    let bench = Bench::control(move |device| {
        let own = queue(device, PARALLEL);
        let policy = words([
            40 | total << 32,
            policy,
            if policy == EXAMINE {
                address!(evt_examine)
            } else {
                0
            },
            address!(evt_reserve),
            address!(evt_allocate),
        ]);
        let assigned = wdf_status("WdfIoQueueAssignForwardProgressPolicy", &[own, policy]);
        assert_eq!(assigned, NtStatus::SUCCESS);
    });
    Reserved {
        bench,
        log,
        poor,
        kept,
    }
}

rusty_fork_test! {
    /// R-QUE-140
    #[test]
    fn a_policy_makes_its_reserve_at_once_and_comes_once() {
        let breaks = watch(false);
        let own = Cell::default();
        let made = own.clone();
        let log = Log::default();
        let reserve = log.clone();
        on("EvtIoAllocateResourcesForReservedRequest", move |_| { reserve.add("reserve"); 0 });
        let _bench = Bench::control(move |device| made.set(queue(device, PARALLEL)));
        let assign = |size: u64, total: u64| {
            let policy = words([size | total << 32, ALWAYS, 0, address!(evt_reserve), 0]);
            wdf_status("WdfIoQueueAssignForwardProgressPolicy", &[own.get(), policy])
        };
        assert_eq!(assign(39, 2), NtStatus::INFO_LENGTH_MISMATCH);
        assert_eq!(assign(40, 0), NtStatus::INVALID_PARAMETER);
        assert!(log.take().is_empty() && breaks.take().is_empty());
        assert_eq!(assign(40, 2), NtStatus::SUCCESS);
        assert_eq!(log.take(), ["reserve", "reserve"]);
        assert_eq!(assign(40, 2), NtStatus::INVALID_PARAMETER);
        assert_eq!(breaks.take(), ["R-QUE-140"]);
    }

    /// R-QUE-141, R-QUE-143: without resources a reserved request serves; without one free, the IRP waits for it.
    #[test]
    fn without_resources_requests_go_on_one_after_the_other() {
        let Reserved { bench, log, poor, kept } = reserved(1, ALWAYS);
        assert_eq!(log.take(), ["reserve"]);
        let handle = bench.open();
        let normal = start(&handle, read(1));
        assert_eq!(log.take(), ["read 1 reserved=0"]);
        complete(kept.get(), NtStatus::SUCCESS, 0);
        assert_eq!(log.take(), ["cleanup"]);
        poor.set(1);
        let (first, second) = (start(&handle, read(2)), start(&handle, read(3)));
        assert_eq!(log.take(), ["read 2 reserved=1"]);
        assert_eq!(second.status(), None);
        complete(kept.get(), NtStatus::SUCCESS, 0);
        // R-QUE-142: nothing is cleaned up.
        assert_eq!(log.take(), ["read 3 reserved=1"]);
        complete(kept.get(), NtStatus::SUCCESS, 0);
        for done in [normal, first, second] {
            assert_eq!(done.wait().status, NtStatus::SUCCESS);
        }
        assert!(log.take().is_empty());
    }

    /// R-QUE-141: when there is no memory for the request itself, too.
    #[test]
    fn without_memory_for_the_object_a_reserved_request_serves() {
        let Reserved { bench, log, kept, .. } = reserved(1, ALWAYS);
        log.take();
        let handle = bench.open();
        let pending = without_resources(|| start(&handle, read(4)));
        assert_eq!(log.take(), ["read 4 reserved=1"]);
        complete(kept.get(), NtStatus::SUCCESS, 4);
        assert_eq!(pending.wait().information, 4);
    }

    /// R-QUE-141: a bare IRP that waits can be canceled; no callback hears of it.
    #[test]
    fn an_irp_that_waits_for_a_reserved_request_can_be_canceled() {
        let Reserved { bench, log, poor, kept } = reserved(1, ALWAYS);
        poor.set(1);
        let handle = bench.open();
        let (first, bare) = (start(&handle, read(1)), start(&handle, read(2)));
        log.take();
        assert!(handle.cancel(bare.id));
        assert_eq!(bare.wait().status, NtStatus::CANCELLED);
        complete(kept.get(), NtStatus::SUCCESS, 0);
        assert_eq!(first.wait().status, NtStatus::SUCCESS);
        assert!(log.take().is_empty());
    }

    /// R-QUE-141: the driver is asked about each IRP.
    #[test]
    fn the_driver_decides_which_irps_get_a_reserved_request() {
        let Reserved { bench, log, poor, kept } = reserved(1, EXAMINE);
        poor.set(1);
        let answer = Cell::default();
        let say = answer.clone();
        on("EvtIoWdmIrpForForwardProgress", move |_| say.get());
        let handle = bench.open();
        answer.set(FAIL);
        log.take();
        assert_eq!(start(&handle, read(1)).wait().status, NtStatus::INSUFFICIENT_RESOURCES);
        assert!(log.take().is_empty());
        answer.set(USE_RESERVED);
        let pending = start(&handle, read(2));
        assert_eq!(log.take(), ["read 2 reserved=1"]);
        complete(kept.get(), NtStatus::SUCCESS, 0);
        pending.wait();
    }

    /// R-QUE-141: paging I/O only.
    #[test]
    fn the_paging_policy_serves_the_memory_manager_and_nobody_else() {
        let Reserved { bench, log, poor, kept } = reserved(1, PAGING);
        poor.set(1);
        log.take();
        assert_eq!(start(&bench.open(), read(1)).wait().status, NtStatus::INSUFFICIENT_RESOURCES);
        assert!(log.take().is_empty());
        let wdm = wdf("WdfDeviceWdmGetDeviceObject", &[bench.device]) as *mut DeviceObject;
        let mut paging = RawRequest::new(read(8));
        paging.paging = true;
        let done = Arc::new(Event::new(true, false));
        let event = done.clone();
        let sent = Process::new("system").send(Address(wdm), paging, move |_| { event.set(); });
        assert!(sent.is_ok());
        assert_eq!(log.take(), ["read 8 reserved=1"]);
        complete(kept.get(), NtStatus::SUCCESS, 0);
        done.wait();
    }

    /// R-QUE-142: it goes back to the reserve when its last reference but the framework's is gone, and skips
    /// EvtIoInCallerContext.
    #[test]
    fn a_referenced_reserved_request_serves_again_when_it_is_let_go() {
        on("EvtIoInCallerContext", |a| wdf("WdfDeviceEnqueueRequest", &[a[0], a[1]]));
        let Reserved { bench, log, poor, kept } = reserved(1, ALWAYS);
        let calls = Cell::default();
        let count = calls.clone();
        on("EvtIoInCallerContext", move |a| {
            count.set(count.get() + 1);
            wdf("WdfDeviceEnqueueRequest", &[a[0], a[1]])
        });
        poor.set(1);
        log.take();
        let handle = bench.open();
        let first = start(&handle, read(1));
        assert_eq!(calls.get(), 0);
        let request = kept.get();
        wdf("WdfObjectReferenceActual", &[request, 0, 0, 0]);
        complete(request, NtStatus::SUCCESS, 0);
        first.wait();
        let second = start(&handle, read(2));
        assert_eq!(log.take(), ["read 1 reserved=1"], "it is not free yet");
        wdf("WdfObjectDereferenceActual", &[request, 0, 0, 0]);
        assert_eq!(log.take(), ["read 2 reserved=1"]);
        assert_eq!(kept.get(), request, "the same object");
        complete(request, NtStatus::SUCCESS, 0);
        second.wait();
    }
}
