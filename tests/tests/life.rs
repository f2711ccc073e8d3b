//! Devices and programs that go away with requests in every place.

use drydock::nt::app::Op;
use drydock::nt::pnp::SystemPower;
use drydock::nt::status::NtStatus;
use ferry_abi::control::{Action, Order, Rule, ops};
use ferry_abi::pier::{self, Fault, IOCTL_PIER_ECHO};
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Pending, Program, Session};
use zerocopy::IntoBytes;

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
    let echo = || Op::Ioctl {
        code: IOCTL_PIER_ECHO.0,
        input: vec![1],
        output_len: 1,
    };
    pending.extend(below.iter().map(|handle| handle.start(echo())));
    let now = ferry.device();
    assert_eq!((now.held, now.delayed, now.in_flight), (50, 25, 100));
    (handles, pending)
}

/// One read in every place ferry can keep it, on a handle each: held, delayed in order, delayed out of order, dropped, below, in the backlog.
/// The rules know them by their lengths, 1 to 6.
fn one_in_every_place(program: &Program, ferry: &Session) -> (Vec<Session>, Vec<Pending>) {
    let handles: Vec<_> = (0..6).map(|_| program.open_device()).collect();
    // pier keeps the first read that reaches it.
    let stuck = Fault::new(pier::ops::READ, pier::action::STUCK, 0, 0, 0, 1);
    handles[0].tell(pier::IOCTL_PIER_SET_FAULT, stuck.as_bytes());
    let sized = |length, action| Rule {
        length_min: length,
        length_max: length,
        milliseconds: MINUTE,
        ..ferry.rule(ops::READ, action)
    };
    let free = Rule {
        order: Order::Free.code(),
        ..sized(3, Action::Delay)
    };
    let drop = Rule {
        milliseconds: 0,
        ..sized(4, Action::Drop)
    };
    for rule in [sized(1, Action::Hold), sized(2, Action::Delay), free, drop] {
        let _ = ferry.add(&rule);
    }
    ferry.limit(1);
    let pending = (1..=6)
        .zip(&handles)
        .map(|(len, handle)| handle.start(Op::Read { offset: 0, len }))
        .collect();
    let now = ferry.device();
    assert_eq!((now.held, now.delayed, now.dropped), (1, 2, 1));
    assert_eq!((now.below, now.backlog, now.in_flight), (1, 1, 6));
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

    /// The cancellation table of the design, every row: a cancel ends the request where it is, once, and nothing else.
    #[test]
    fn a_cancel_ends_a_request_in_every_place() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let ferry = program.open_ferry();
        let (handles, pending) = one_in_every_place(&program, &ferry);
        for (at, (handle, one)) in handles.iter().zip(&pending).enumerate() {
            assert!(handle.cancel(one), "{at}");
            assert_eq!(one.wait().status, NtStatus::CANCELLED, "{at}");
        }
        let stats = ferry.stats();
        // And the control to pier.
        assert_eq!((stats.in_flight, stats.canceled + stats.completed), (0, 7));
        assert_eq!(ferry.info().faults, 0);
        for handle in handles {
            handle.close();
        }
        ferry.close();
        bed.end();
    }

    /// filter-rules 10: CLEANUP of a handle ends its requests in every place.
    #[test]
    fn closing_a_handle_ends_its_requests_in_every_place() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let ferry = program.open_ferry();
        let (handles, pending) = one_in_every_place(&program, &ferry);
        for (at, (handle, one)) in handles.into_iter().zip(&pending).enumerate() {
            handle.close();
            assert_eq!(one.wait().status, NtStatus::CANCELLED, "{at}");
        }
        assert_eq!(ferry.stats().in_flight, 0);
        ferry.close();
        bed.end();
    }

    /// The death of a process: cancel, cleanup and close in the I/O manager's order.
    #[test]
    fn killing_a_program_ends_its_requests_in_every_place() {
        let bed = Bed::ferry_over_pier();
        let (operator, victim) = (Program::new(), Program::new());
        let ferry = operator.open_ferry();
        let (handles, pending) = one_in_every_place(&victim, &ferry);
        victim.process.kill();
        for (at, one) in pending.iter().enumerate() {
            assert_eq!(one.wait().status, NtStatus::CANCELLED, "{at}");
        }
        assert_eq!((ferry.stats().in_flight, ferry.info().faults), (0, 0));
        drop(handles);
        ferry.close();
        bed.end();
    }

    /// The death of the controller instead: its rules and its limit end, and what they kept goes on (filter-rules 13).
    #[test]
    fn killing_the_controller_lets_everything_go_on() {
        let bed = Bed::ferry_over_pier();
        let (operator, program) = (Program::new(), Program::new());
        let ferry = operator.open_ferry();
        let (handles, pending) = one_in_every_place(&program, &ferry);
        drop(ferry);
        operator.process.kill();
        let other = Program::new().open_ferry();
        assert!(handles[4].cancel(&pending[4]));
        assert_eq!(pending[4].wait().status, NtStatus::CANCELLED);
        for (at, one) in pending.iter().enumerate().filter(|(at, _)| *at != 4) {
            let done = one.wait();
            assert_eq!((done.status, done.information), (NtStatus::SUCCESS, at as u64 + 1), "{at}");
        }
        assert_eq!((other.stats().in_flight, other.device().rules), (0, 0));
        for handle in handles {
            handle.close();
        }
        other.close();
        bed.end();
    }

    /// filter-rules 9: a client blocked for ever gets its request back before any handle is closed, wherever it is.
    #[test]
    fn surprise_removal_ends_requests_in_every_place() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let ferry = program.open_ferry();
        let (handles, pending) = one_in_every_place(&program, &ferry);
        bed.stack.node().surprise_remove().expect("surprise removal is accepted");
        for (at, one) in pending.iter().enumerate() {
            let status = one.wait().status;
            assert!(!status.is_success(), "{at}: {status}");
        }
        for handle in handles {
            handle.close();
        }
        ferry.close();
        bed.stack.node().wait_removed();
        bed.end_after_removal();
    }

    /// Power down and up, and a rebalance: ferry's queues are not power-managed, so nothing of what it keeps changes (filter-rules 7).
    #[test]
    fn what_ferry_keeps_survives_power_and_rebalance_in_every_place() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let ferry = program.open_ferry();
        let (handles, pending) = one_in_every_place(&program, &ferry);
        let node = bed.stack.node();
        node.system_power(SystemPower::Sleeping3).expect("sleeps");
        node.system_power(SystemPower::Working).expect("wakes");
        node.query_stop().expect("query-stop is accepted");
        node.stop().expect("stop is accepted");
        node.start().expect("the device starts again");
        // What becomes of the one below is pier's business; what ferry keeps stays where it is.
        assert!(pending[..4].iter().all(Pending::is_pending));
        ferry.close();
        handles[4].cancel(&pending[4]);
        for (at, one) in pending.iter().enumerate() {
            let status = one.wait().status;
            assert!(status == NtStatus::SUCCESS || at == 4, "{at}: {status}");
        }
        for handle in handles {
            handle.close();
        }
        bed.end();
    }

    /// filter-rules 12: paging, hibernation, crash-dump and boot paths are refused; leaving one is fine.
    #[test]
    fn a_device_with_ferry_takes_no_special_files() {
        let bed = Bed::ferry_over_pier();
        for kind in 1..=4 {
            let status = bed.stack.node().usage_notification(kind, true);
            assert!(!status.is_success(), "kind {kind}: {status}");
        }
        bed.end();
    }
}

/// filter-rules 14: the control device's name is free only when its last reference has gone; a filter that starts in that moment gets a
/// control device all the same.
mod control_device {
    use std::thread;

    use drydock::nt::pnp::{DevNode, DevNodeConfig};
    use drydock::stack;
    use rusty_fork::rusty_fork_test;
    use scenarios::{Program, image};

    rusty_fork_test! {
        #[test]
        fn a_filter_that_starts_while_the_last_control_handle_closes_can_be_controlled() {
            let drivers = ["pier.sys", "ferry.sys"].map(|name| stack::load(&image(name)).expect("loads"));
            let (function, filter) = (drivers[0].1.0, drivers[1].1.0);
            let start = |round: u32| {
                let instance = format!(r"ROOT\FERRYPIER\{round:04}");
                let node = DevNode::create(DevNodeConfig::new(&instance, function, &[filter])).expect("is added");
                node.start().expect("starts");
                node
            };
            let program = Program::new();
            for round in 0..150 {
                let first = start(round * 2);
                let ferry = program.open_ferry();
                first.remove().expect("is removed");
                let closing = thread::spawn(move || ferry.close());
                let second = start(round * 2 + 1);
                closing.join().expect("closes");
                let begun = std::time::Instant::now();
                let ferry = loop {
                    match program.process.open(r"\\.\Ferry", 0xC000_0000, 3) {
                        Ok(handle) => break handle,
                        Err(status) => assert!(begun.elapsed().as_secs() < 10, "round {round}: {status}"),
                    }
                    thread::yield_now();
                };
                ferry.close();
                second.remove().expect("is removed");
            }
            stack::unload(drivers.into()).expect("unload");
        }
    }
}
