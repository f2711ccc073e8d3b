//! `pier.sys` alone: a function driver whose queues sleep with the device.

use std::sync::Arc;

use drydock::explore::strategy::DepthFirst;
use drydock::explore::{self, Explored, Limits};
use drydock::nt::app::Op;
use drydock::nt::pnp::SystemPower;
use drydock::nt::status::NtStatus;
use drydock::sched::{self, Event, Lock};
use ferry_abi::pier::{
    Boost, DEFAULT_BOOST, Fault, IOCTL_PIER_ECHO_NEITHER, IOCTL_PIER_SET_BOOST,
    IOCTL_PIER_SET_FAULT, IOCTL_PIER_SET_MAX_TRANSFER, MaxTransfer, action, ops,
};
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program, Session};
use zerocopy::IntoBytes;

/// In units of 100 ns.
const SECOND: i64 = 10_000_000;

/// A read that pier takes ten seconds for arrives while the device falls asleep.
fn a_slow_read_against_sleep() {
    let bed = Bed::of(&["pier.sys"]);
    let program = Program::new();
    let device = Arc::new(program.open_device());
    device.set_latency(10_000);
    let ended = Arc::new((Lock::new(None), Event::new(true, false)));
    let (there, reader) = (Arc::clone(&ended), Arc::clone(&device));

    explore::begin(0);
    let arrival = sched::spawn("arrival", move || {
        reader
            .handle
            .start(Op::Read { offset: 0, len: 4 }, move |completion| {
                *there.0.lock() = Some(completion.status);
                there.1.set();
            });
    });
    let before = sched::now();
    let slept = bed.stack.node().system_power(SystemPower::Sleeping3);
    let took = sched::now() - before;
    explore::end();

    assert_eq!(slept, Ok(()));
    assert!(
        took < SECOND,
        "the power-down waited {took} units of 100 ns for a slow read"
    );
    arrival.join();
    assert_eq!(bed.stack.node().system_power(SystemPower::Working), Ok(()));
    ended.1.wait();
    assert_eq!(*ended.0.lock(), Some(NtStatus::SUCCESS));
    program.process.kill();
    drop((device, program));
    bed.end();
}

const READ: Op = Op::Read { offset: 0, len: 16 };
const MINUTE: u32 = 60_000;

fn write(data: &[u8]) -> Op {
    Op::Write {
        offset: 0,
        data: data.to_vec(),
    }
}

/// Makes the next `count` requests of `ops` stuck.
fn stick(device: &Session, ops: u32, count: u32) {
    let fault = Fault::new(ops, action::STUCK, 0, 0, 0, count);
    device.tell(IOCTL_PIER_SET_FAULT, fault.as_bytes());
}

rusty_fork_test! {
    /// R-QUE-42: reads have a parallel queue. R-QUE-41: writes have a sequential one, which delivers when the request before is no longer
    /// the driver's. R-QUE-27: configured dispatching brings each to its queue.
    #[test]
    fn reads_are_delivered_side_by_side_and_writes_one_after_the_other() {
        let bed = Bed::of(&["pier.sys"]);
        let program = Program::new();
        let device = program.open_device();
        stick(&device, ops::READ | ops::WRITE, 2);
        let (read, first) = (device.start(READ), device.start(write(&[1; 16])));
        let second = device.start(write(&[2; 16]));
        assert_eq!(device.read(0, 16).status, NtStatus::SUCCESS);
        let seen = device.pier_state().received;
        assert!(second.is_pending());
        assert!(device.cancel(&second), "R-CAN-10: canceled before it was delivered");
        assert_eq!(second.wait().status, NtStatus::CANCELLED);
        assert_eq!(device.pier_state().received, seen + 1, "only the control that asks was presented");
        for stuck in [read, first] {
            assert!(device.cancel(&stuck), "R-CAN-40: EvtRequestCancel");
            assert_eq!(stuck.wait().status, NtStatus::CANCELLED);
        }
        assert_eq!(device.write(0, &[3; 16]).status, NtStatus::SUCCESS);
        device.close();
        bed.end();
    }

    /// R-QUE-125, R-QUE-129, R-QUE-132: kept by EvtIoStop, told of by EvtIoResume, cancelable all the while.
    #[test]
    fn a_stuck_request_is_kept_over_a_sleep_and_can_be_canceled_before_during_and_after() {
        let bed = Bed::of(&["pier.sys"]);
        let program = Program::new();
        let device = program.open_device();
        stick(&device, ops::READ, 3);
        let stuck: Vec<_> = (0..3).map(|_| device.start(READ)).collect();
        let cancel = |number: usize| {
            assert!(device.cancel(&stuck[number]));
            assert_eq!(stuck[number].wait().status, NtStatus::CANCELLED);
        };
        cancel(0);
        let node = bed.stack.node();
        assert_eq!(node.system_power(SystemPower::Sleeping3), Ok(()));
        cancel(1);
        assert_eq!(node.system_power(SystemPower::Working), Ok(()));
        let state = device.pier_state();
        assert_eq!((state.kept, state.resumed), (2, 1));
        cancel(2);
        device.close();
        bed.end();
    }

    /// R-DEV-60: the queues deliver again before EvtDeviceSelfManagedIoRestart, which rings the alarm.
    #[test]
    fn a_request_that_became_due_in_the_sleep_is_answered_after_it() {
        let bed = Bed::of(&["pier.sys"]);
        let program = Program::new();
        let device = program.open_device();
        device.set_latency(1);
        let node = bed.stack.node();
        let slow: Vec<_> = (0..3).map(|_| device.start(READ)).collect();
        assert_eq!(node.system_power(SystemPower::Sleeping3), Ok(()));
        let arrived_asleep = device.start(READ);
        assert!(arrived_asleep.is_pending(), "R-QUE-120: nothing is delivered outside D0");
        assert_eq!(node.system_power(SystemPower::Working), Ok(()));
        for one in slow.iter().chain([&arrived_asleep]) {
            assert_eq!(one.wait().status, NtStatus::SUCCESS);
        }
        assert_eq!(device.pier_state().from_dpc, 4);
        device.close();
        bed.end();
    }

    /// R-CAN-60: the framework ends what waits in queues; what is stuck is pier's to take back and end.
    #[test]
    fn closing_a_handle_ends_its_slow_and_stuck_requests_and_no_others() {
        let bed = Bed::of(&["pier.sys"]);
        let program = Program::new();
        let (closing, staying) = (program.open_device(), program.open_device());
        stick(&staying, ops::READ, 2);
        let (mine, other) = (closing.start(READ), staying.start(READ));
        staying.set_latency(MINUTE);
        let slow = closing.start(READ);
        closing.close();
        for one in [mine, slow] {
            assert_eq!(one.wait().status, NtStatus::CANCELLED);
        }
        assert!(other.is_pending());
        assert!(staying.cancel(&other));
        assert_eq!(other.wait().status, NtStatus::CANCELLED);
        staying.close();
        bed.end();
    }

    /// A METHOD_NEITHER control: locked in its caller's context and enqueued from there (R-REQ-94), then slow, then canceled.
    #[test]
    fn a_control_enqueued_from_its_callers_context_is_canceled_while_it_waits() {
        let bed = Bed::of(&["pier.sys"]);
        let program = Program::new();
        let device = program.open_device();
        device.set_latency(MINUTE);
        let op = Op::Ioctl { code: IOCTL_PIER_ECHO_NEITHER.0, input: vec![7; 32], output_len: 32 };
        let echo = device.start(op);
        assert!(echo.is_pending());
        assert!(device.cancel(&echo));
        assert_eq!(echo.wait().status, NtStatus::CANCELLED);
        device.close();
        bed.end();
    }

    /// Faults: status, Information, Information 0 with an error; a maximum transfer.
    #[test]
    fn pier_fails_cuts_short_and_refuses_as_it_is_told() {
        let bed = Bed::of(&["pier.sys"]);
        let program = Program::new();
        let device = program.open_device();
        let fail = Fault::new(ops::READ, action::FAIL, NtStatus::IO_DEVICE_ERROR.0.cast_unsigned(), 0, 1, 1);
        device.tell(IOCTL_PIER_SET_FAULT, fail.as_bytes());
        let ends: Vec<_> = (0..3).map(|_| device.read(0, 16)).map(|done| (done.status, done.information)).collect();
        assert_eq!(ends, [(NtStatus::SUCCESS, 16), (NtStatus::IO_DEVICE_ERROR, 0), (NtStatus::SUCCESS, 16)]);
        device.tell(IOCTL_PIER_SET_FAULT, Fault::new(ops::WRITE, action::SHORT, 0, 5, 0, 1).as_bytes());
        assert_eq!(device.write(0, &[9; 16]).information, 5);
        assert_eq!(device.read(0, 8).data, [9, 9, 9, 9, 9, 0, 0, 0]);
        device.tell(IOCTL_PIER_SET_MAX_TRANSFER, MaxTransfer::new(8, 0).as_bytes());
        assert_eq!(device.read(0, 9).status, NtStatus::INVALID_BUFFER_SIZE);
        assert_eq!(device.read(0, 8).status, NtStatus::SUCCESS);
        for bad in [
            Fault::new(8, action::FAIL, 0xC000_0001, 0, 0, 0),
            Fault::new(ops::READ, action::FAIL, 0x103, 0, 0, 0),
            Fault::new(ops::READ, action::FAIL, 0xC000_0016, 0, 0, 0),
            Fault::new(ops::CONTROL, action::SHORT, 0, 1, 0, 0),
            Fault::new(ops::READ, 9, 0, 0, 0, 0),
            Fault::new(0, action::STUCK, 0, 0, 0, 0),
        ] {
            let done = device.ioctl(IOCTL_PIER_SET_FAULT, bad.as_bytes(), 0);
            assert_eq!(done.status, NtStatus::INVALID_PARAMETER, "{bad:?}");
        }
        device.close();
        bed.end();
    }

    /// R-REQ-12: `WdfRequestCompleteWithPriorityBoost` gives the boost of the driver's choice to the thread that waits.
    #[test]
    fn a_completion_from_the_dpc_carries_the_boost_pier_is_told() {
        let bed = Bed::of(&["pier.sys"]);
        let program = Program::new();
        let device = program.open_device();
        assert_eq!(device.read(0, 16).boost, 0, "answered by its handler");
        device.set_latency(1);
        assert_eq!(i32::from(device.read(0, 16).boost), DEFAULT_BOOST.cast_signed());
        device.tell(IOCTL_PIER_SET_BOOST, Boost::new(6, 0).as_bytes());
        for op in [READ, write(&[1; 16])] {
            let done = device.start(op).wait();
            assert_eq!((done.status, done.boost, done.information), (NtStatus::SUCCESS, 6, 16));
        }
        device.close();
        bed.end();
    }

    /// R-QUE-122: the power thread waits for what the driver owns, so pier owns no slow request: a queue has it.
    #[test]
    fn no_power_down_waits_for_a_slow_request_wherever_it_meets_it() {
        let limits = Limits { schedules: 20_000, keep_going: false, check: false };
        let scenario = Box::new(|| {
            a_slow_read_against_sleep();
            Ok(())
        });
        let explored = Explored::prepare(scenario).and_then(|mut machine| {
            machine.explore(Box::new(DepthFirst::new(Some(2))), limits, &mut |_, _| {})
        });
        match explored {
            Ok(summary) => {
                if let Some((finding, _)) = summary.findings.first() {
                    panic!("schedule {}: {}", finding.schedule, finding.report);
                }
                assert!(summary.schedules < limits.schedules, "the bound was not reached: {summary:?}");
                assert!(summary.schedules > 20, "the two threads did not meet: {summary:?}");
            }
            Err(reason) => panic!("{reason}"),
        }
    }
}
