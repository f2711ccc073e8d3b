//! BREAKs: the framework says what is wrong and goes on as chapter G.3 states.

use crate::bench::*;
use crate::targets::{created, remote_target, send};
use drydock::nt::status::NtStatus;
use drydock::{nt, verify};
use rusty_fork::rusty_fork_test;

/// A device whose read handler does this with the request.
fn reading(handler: impl Fn(u64) + Send + Sync + 'static) -> Bench {
    let bench = Bench::control(|device| {
        queue(device, PARALLEL);
    });
    on("EvtIoRead", move |a| {
        handler(a[1]);
        0
    });
    bench
}

/// `f` breaks once.
fn once<R>(f: impl FnOnce() -> R) -> R {
    let before = verify::breaks();
    let result = f();
    assert_eq!(verify::breaks(), before + 1);
    result
}

rusty_fork_test! {
    /// R-CHK-04
    #[test]
    fn a_handler_that_leaves_a_region_entered_is_a_bug_check() {
        count_breaks(true);
        verify::on_end(|report| match report.bug_check {
            Some((0x10D, [0xF, ..])) => 0,
            _ => 1,
        });
        let bench = reading(|request| {
            complete(request, NtStatus::SUCCESS, 0);
            nt::thread::current().enter_critical_region();
        });
        start(&bench.open(), read(1));
        panic!("the handler returned");
    }

    /// R-CHK-18, R-REQ-25: the cancel callback is due, and waits for the handler to give the callback lock back.
    #[test]
    fn completing_before_the_cancel_callback_that_is_due_breaks_and_completes() {
        count_breaks(true);
        let bench = Bench::control(|device| {
            let config = words([
                96 | 2 << 32, 2 | 1 << 32 | 1 << 40, 0, address!(evt_read), 0, 0, 0, 0, 0, 0, 0xFFFF_FFFF, 0,
            ]);
            let scoped = words([56, 0, 0, 1 | 3 << 32, 0, 0, 0]);
            assert_eq!(wdf_status("WdfIoQueueCreate", &[device, config, scoped, words([0])]), NtStatus::SUCCESS);
        });
        on("EvtIoRead", |a| {
            wdf("WdfRequestMarkCancelableEx", &[a[1], address!(evt_cancel)]);
            nt::irp::cancel(irp(a[1]));
            wdf("WdfObjectReferenceActual", &[a[1], 0, 0, 0]);
            once(|| complete(a[1], NtStatus::SUCCESS, 0));
            0
        });
        assert_eq!(start(&bench.open(), read(1)).wait().status, NtStatus::SUCCESS);
    }

    /// R-CHK-32, R-TGT-85
    #[test]
    fn reusing_a_request_that_is_at_a_target_breaks_and_proceeds() {
        count_breaks(true);
        let bench = Bench::control(|_| ());
        let target = remote_target(bench.device);
        let request = created(target);
        send(request, target, 0);
        once(|| wdf("WdfRequestReuse", &[request, words([24, 0, 0])]));
    }
}
