//! Requests sent to the device below.

use crate::bench::*;
use drydock::nt::status::NtStatus;
use rusty_fork::rusty_fork_test;

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
            let status = drydock::kmdf::guest::read::<i32>(a[2] + 8);
            seen.add(format!("context {} {}", a[3], NtStatus(status)));
            complete(a[0], NtStatus(status), 0);
            0
        });
        let done = start(&bench.open(), read(4)).wait();
        assert!(!done.status.is_success());
        assert_eq!(log.take(), [format!("context 5 {}", done.status)]);
    }
}
