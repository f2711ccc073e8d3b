//! `pier.sys` alone: a function driver whose queues sleep with the device.

use std::sync::Arc;

use drydock::explore::strategy::DepthFirst;
use drydock::explore::{self, Explored, Limits};
use drydock::nt::app::Op;
use drydock::nt::pnp::SystemPower;
use drydock::nt::status::NtStatus;
use drydock::sched::{self, Event, Lock};
use rusty_fork::rusty_fork_test;
use scenarios::{Bed, Program};

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

rusty_fork_test! {
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
