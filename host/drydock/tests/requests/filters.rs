//! A filter above the physical device: what it sees and what passes by (R-DEV-15, R-DEV-66).

use crate::bench::*;
use drydock::nt::pnp::SystemPower;
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;

/// A started filter; the physical device fails reads.
fn filter(setup: impl Fn(u64) + Send + Sync + 'static) -> Bench {
    prepare(|init| {
        wdf("WdfFdoInitSetFilter", &[init]);
    });
    Bench::started(setup)
}

rusty_fork_test! {
    /// R-DEV-15, R-DEV-14: the request passes the caller-context callback first; enqueueing it without a queue for it
    /// sends it down.
    #[test]
    fn a_filter_with_a_caller_context_callback_forwards_at_enqueue() {
        let log = Log::default();
        let seen = log.clone();
        on("EvtIoInCallerContext", move |a| {
            seen.add("caller context");
            assert_eq!(wdf_status("WdfDeviceEnqueueRequest", &[a[0], a[1]]), NtStatus::SUCCESS);
            seen.add("enqueued");
            0
        });
        let bench = filter(|_| ());
        let done = start(&bench.open(), read(1)).wait();
        assert!(!done.status.is_success(), "the physical device fails reads");
        assert_eq!(log.take(), ["caller context", "enqueued"]);
    }

    /// R-DEV-66, R-QUE-09: its queues are not power-managed; what it forwards meanwhile is for the lower driver to sort out.
    #[test]
    fn a_filter_gets_requests_while_its_device_sleeps() {
        let log = Log::default();
        let seen = log.clone();
        on("EvtIoRead", move |a| {
            seen.add("read");
            let target = wdf("WdfDeviceGetIoTarget", &[wdf("WdfIoQueueGetDevice", &[a[0]])]);
            let options = words([16 | 8 << 32, 0]);
            assert_eq!(wdf("WdfRequestSend", &[a[1], target, options]) as u8, 1);
            0
        });
        let bench = filter(|device| { queue_with_default_power(device); });
        let handle = bench.open();
        bench.node().system_power(SystemPower::Sleeping3).expect("it sleeps");
        let done = start(&handle, read(1)).wait();
        assert!(!done.status.is_success(), "the physical device fails reads");
        assert_eq!(log.take(), ["read"]);
    }
}

/// A parallel default queue that leaves power management to the kind of device.
fn queue_with_default_power(device: u64) {
    let read = address!(evt_read);
    let config = words([
        96 | 2 << 32,
        2 | 1 << 40,
        0,
        read,
        0,
        0,
        0,
        0,
        0,
        0,
        0xFFFF_FFFF,
        0,
    ]);
    let status = wdf_status("WdfIoQueueCreate", &[device, config, 0, words([0])]);
    assert_eq!(status, NtStatus::SUCCESS);
}
