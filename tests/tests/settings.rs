//! What is set beside the rules: in-flight limit and backlog, policies, abort (issue points 2 and 4).

use std::time::{Duration, Instant};

use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use ferry_abi::Message;
use ferry_abi::control::{
    Action, IOCTL_FERRY_SETTINGS, IOCTL_FERRY_SPLIT, IOCTL_FERRY_TIMEOUT, Limit, Order, PolicyKind,
    Rule, Select, Settings, Split, Timeout, ops,
};
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Pending, Program, Session};
use zerocopy::IntoBytes;

const READ: Op = Op::Read { offset: 0, len: 16 };
const MINUTE: u32 = 60_000;

/// `count` reads on a handle each, over a lower driver that ends them only by cancel.
fn reads(program: &Program, count: usize) -> (Vec<Session>, Vec<Pending>) {
    let handles: Vec<_> = (0..count)
        .map(|_| program.open(r"\\.\TestUntilCanceled"))
        .collect();
    let pending = handles.iter().map(|handle| handle.start(READ)).collect();
    (handles, pending)
}

/// Ends what is still below: the lower driver gives nothing up at the closing of a handle.
fn end(bed: Bed, handles: Vec<Session>, pending: &[Pending], ferry: Session) {
    for (handle, pending) in handles.iter().zip(pending) {
        if handle.cancel(pending) {
            assert_eq!(pending.wait().status, NtStatus::CANCELLED);
        }
    }
    for handle in handles {
        handle.close();
    }
    ferry.close();
    bed.end();
}

rusty_fork_test! {
    /// Changing the limit takes effect at once in both directions; the backlog is first in, first out.
    #[test]
    fn a_limit_lets_so_many_down_and_the_rest_in_the_order_they_came() {
        let bed = Bed::of(&["c/wdm-until-canceled.sys", "ferry.sys"]);
        let program = Program::new();
        let ferry = program.open_ferry();
        ferry.limit(2);
        let (handles, pending) = reads(&program, 6);
        assert_eq!((ferry.device().below, ferry.device().backlog), (2, 4));
        // One comes back: the oldest of the backlog goes down, and nobody else.
        assert!(handles[0].cancel(&pending[0]));
        assert_eq!(pending[0].wait().status, NtStatus::CANCELLED);
        until(|| ferry.device().below == 2 && ferry.device().backlog == 3);
        // Two more at once.
        ferry.limit(4);
        until(|| ferry.device().below == 4 && ferry.device().backlog == 1);
        // Fewer: what is below stays there, what comes back makes no room.
        ferry.limit(1);
        for at in [1, 2] {
            assert!(handles[at].cancel(&pending[at]));
            assert_eq!(pending[at].wait().status, NtStatus::CANCELLED);
        }
        until(|| ferry.device().below == 2);
        assert_eq!(ferry.device().backlog, 1);
        assert_eq!(ferry.stats().backlogged, 4);
        // In the backlog, a cancel ends it there (EvtIoCanceledOnQueue).
        assert!(handles[5].cancel(&pending[5]));
        assert_eq!(pending[5].wait().status, NtStatus::CANCELLED);
        assert_eq!(ferry.stats().canceled, 1);
        end(bed, handles, &pending, ferry);
    }

    /// What was delayed out of order waits for room like everything else, although no handle's order says that it waits: the request that comes
    /// back from below makes it go.
    #[test]
    fn a_limit_lets_go_what_was_delayed_out_of_order() {
        let bed = Bed::of(&["c/wdm-until-canceled.sys", "ferry.sys"]);
        let program = Program::new();
        let ferry = program.open_ferry();
        ferry.limit(1);
        let (mut handles, mut pending) = reads(&program, 1);
        let _ = ferry.add(&Rule {
            milliseconds: 5,
            order: Order::Free.code(),
            ..ferry.rule(ops::WRITE, Action::Delay)
        });
        handles.push(program.open(r"\\.\TestUntilCanceled"));
        pending.push(handles[1].start(Op::Write { offset: 0, data: vec![1; 16] }));
        // It becomes due, and finds no room.
        let due = Instant::now() + Duration::from_millis(100);
        until(|| Instant::now() > due);
        assert_eq!((ferry.device().below, ferry.device().delayed), (1, 1));
        assert!(handles[0].cancel(&pending[0]));
        assert_eq!(pending[0].wait().status, NtStatus::CANCELLED);
        until(|| ferry.device().delayed == 0 && ferry.device().below == 1);
        end(bed, handles, &pending, ferry);
    }

    /// Room is shared out by turns: what is due after a delay, and what its handles send behind it, does not keep the backlog from going.
    #[test]
    fn a_limit_gives_the_backlog_its_turn_beside_what_was_delayed() {
        let bed = Bed::of(&["c/wdm-until-canceled.sys", "ferry.sys"]);
        let program = Program::new();
        let ferry = program.open_ferry();
        ferry.limit(1);
        let (mut handles, mut pending) = reads(&program, 1);
        let rule = ferry.add(&Rule {
            milliseconds: MINUTE,
            ..ferry.rule(ops::WRITE, Action::Delay)
        });
        let delayed = program.open(r"\\.\TestUntilCanceled");
        let writes: Vec<_> = (0..12)
            .map(|_| delayed.start(Op::Write { offset: 0, data: vec![1; 16] }))
            .collect();
        handles.push(program.open(r"\\.\TestUntilCanceled"));
        pending.push(handles[1].start(READ));
        assert_eq!(ferry.remove(rule), NtStatus::SUCCESS);
        assert_eq!((ferry.device().delayed, ferry.device().backlog), (12, 1));
        assert!(handles[0].cancel(&pending[0]));
        let mut before = 0;
        for (went, write) in writes.iter().enumerate() {
            // One more is below: the read out of the backlog, or the next write.
            until(|| {
                let device = ferry.device();
                device.below == 1 && (device.backlog == 0 || device.delayed == 11 - went as u32)
            });
            if ferry.device().backlog == 0 {
                break;
            }
            before += 1;
            assert!(delayed.cancel(write));
            assert_eq!(write.wait().status, NtStatus::CANCELLED);
        }
        assert!(before < 6, "{before} writes went before the read");
        for write in &writes[before..] {
            assert!(delayed.cancel(write));
        }
        delayed.close();
        end(bed, handles, &pending, ferry);
    }

    /// The backlog keeps the order of arrival: with one below at a time, writes end up in the order they were issued.
    #[test]
    fn a_limit_of_one_keeps_the_order_of_arrival() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        device.set_latency(1);
        ferry.limit(1);
        let writes: Vec<_> = (1..=20)
            .map(|byte| device.start(Op::Write { offset: 0, data: vec![byte; 16] }))
            .collect();
        let last = device.start(READ);
        for write in writes {
            assert_eq!(write.wait().status, NtStatus::SUCCESS);
        }
        assert_eq!(last.wait().data, [20; 16]);
        device.close();
        ferry.close();
        bed.end();
    }

    /// filter-rules 13: a limit belongs to the handle that set it; its cleanup lets go what waited for it.
    #[test]
    fn a_limit_ends_with_its_control_handle() {
        let bed = Bed::of(&["c/wdm-until-canceled.sys", "ferry.sys"]);
        let program = Program::new();
        let (ferry, other) = (program.open_ferry(), program.open_ferry());
        ferry.limit(1);
        let (handles, pending) = reads(&program, 4);
        assert_eq!((other.device().below, other.device().backlog), (1, 3));
        ferry.close();
        until(|| other.device().below == 4 && other.device().backlog == 0);
        end(bed, handles, &pending, other);
    }

    /// A held request that is released waits for the limit too, and its handle's order is kept.
    #[test]
    fn what_is_released_over_the_limit_waits_until_there_is_room() {
        let bed = Bed::of(&["c/wdm-until-canceled.sys", "ferry.sys"]);
        let program = Program::new();
        let ferry = program.open_ferry();
        ferry.hold(ops::READ, MINUTE);
        let (handles, pending) = reads(&program, 3);
        ferry.limit(1);
        assert_eq!(ferry.release(0), 3);
        until(|| ferry.device().below == 1);
        assert_eq!(ferry.device().held, 2);
        for at in 0..3 {
            assert!(handles[at].cancel(&pending[at]));
            assert_eq!(pending[at].wait().status, NtStatus::CANCELLED);
            until(|| ferry.device().held as usize == 2usize.saturating_sub(at + 1));
        }
        end(bed, handles, &pending, ferry);
    }

    /// filter-rules 3: under bypass everything is passed down in the caller's thread; under send-and-forget it is presented and not seen again.
    #[test]
    fn policies_change_how_requests_travel_and_not_what_becomes_of_them() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        // Rests while the policy is another one.
        let _ = ferry.add(&Rule { status: 0xC000_003F, ..ferry.rule(ops::READ, Action::Fail) });
        assert_eq!(device.write(0, &[1; 16]).status, NtStatus::SUCCESS);
        ferry.policy(PolicyKind::SendAndForget);
        assert_eq!(device.read(0, 16).data, [1; 16]);
        let stats = ferry.stats();
        assert_eq!((stats.reads, stats.forgotten, stats.completed, stats.in_flight), (1, 1, 1, 0));
        ferry.policy(PolicyKind::Bypass);
        assert_eq!(device.read(0, 16).data, [1; 16]);
        let stats = ferry.stats();
        assert_eq!((stats.reads, stats.skipped), (1, 1));
        ferry.policy(PolicyKind::Carried);
        assert_ne!(device.read(0, 16).status, NtStatus::SUCCESS, "the rule acts again");
        device.close();
        ferry.close();
        bed.end();
    }

    /// What waits since before the change of policy is not overtaken by what comes on its handle after it.
    #[test]
    fn a_change_of_policy_overtakes_nothing_that_waits() {
        for policy in [PolicyKind::SendAndForget, PolicyKind::Bypass] {
            let bed = Bed::ferry_over_pier();
            let program = Program::new();
            let (device, other, ferry) = (program.open_device(), program.open_device(), program.open_ferry());
            ferry.hold(ops::WRITE, MINUTE);
            let held = device.start(Op::Write { offset: 0, data: vec![9; 16] });
            ferry.policy(policy);
            let behind = device.start(READ);
            assert!(behind.is_pending(), "{policy:?}");
            assert_eq!(other.read(0, 16).data, [0; 16], "another handle does not wait");
            assert_eq!(ferry.release(0), 2);
            assert_eq!(held.wait().status, NtStatus::SUCCESS);
            assert_eq!(behind.wait().data, [9; 16]);
            device.close();
            other.close();
            ferry.close();
            bed.end();
        }
    }

    /// Design 6: the operator cancels what is in flight; what comes later is carried as before.
    #[test]
    fn an_abort_cancels_everything_below_and_nothing_that_comes_after_it() {
        let bed = Bed::of(&["c/wdm-until-canceled.sys", "ferry.sys"]);
        let program = Program::new();
        let ferry = program.open_ferry();
        let (handles, pending) = reads(&program, 5);
        assert_eq!(ferry.abort(), 5);
        for read in &pending {
            assert_eq!(read.wait().status, NtStatus::CANCELLED);
        }
        assert_eq!((ferry.stats().aborted, ferry.device().below), (5, 0));
        let (more, later) = reads(&program, 2);
        assert_eq!(ferry.device().below, 2);
        assert!(later.iter().all(Pending::is_pending));
        for handle in handles {
            handle.close();
        }
        end(bed, more, &later, ferry);
    }

    /// Fields of a setting are checked before anything changes.
    #[test]
    fn settings_are_told_as_they_were_set_and_refused_whole() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let ferry = program.open_ferry();
        let id = ferry.device().id;
        let read = || -> Settings { ferry.query(IOCTL_FERRY_SETTINGS, Select::new(id, 0).as_bytes()) };
        let nothing = read();
        let refused = |code, input: &[u8]| {
            assert_eq!(ferry.ioctl(code, input, 0).status, NtStatus::INVALID_PARAMETER);
            assert_eq!(read(), nothing);
        };
        refused(ferry_abi::control::IOCTL_FERRY_LIMIT, Limit::new(id, 1, 0, 1).as_bytes());
        refused(IOCTL_FERRY_TIMEOUT, Timeout::new(id, 600_001, 0, 0).as_bytes());
        refused(IOCTL_FERRY_SPLIT, Split::new(id, 1000, 0, 0, 0, 0, 512).as_bytes());
        ferry.limit(3);
        ferry.tell(IOCTL_FERRY_SPLIT, Split::new(id, 4096, 1, 4, 0, 0, 512).as_bytes());
        ferry.tell(IOCTL_FERRY_TIMEOUT, Timeout::new(id, 250, 0, 0).as_bytes());
        let set = read();
        assert_eq!((set.limit, set.max_transfer, set.split_mode, set.split_depth), (3, 4096, 1, 4));
        assert_eq!((set.timeout_ms, set.header), (250, Settings::expected()));
        ferry.close();
        let ferry = program.open_ferry();
        let read: Settings = ferry.query(IOCTL_FERRY_SETTINGS, Select::new(id, 0).as_bytes());
        assert_eq!((read.limit, read.max_transfer, read.timeout_ms), (0, 0, 0));
        ferry.close();
        bed.end();
    }
}

/// Waits for something the pump is about to do.
fn until(holds: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed().as_secs() < 20, "it never came");
        std::thread::yield_now();
    }
}
