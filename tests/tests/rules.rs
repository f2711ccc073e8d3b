//! Rules: which requests they are about, what becomes of those, and what is left when a rule ends (filter-rules 3, 6, 13 and 15).

use std::time::{Duration, Instant};

use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use ferry_abi::control::{Action, CERTAIN, MAX_RULES, Order, Rule, matching, ops};
use ferry_abi::pier::{IOCTL_PIER_ECHO, IOCTL_PIER_ECHO_DIRECT, IOCTL_PIER_ECHO_NEITHER};
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program, Session};

const READ: Op = Op::Read { offset: 0, len: 16 };
/// `STATUS_CRC_ERROR`.
const CRC: u32 = 0xC000_003F;

fn fails(rule: Rule) -> Rule {
    Rule {
        action: Action::Fail.code(),
        status: CRC,
        ..rule
    }
}

/// Which of `count` reads a rule lets fail.
fn failures(device: &Session, count: usize) -> Vec<usize> {
    (0..count)
        .filter(|_| device.read(0, 16).status != NtStatus::SUCCESS)
        .collect()
}

rusty_fork_test! {
    /// filter-rules 15: an error or warning, Information 0, and the device never hears of it.
    #[test]
    fn a_request_that_a_rule_fails_gets_its_status_and_never_reaches_the_device() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        let before = device.pier_state().received;
        let rule = ferry.add(&fails(ferry.rule(ops::READ, Action::Pass)));
        let done = device.read(0, 16);
        assert_eq!((done.status.0 as u32, done.information), (CRC, 0));
        assert_eq!(device.write(0, &[1]).status, NtStatus::SUCCESS, "a write is none of its business");
        assert_eq!(device.pier_state().received, before + 2, "the write and this question");
        let entry = ferry.rules()[0];
        assert_eq!((entry.rule.id, entry.matched, entry.hits, entry.mine), (rule, 1, 1, 1));
        assert_eq!(ferry.stats().failed, 1);
        device.close();
        ferry.close();
        bed.end();
    }

    /// filter-rules 13: by default a rule does not see the requests of the controller's own process.
    #[test]
    fn a_rule_sees_other_processes_and_its_own_only_if_asked_to() {
        let bed = Bed::ferry_over_pier();
        let (program, other) = (Program::new(), Program::new());
        let (device, ferry) = (program.open_device(), program.open_ferry());
        let theirs = other.open_device();
        let mut rule = fails(ferry.rule(ops::READ, Action::Pass));
        rule.matching = 0;
        let id = ferry.add(&rule);
        assert_eq!(device.read(0, 16).status, NtStatus::SUCCESS);
        assert_eq!(theirs.read(0, 16).status.0 as u32, CRC);
        assert_eq!(ferry.remove(id), NtStatus::SUCCESS);
        // Another process than theirs.
        rule.process = 0xFFFF_FFF0;
        let _ = ferry.add(&rule);
        assert_eq!(theirs.read(0, 16).status, NtStatus::SUCCESS);
        theirs.close();
        device.close();
        ferry.close();
        bed.end();
    }

    /// Lengths, offsets and codes.
    #[test]
    fn a_rule_acts_only_where_its_conditions_hold() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        let reads = fails(ferry.rule(ops::READ, Action::Pass));
        let id = ferry.add(&Rule { length_min: 16, length_max: 32, ..reads });
        let failed = |len| device.read(0, len).status != NtStatus::SUCCESS;
        assert_eq!([15, 16, 32, 33].map(failed), [false, true, true, false]);
        assert_eq!(ferry.remove(id), NtStatus::SUCCESS);
        // A transfer that touches the range.
        let id = ferry.add(&Rule { offset_min: 100, offset_max: 199, ..reads });
        let failed = |at| device.read(at, 10).status != NtStatus::SUCCESS;
        assert_eq!([90, 91, 199, 200].map(failed), [false, true, true, false]);
        assert_eq!(ferry.remove(id), NtStatus::SUCCESS);
        let mut controls = fails(ferry.rule(ops::CONTROL, Action::Pass));
        controls.code = IOCTL_PIER_ECHO.0;
        let _ = ferry.add(&controls);
        assert_eq!(device.ioctl(IOCTL_PIER_ECHO, &[1], 1).status.0 as u32, CRC);
        assert_eq!(device.ioctl(IOCTL_PIER_ECHO_DIRECT, &[1], 1).status, NtStatus::SUCCESS);
        device.close();
        ferry.close();
        bed.end();
    }

    /// The same seed and the same sequence of requests give the same decisions.
    #[test]
    fn every_nth_and_probability_choose_the_same_requests_for_the_same_seed() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        let reads = fails(ferry.rule(ops::READ, Action::Pass));
        let run = |rule: Rule| {
            let id = ferry.add(&rule);
            let failed = failures(&device, 200);
            assert_eq!(ferry.remove(id), NtStatus::SUCCESS);
            failed
        };
        assert_eq!(run(Rule { every: 50, ..reads }), [49, 99, 149, 199]);
        assert_eq!(run(Rule { times: 3, ..reads }), [0, 1, 2]);
        assert!(run(Rule { probability: 0, ..reads }).is_empty());
        let quarter = Rule { probability: CERTAIN / 4, seed: 7, ..reads };
        let first = run(quarter);
        assert!((30..70).contains(&first.len()), "{} of 200", first.len());
        assert_eq!(run(quarter), first);
        assert_ne!(run(Rule { seed: 8, ..quarter }), first);
        device.close();
        ferry.close();
        bed.end();
    }

    /// The first rule that matches decides.
    #[test]
    fn sixty_four_rules_are_tried_in_the_order_they_were_added() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        let reads = fails(ferry.rule(ops::READ, Action::Pass));
        let exempt = Rule { length_min: 8, length_max: 8, ..ferry.rule(ops::READ, Action::Pass) };
        let first = ferry.add(&exempt);
        let ids: Vec<u32> = (1..u64::from(MAX_RULES))
            .map(|length| ferry.add(&Rule { length_min: length, length_max: length, ..reads }))
            .collect();
        assert_eq!(ferry.try_add(&reads), NtStatus::INSUFFICIENT_RESOURCES);
        assert_eq!(ferry.device().rules, MAX_RULES);
        for length in 1..MAX_RULES {
            let status = device.read(0, length).status;
            assert_eq!(status == NtStatus::SUCCESS, length == 8, "{length}: {status}");
        }
        assert_eq!(device.read(0, MAX_RULES).status, NtStatus::SUCCESS);
        let listed: Vec<_> = ferry.rules().iter().map(|entry| (entry.rule.id, entry.hits)).collect();
        assert_eq!(listed[0], (first, 1));
        assert_eq!(listed[63], (ids[62], 1));
        assert_eq!(ferry.remove(first), NtStatus::SUCCESS);
        assert_eq!(device.read(0, 8).status.0 as u32, CRC);
        assert_eq!(ferry.remove(first), NtStatus::NOT_FOUND);
        device.close();
        ferry.close();
        bed.end();
    }

    /// filter-rules 15: `shorten` asks the device for less, `truncate` reports less.
    #[test]
    fn shorten_asks_for_less_and_truncate_reports_less() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        let bytes = |rule: Rule| Rule { bytes: 4, ..rule };
        let shorten = ferry.add(&bytes(ferry.rule(ops::READ | ops::WRITE, Action::Shorten)));
        let wrote = device.write(0, &[7; 16]);
        assert_eq!((wrote.status, wrote.information), (NtStatus::SUCCESS, 4));
        let read = device.read(0, 16);
        assert_eq!((read.status, read.data), (NtStatus::SUCCESS, vec![7; 4]));
        assert_eq!(ferry.remove(shorten), NtStatus::SUCCESS);
        let expected = [[7; 4], [0; 4], [0; 4], [0; 4]].concat();
        assert_eq!(device.read(0, 16).data, expected, "the rest was not written");
        let _ = ferry.add(&bytes(ferry.rule(ops::READ, Action::Truncate)));
        let read = device.read(0, 16);
        assert_eq!((read.status, read.information), (NtStatus::SUCCESS, 4));
        assert_eq!(device.read(0, 3).information, 3, "never more than there is");
        device.close();
        ferry.close();
        bed.end();
    }

    /// Design 6: dropped is pended until it is canceled; nothing waits behind it. filter-rules 13: when its rule ends it goes on.
    #[test]
    fn a_dropped_request_waits_for_its_cancellation_or_for_the_end_of_its_rule() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        let rule = ferry.add(&ferry.rule(ops::READ, Action::Drop));
        let (lost, kept) = (device.start(READ), device.start(READ));
        assert_eq!(device.write(0, &[5; 16]).status, NtStatus::SUCCESS, "the handle goes on");
        assert_eq!((ferry.device().dropped, ferry.stats().dropped), (2, 2));
        assert!(device.cancel(&lost));
        assert_eq!(lost.wait().status, NtStatus::CANCELLED);
        assert!(kept.is_pending());
        assert_eq!(ferry.remove(rule), NtStatus::SUCCESS);
        assert_eq!(kept.wait().data, [5; 16]);
        assert_eq!(ferry.device().dropped, 0);
        device.close();
        ferry.close();
        bed.end();
    }

    /// filter-rules 6: `delay` has order keep (default) or free.
    #[test]
    fn what_comes_after_a_delayed_request_waits_behind_it_unless_the_order_is_free() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        let delay = Rule { milliseconds: 60_000, ..ferry.rule(ops::WRITE, Action::Delay) };
        let kept = ferry.add(&delay);
        let written = device.start(Op::Write { offset: 0, data: vec![3; 16] });
        let behind = device.start(READ);
        assert!(behind.is_pending());
        assert_eq!(ferry.device().delayed, 2);
        assert_eq!(ferry.remove(kept), NtStatus::SUCCESS);
        assert_eq!((written.wait().status, behind.wait().data), (NtStatus::SUCCESS, vec![3; 16]));
        let _ = ferry.add(&Rule { order: Order::Free.code(), ..delay });
        let written = device.start(Op::Write { offset: 0, data: vec![4; 16] });
        assert_eq!(device.read(0, 16).data, [3; 16], "the read does not wait");
        assert!(written.is_pending());
        ferry.close();
        assert_eq!(written.wait().status, NtStatus::SUCCESS);
        device.close();
        bed.end();
    }

    /// Combined delays do not drift: each request has the time of its own arrival.
    #[test]
    fn twenty_delayed_requests_of_a_handle_take_one_delay_together() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry) = (program.open_device(), program.open_ferry());
        let _ = ferry.add(&Rule { milliseconds: 100, ..ferry.rule(ops::READ, Action::Delay) });
        let begun = Instant::now();
        let reads: Vec<_> = (0..20).map(|_| device.start(READ)).collect();
        for read in reads {
            assert_eq!(read.wait().status, NtStatus::SUCCESS);
        }
        let took = begun.elapsed();
        assert!((Duration::from_millis(100)..Duration::from_millis(1000)).contains(&took), "{took:?}");
        device.close();
        ferry.close();
        bed.end();
    }

    /// filter-rules 13: rules die with the control handle that set them, and only with that one.
    #[test]
    fn rules_end_with_their_control_handle_and_nobody_removes_those_of_another() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let (device, ferry, other) = (program.open_device(), program.open_ferry(), program.open_ferry());
        let held = ferry.add(&ferry.rule(ops::WRITE, Action::Hold));
        let _ = other.add(&fails(other.rule(ops::READ, Action::Pass)));
        let write = device.start(Op::Write { offset: 0, data: vec![1] });
        assert_eq!(other.remove(held), NtStatus::ACCESS_DENIED);
        assert_eq!(ferry.rules().iter().map(|entry| entry.mine).collect::<Vec<_>>(), [1, 0]);
        ferry.close();
        assert_eq!(write.wait().status, NtStatus::SUCCESS);
        let elsewhere = program.open_device();
        assert_eq!(elsewhere.read(0, 1).status.0 as u32, CRC, "the other's rule stays");
        other.close();
        assert_eq!(elsewhere.read(0, 1).status, NtStatus::SUCCESS);
        elsewhere.close();
        device.close();
        bed.end();
    }

    /// filter-rules 3: never carried, so no rule can act on it.
    #[test]
    fn a_rule_for_a_neither_control_is_refused() {
        let bed = Bed::ferry_over_pier();
        let ferry = Program::new().open_ferry();
        let mut rule = ferry.rule(ops::CONTROL, Action::Hold);
        rule.code = IOCTL_PIER_ECHO_NEITHER.0;
        assert_eq!(ferry.try_add(&rule), NtStatus::NOT_SUPPORTED);
        assert_eq!(ferry.rules().len(), 0);
        ferry.close();
        bed.end();
    }

    /// A rule change never strands a request.
    #[test]
    fn rules_that_come_and_go_under_load_strand_nothing() {
        let bed = Bed::ferry_over_pier();
        let program = Program::new();
        let ferry = program.open_ferry();
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let device = program.open_device();
                std::thread::spawn(move || {
                    for at in 0..400 {
                        let done = if at % 2 == 0 { device.read(0, 64) } else { device.write(0, &[1; 64]) };
                        let status = done.status;
                        assert!(status == NtStatus::SUCCESS || status.0 as u32 == CRC, "{status}");
                    }
                    device.close();
                })
            })
            .collect();
        let both = ops::READ | ops::WRITE;
        for round in 0..60u32 {
            let rule = match round % 4 {
                0 => ferry.rule(both, Action::Hold),
                1 => Rule { milliseconds: 5, ..ferry.rule(both, Action::Delay) },
                2 => ferry.rule(both, Action::Drop),
                _ => fails(ferry.rule(both, Action::Pass)),
            };
            let id = ferry.add(&Rule { probability: CERTAIN / 2, seed: u64::from(round), ..rule });
            std::thread::yield_now();
            assert_eq!(ferry.remove(id), NtStatus::SUCCESS);
        }
        for worker in workers {
            worker.join().expect("every request came back");
        }
        let stats = ferry.stats();
        assert_eq!((stats.reads + stats.writes, stats.in_flight), (1200, 0));
        assert_eq!(stats.completed + stats.failed, 1200);
        assert_eq!(ferry.info().faults, 0);
        ferry.close();
        bed.end();
    }

    /// filter-rules 13: the kernel's own requests are seen only when asked for; here there is no file object either way.
    #[test]
    fn a_rule_with_impossible_scope_is_refused() {
        let bed = Bed::ferry_over_pier();
        let ferry = Program::new().open_ferry();
        let mut rule = ferry.rule(ops::READ, Action::Pass);
        rule.matching = matching::NOT_USER;
        assert_eq!(ferry.try_add(&rule), NtStatus::INVALID_PARAMETER);
        ferry.close();
        bed.end();
    }
}
