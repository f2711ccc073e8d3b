//! Delayed requests: parked, cancelable, in nobody's handler; the timer wakes the pump, which takes them back and sends them.

use std::time::{Duration, Instant};

use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use ferry_abi::control::ops;
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program};

rusty_fork_test! {
    /// The delay is at least what was asked.
    #[test]
    fn a_delayed_read_comes_back_after_its_delay_with_piers_data() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        assert_eq!(device.write(0, &[3; 16]).status, NtStatus::SUCCESS);
        ferry.delay(ops::READ, 30);
        let begun = Instant::now();
        let delayed = device.start(Op::Read { offset: 0, len: 16 });
        assert_eq!(ferry.device().delayed, 1);
        let done = delayed.wait();
        assert!(begun.elapsed() >= Duration::from_millis(30), "{:?}", begun.elapsed());
        assert_eq!((done.status, done.data.as_slice()), (NtStatus::SUCCESS, [3; 16].as_slice()));
        assert_eq!(ferry.stats().delayed, 1);
        device.close();
        ferry.close();
        bed.end();
    }

    /// EvtRequestCancel completes it (R-CAN-44); the pump finds nothing to take back.
    #[test]
    fn cancel_of_a_delayed_read_completes_it_at_once() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        ferry.delay(ops::READ, 60_000);
        let delayed = device.start(Op::Read { offset: 0, len: 16 });
        assert!(device.cancel(&delayed));
        let done = delayed.wait();
        assert_eq!((done.status, done.information), (NtStatus::CANCELLED, 0));
        let stats = ferry.stats();
        assert_eq!((stats.canceled, stats.in_flight), (1, 0));
        device.close();
        ferry.close();
        bed.end();
    }

    /// For every interleaving of a cancel and the pump, exactly one completes the request, exactly once (R-CAN-80).
    #[test]
    fn a_cancel_that_races_the_pump_ends_every_request_exactly_once() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        ferry.delay(ops::READ, 1);
        for _ in 0..300 {
            let pending: Vec<_> = (0..4).map(|_| device.start(Op::Read { offset: 0, len: 4 })).collect();
            for one in &pending {
                device.cancel(one);
            }
            for one in pending {
                let status = one.wait().status;
                assert!(status == NtStatus::SUCCESS || status == NtStatus::CANCELLED, "{status}");
            }
        }
        let stats = ferry.stats();
        assert_eq!((stats.reads, stats.in_flight, ferry.info().faults), (1200, 0, 0));
        assert_eq!(stats.completed + stats.canceled, 1200);
        device.close();
        ferry.close();
        bed.end();
    }

    /// CLEANUP of a handle finishes its delayed requests: the framework flushes queues only (R-CAN-60, filter-rules 10).
    #[test]
    fn closing_the_handle_ends_its_delayed_requests() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        ferry.delay(ops::ALL, 60_000);
        let pending: Vec<_> = (0..5).map(|_| device.start(Op::Read { offset: 0, len: 4 })).collect();
        device.close();
        for one in &pending {
            assert_eq!(one.wait().status, NtStatus::CANCELLED);
        }
        ferry.close();
        bed.end();
    }

    /// A delay belongs to the control handle that set it; what it had parked goes on (filter-rules 13).
    #[test]
    fn closing_the_control_handle_sends_what_its_delay_had_parked() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        ferry.delay(ops::READ, 60_000);
        let delayed = device.start(Op::Read { offset: 0, len: 16 });
        ferry.close();
        assert_eq!(delayed.wait().status, NtStatus::SUCCESS);
        device.close();
        bed.end();
    }
}
