//! Orders of threads: the races that matter, on the real images, with every choice of who runs made by the explorer.
//!
//! What is between two calls of an image runs in one go here; its atomics are explored elsewhere.

use std::sync::Arc;

use drydock::explore::strategy::{DepthFirst, Pct, RandomWalk, Strategy};
use drydock::explore::{self, Explored, Limits, Plan, Race, Summary};
use drydock::nt::app::Op;
use drydock::nt::status::NtStatus;
use drydock::sched::{self, Event, Lock, world};
use ferry_abi::control::ops;
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program, image};

const LIMITS: Limits = Limits {
    schedules: 4_000,
    keep_going: false,
    check: false,
};
/// Timers due within a second can go off at any time.
const SLACK: i64 = 10_000_000;

fn explored(
    scenario: impl FnOnce() + Send + 'static,
    strategy: impl Strategy + 'static,
    limits: Limits,
) -> Summary {
    let scenario = Box::new(move || {
        scenario();
        Ok(())
    });
    let prepared = Explored::prepare(scenario);
    let result = prepared
        .and_then(|mut machine| machine.explore(Box::new(strategy), limits, &mut |_, _| {}));
    match result {
        Ok(summary) => summary,
        Err(reason) => panic!("{reason}"),
    }
}

fn found_nothing(summary: &Summary) {
    if let Some((finding, _)) = summary.findings.first() {
        panic!("schedule {}: {}", finding.schedule, finding.report);
    }
}

/// A read that ferry delays by a millisecond; a thread does `against` to it while the timer may go off and the pump may send it.
/// Then the read is over, once, and nothing is left of anything.
fn a_delayed_read_against(against: fn(&Program, &scenarios::Session)) {
    let bed = Bed::ferry_over_pier();
    let program = Arc::new(Program::new());
    let controller = Program::new();
    let (device, ferry) = (Arc::new(program.open_device()), controller.open_ferry());
    ferry.delay(ops::READ, 1);
    let ended = Arc::new((Lock::new(None), Event::new(true, false)));
    let there = Arc::clone(&ended);
    device
        .handle
        .start(Op::Read { offset: 0, len: 4 }, move |completion| {
            let before = there.0.lock().replace(completion.status);
            assert_eq!(before, None, "the read has ended twice");
            there.1.set();
        });

    explore::begin(SLACK);
    let (other_program, other_device) = (Arc::clone(&program), Arc::clone(&device));
    let other = sched::spawn("other", move || against(&other_program, &other_device));
    ended.1.wait();
    other.join();
    explore::end();

    let status = *ended.0.lock();
    if let Some(status) = status {
        assert!(
            status == NtStatus::SUCCESS || status == NtStatus::CANCELLED,
            "{status}"
        );
        world::outcome(&status.to_string());
    }
    let stats = ferry.stats();
    assert_eq!((stats.in_flight, ferry.info().faults), (0, 0));
    assert_eq!(stats.completed + stats.canceled, 1);
    program.process.kill();
    controller.process.kill();
    drop((device, ferry, program, controller));
    bed.end();
}

rusty_fork_test! {
    /// R-CAN-80. The cancellation and the timer's DPC or the pump, in every order with up to two interruptions.
    #[test]
    fn a_cancel_and_the_end_of_a_delay_end_a_read_exactly_once() {
        let limits = Limits { schedules: 60_000, ..LIMITS };
        let summary = explored(
            || a_delayed_read_against(|_, device| _ = device.handle.cancel_all()),
            DepthFirst::new(Some(2)),
            limits,
        );
        found_nothing(&summary);
        assert!(summary.schedules < limits.schedules, "the bound was not reached: {summary:?}");
        assert_eq!(summary.outcomes.len(), 2, "both must win: {:?}", summary.outcomes);
    }

    /// The same, with more interruptions, by chance.
    #[test]
    fn a_cancel_and_the_end_of_a_delay_survive_random_orders() {
        let summary = explored(
            || a_delayed_read_against(|_, device| _ = device.handle.cancel_all()),
            RandomWalk::new(1),
            LIMITS,
        );
        found_nothing(&summary);
        assert_eq!(summary.schedules, LIMITS.schedules);
    }

    /// CLEANUP against the pump (filter-rules 10).
    #[test]
    fn a_close_and_the_end_of_a_delay_end_a_read_exactly_once() {
        let summary = explored(
            || a_delayed_read_against(|_, device| device.handle.close()),
            Pct::new(3, 1),
            LIMITS,
        );
        found_nothing(&summary);
    }

    /// Process exit: cancel all, clean up, close.
    #[test]
    fn an_exit_and_the_end_of_a_delay_end_a_read_exactly_once() {
        let summary = explored(
            || a_delayed_read_against(|program, _| program.process.kill()),
            Pct::new(3, 1),
            LIMITS,
        );
        found_nothing(&summary);
    }

    /// A machine that is put back is the same machine: every schedule runs twice alike.
    #[test]
    fn schedules_are_deterministic() {
        let limits = Limits { schedules: 300, check: true, ..LIMITS };
        let summary = explored(
            || a_delayed_read_against(|_, device| _ = device.handle.cancel_all()),
            RandomWalk::new(5),
            limits,
        );
        found_nothing(&summary);
        assert_eq!(summary.schedules, 300);
    }
}

/// The driver in C that forgets to look whether its request was canceled.
fn racy() -> Plan {
    Plan {
        race: Race::Cancel,
        images: vec![image("c/racy.sys")],
        instance: r"ROOT\EXPLORED\0000".to_owned(),
        open: Some(r"\\.\TestRacy".to_owned()),
        before: Vec::new(),
        request: "read:16".to_owned(),
        against: vec!["ioctl:0x222000".to_owned()],
        slack_us: 0,
        unload: true,
        verifier: false,
        kmdf_minor: 33,
        preempt: Vec::new(),
    }
}

fn machine(plan: &Plan) -> Explored {
    let inside = plan.clone();
    match Explored::prepare(Box::new(move || inside.run())) {
        Ok(machine) => machine,
        Err(reason) => panic!("{reason}"),
    }
}

rusty_fork_test! {
    /// One interruption in the right place is enough, and there are few.
    #[test]
    fn a_forgotten_look_at_the_result_of_an_unmark_is_found_and_found_again() {
        let mut machine = machine(&racy());
        let strategy = Box::new(DepthFirst::new(Some(1)));
        let summary = match machine.explore(strategy, LIMITS, &mut |_, _| {}) {
            Ok(summary) => summary,
            Err(reason) => panic!("{reason}"),
        };
        let Some((finding, _)) = summary.findings.first() else {
            panic!("not found: {summary:?}");
        };
        assert!(summary.schedules < 100, "{}", summary.schedules);
        let found = finding.headline();
        assert!(["R-REQ-26", "R-CAN-31", "R-OBJ-05"].iter().any(|id| found.contains(id)), "{found}");

        let recording = match explore::Recording::new(
            &racy(),
            finding.choices.clone(),
            finding.digest,
            None,
            "depth first".to_owned(),
        ) {
            Ok(recording) => recording,
            Err(reason) => panic!("{reason}"),
        };
        let (report, events) = match machine.replay(&recording) {
            Ok(again) => again,
            Err(reason) => panic!("{reason}"),
        };
        assert_eq!(report.as_ref(), Some(&finding.report));
        let svg = explore::draw(&events, "racy", report.as_deref());
        assert!(svg.contains("canceler") && svg.contains(">request 1<"), "{svg}");
    }
}
