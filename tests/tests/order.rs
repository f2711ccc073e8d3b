//! Order of the requests of a handle, wherever they wait (filter-rules 6).

use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use ferry_abi::control::{Action, Rule, ops};
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program};

const READ: Op = Op::Read { offset: 0, len: 16 };

fn write(byte: u8) -> Op {
    Op::Write {
        offset: 0,
        data: vec![byte; 16],
    }
}

rusty_fork_test! {
    /// What waits only behind a held request goes when that one is gone, however it went, and whatever else is held before it.
    #[test]
    fn a_read_behind_a_held_write_goes_as_soon_as_the_write_is_canceled() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (first, device, ferry) = (program.open_device(), program.open_device(), program.open_ferry());
        ferry.hold(ops::WRITE, 0);
        let head = first.start(write(1));
        let held = device.start(write(2));
        let behind = device.start(READ);
        assert!(behind.is_pending());
        assert!(device.cancel(&held));
        assert_eq!(held.wait().status, NtStatus::CANCELLED);
        assert_eq!(behind.wait().data, [0; 16], "nothing of its handle is before it");
        assert!(head.is_pending(), "the head of the queue is still held");
        assert_eq!(ferry.release(0), 1);
        assert_eq!(head.wait().status, NtStatus::SUCCESS);
        first.close();
        device.close();
        ferry.close();
        bed.end();
    }

    /// A release by hand does not overtake what of the same handle is older and delayed.
    #[test]
    fn a_held_write_that_is_released_waits_for_the_delayed_write_before_it() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        let delay = ferry.add(&Rule { milliseconds: 60_000, ..ferry.rule(ops::WRITE, Action::Delay) });
        let older = device.start(write(1));
        ferry.hold(ops::READ, 0);
        // A read that is held: released at once, it must still see the write.
        let held = device.start(READ);
        assert_eq!((ferry.device().delayed, ferry.device().held), (1, 1));
        assert_eq!(ferry.release(0), 1);
        assert_eq!(ferry.device().held, 1, "it waits for the write");
        assert!(held.is_pending());
        assert_eq!(ferry.remove(delay), NtStatus::SUCCESS);
        assert_eq!(older.wait().status, NtStatus::SUCCESS);
        assert_eq!(held.wait().data, [1; 16]);
        device.close();
        ferry.close();
        bed.end();
    }

    /// More handles than the table has entries of their own: all of them keep their order.
    #[test]
    fn three_hundred_handles_keep_their_order_at_the_same_time() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let ferry = program.open_ferry();
        ferry.hold(ops::WRITE, 0);
        let handles: Vec<_> = (0..300).map(|_| program.open_device()).collect();
        let pairs: Vec<_> = handles
            .iter()
            .enumerate()
            .map(|(at, handle)| {
                let offset = i64::try_from(at).expect("small") * 16;
                let data = vec![(at % 250) as u8 + 1; 16];
                (handle.start(Op::Write { offset, data }), handle.start(Op::Read { offset, len: 16 }))
            })
            .collect();
        assert!(pairs.iter().all(|(write, read)| write.is_pending() && read.is_pending()));
        // Every third write is canceled while it waits.
        for (at, (write, _)) in pairs.iter().enumerate().filter(|(at, _)| at % 3 == 0) {
            assert!(handles[at].cancel(write));
        }
        let _ = ferry.release(0);
        for (at, (write, read)) in pairs.iter().enumerate() {
            let (wrote, read) = (write.wait(), read.wait());
            if at % 3 == 0 {
                assert_eq!(wrote.status, NtStatus::CANCELLED, "{at}");
            } else {
                assert_eq!((wrote.status, read.data[0]), (NtStatus::SUCCESS, (at % 250) as u8 + 1), "{at}");
            }
        }
        assert_eq!(ferry.device().in_flight, 0);
        for handle in handles {
            handle.close();
        }
        ferry.close();
        bed.end();
    }
}
