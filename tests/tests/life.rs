//! Devices and programs that go away with requests in every place.

use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use ferry_abi::control::ops;
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Pending, Program, Session};

const READ: Op = Op::Read { offset: 0, len: 16 };
const WRITE: Op = Op::Write {
    offset: 0,
    data: Vec::new(),
};
const MINUTE: u32 = 60_000;

/// 50 held, 25 delayed, 25 at pier. A handle each, so that none waits behind another of its handle.
fn a_hundred_in_flight(program: &Program, ferry: &Session) -> (Vec<Session>, Vec<Pending>) {
    let device = program.open_device();
    device.set_latency(MINUTE);
    device.close();
    let handles: Vec<_> = (0..100).map(|_| program.open_device()).collect();
    let mut pending = Vec::new();
    let (held, rest) = handles.split_at(50);
    let (delayed, below) = rest.split_at(25);
    ferry.hold(ops::WRITE, MINUTE);
    pending.extend(held.iter().map(|handle| handle.start(WRITE)));
    ferry.delay(ops::READ, MINUTE);
    pending.extend(delayed.iter().map(|handle| handle.start(READ)));
    ferry.delay(0, 0);
    pending.extend(below.iter().map(|handle| handle.start(READ)));
    let now = ferry.device();
    assert_eq!((now.held, now.delayed, now.in_flight), (50, 25, 100));
    (handles, pending)
}

rusty_fork_test! {
    /// Process exit: cancel, cleanup, close, in the I/O manager's order; nothing is left, nothing ends twice.
    #[test]
    fn killing_a_program_with_a_hundred_requests_in_flight_leaves_none() {
        let bed = Bed::ferry_over_pier();
        let operator = Program::new();
        let ferry = operator.open_ferry();
        let victim = Program::new();
        let (handles, pending) = a_hundred_in_flight(&victim, &ferry);
        victim.process.kill();
        for one in &pending {
            assert_eq!(one.wait().status, NtStatus::CANCELLED);
        }
        let stats = ferry.stats();
        assert_eq!((stats.in_flight, ferry.info().faults), (0, 0));
        drop(handles);
        ferry.close();
        bed.end();
    }

    /// A program blocked in a read gets it back at surprise removal, before any handle is closed (filter-rules 9).
    #[test]
    fn surprise_removal_returns_every_request_before_any_handle_is_closed() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let ferry = program.open_ferry();
        let (handles, pending) = a_hundred_in_flight(&program, &ferry);
        bed.stack.node().surprise_remove().expect("surprise removal is accepted");
        for one in &pending {
            let status = one.wait().status;
            assert!(!status.is_success(), "the device is gone, the request says {status}");
        }
        for handle in handles {
            handle.close();
        }
        ferry.close();
        bed.stack.node().wait_removed();
        bed.end_after_removal();
    }

    /// Stop and restart (rebalance): pier's queues are power-managed and wait, ferry's do not.
    #[test]
    fn requests_survive_a_rebalance_of_the_device() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        ferry.hold(ops::WRITE, MINUTE);
        let held = device.start(WRITE);
        let node = bed.stack.node();
        node.query_stop().expect("query-stop is accepted");
        node.stop().expect("stop is accepted");
        let arrived_stopped = program.open_device().start(READ);
        assert!(arrived_stopped.is_pending());
        node.start().expect("the device starts again");
        assert_eq!(arrived_stopped.wait().status, NtStatus::SUCCESS);
        assert_eq!(ferry.release(0), 1);
        assert_eq!(held.wait().status, NtStatus::SUCCESS);
        device.close();
        ferry.close();
        program.process.kill();
        bed.end();
    }
}
