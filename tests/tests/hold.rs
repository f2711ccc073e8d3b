//! Held requests: kept in ferry's manual queue until somebody releases or cancels them.

use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use ferry_abi::control::ops;
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program};

const WRITE: Op = Op::Write {
    offset: 0,
    data: Vec::new(),
};

fn write(at: i64, byte: u8) -> Op {
    Op::Write {
        offset: at,
        data: vec![byte; 16],
    }
}

rusty_fork_test! {
    /// Held means: in nobody's handler and not below. Released means: sent, and completed by the lower driver.
    #[test]
    fn a_held_write_does_not_reach_pier_before_its_release() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, other, ferry) = (program.open_device(), program.open_device(), program.open_ferry());
        ferry.hold(ops::WRITE, 0);
        let held = device.start(write(0, 7));
        assert!(held.is_pending());
        assert_eq!((ferry.device().held, ferry.device().in_flight), (1, 1));
        // On another handle: on its own a read waits behind the write.
        assert_eq!(other.read(0, 16).data, [0; 16], "the write has not happened");
        assert_eq!(ferry.release(0), 1);
        let done = held.wait();
        assert_eq!((done.status, done.information), (NtStatus::SUCCESS, 16));
        assert_eq!(ferry.device().held, 0);
        ferry.close();
        assert_eq!(device.read(0, 16).data, [7; 16]);
        device.close();
        other.close();
        bed.end();
    }

    /// First in, first out (R-QUE-40, filter-rules 6).
    #[test]
    fn held_requests_are_released_in_the_order_they_came() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        ferry.hold(ops::WRITE, 0);
        let writes: Vec<_> = (1..=4).map(|byte| device.start(write(0, byte))).collect();
        for (at, pending) in writes.iter().enumerate() {
            assert_eq!(ferry.release(1), 1);
            assert_eq!(pending.wait().status, NtStatus::SUCCESS);
            assert_eq!(ferry.device().held as usize, writes.len() - at - 1);
        }
        ferry.close();
        assert_eq!(device.read(0, 16).data, [4; 16], "the last one written stays");
        device.close();
        bed.end();
    }

    /// The request was presented before it was put into the held queue, so EvtIoCanceledOnQueue gets it (R-CAN-11).
    #[test]
    fn cancel_of_a_held_request_completes_it_once_and_leaves_the_others() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        ferry.hold(ops::WRITE, 0);
        let first = device.start(write(0, 1));
        let second = device.start(write(0, 2));
        let third = device.start(write(0, 3));
        assert!(device.cancel(&second));
        let done = second.wait();
        assert_eq!((done.status, done.information), (NtStatus::CANCELLED, 0));
        assert_eq!(ferry.device().held, 2);
        assert_eq!(ferry.stats().canceled, 1);
        assert_eq!(ferry.release(0), 2);
        assert_eq!(first.wait().status, NtStatus::SUCCESS);
        assert_eq!(third.wait().status, NtStatus::SUCCESS);
        device.close();
        ferry.close();
        bed.end();
    }

    /// Handle cleanup flushes what waits in queues (R-CAN-60); CLOSE comes only after the last request (R-CAN-62).
    #[test]
    fn closing_the_handle_ends_its_held_requests_and_no_others() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (gone, stays, ferry) = (program.open_device(), program.open_device(), program.open_ferry());
        ferry.hold(ops::ALL, 0);
        let lost: Vec<_> = (0..5).map(|_| gone.start(WRITE)).collect();
        let kept = stays.start(WRITE);
        gone.close();
        for pending in &lost {
            assert_eq!(pending.wait().status, NtStatus::CANCELLED);
        }
        assert!(kept.is_pending());
        assert_eq!(ferry.release(0), 1);
        assert_eq!(kept.wait().status, NtStatus::SUCCESS);
        stays.close();
        ferry.close();
        bed.end();
    }

    /// A hold belongs to the control handle that set it (filter-rules 13).
    #[test]
    fn closing_the_control_handle_ends_its_hold_and_releases_what_it_kept() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        ferry.hold(ops::WRITE, 0);
        let held: Vec<_> = (0..10).map(|_| device.start(WRITE)).collect();
        ferry.close();
        for pending in &held {
            assert_eq!(pending.wait().status, NtStatus::SUCCESS);
        }
        assert_eq!(device.write(0, &[1]).status, NtStatus::SUCCESS, "nothing is held any more");
        device.close();
        bed.end();
    }

    /// Every hold has a maximum age (filter-rules 13).
    #[test]
    fn a_held_request_is_released_by_itself_at_its_maximum_age() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        ferry.hold(ops::WRITE, 20);
        let held = device.start(write(0, 9));
        assert_eq!(held.wait().status, NtStatus::SUCCESS);
        device.close();
        ferry.close();
        bed.end();
    }

    /// Per-handle order of issue is kept (filter-rules 5 and 6): what comes later on the same handle queues behind.
    #[test]
    fn a_read_issued_after_a_held_write_of_the_same_handle_sees_that_write() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, other, ferry) = (program.open_device(), program.open_device(), program.open_ferry());
        ferry.hold(ops::WRITE, 0);
        let held = device.start(write(0, 5));
        let behind = device.start(Op::Read { offset: 0, len: 16 });
        assert!(behind.is_pending(), "it waits behind the write of its handle");
        assert_eq!(other.read(0, 16).data, [0; 16], "other handles do not wait");
        assert_eq!(ferry.release(0), 2);
        assert_eq!(held.wait().status, NtStatus::SUCCESS);
        assert_eq!(behind.wait().data, [5; 16]);
        device.close();
        other.close();
        ferry.close();
        bed.end();
    }
}
