//! The explorer without any driver: threads made of closures.

use super::strategy::{DepthFirst, Pct, RandomWalk, Replay, Strategy};
use super::{Explored, Limits, Summary, begin, end, expect};
use crate::sched::{self, Event, Lock, world};
use crate::verify;
use rusty_fork::rusty_fork_test;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

const ALL: Limits = Limits {
    schedules: 100_000,
    keep_going: true,
    check: false,
};

fn machine(race: impl FnOnce() + Send + 'static) -> Explored {
    let prepared = Explored::prepare(Box::new(move || {
        race();
        Ok(())
    }));
    match prepared {
        Ok(machine) => machine,
        Err(reason) => panic!("{reason}"),
    }
}

fn explore(machine: &mut Explored, strategy: impl Strategy + 'static, limits: Limits) -> Summary {
    match machine.explore(Box::new(strategy), limits, &mut |_, _| {}) {
        Ok(summary) => summary,
        Err(reason) => panic!("{reason}"),
    }
}

/// Two threads add one each, with a point between reading and writing.
fn lost_update() {
    let value = Arc::new(AtomicU32::new(0));
    begin(0);
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let value = Arc::clone(&value);
            sched::spawn("adder", move || {
                let read = value.load(Ordering::Relaxed);
                sched::point();
                value.store(read + 1, Ordering::Relaxed);
            })
        })
        .collect();
    for thread in threads {
        thread.join();
    }
    end();
    let value = value.load(Ordering::Relaxed);
    world::outcome(&value.to_string());
    expect(value == 2, || {
        format!("one of two additions is lost: {value}")
    });
}

static MARK: AtomicU32 = AtomicU32::new(0);

rusty_fork_test! {
    /// Of the six orders of two times two steps, two are right.
    #[test]
    fn depth_first_finds_a_lost_update_and_every_other_end() {
        let mut machine = machine(lost_update);
        let summary = explore(&mut machine, DepthFirst::new(None), ALL);
        assert!(summary.complete);
        assert_eq!(summary.findings.len(), 1);
        assert!(summary.findings[0].0.report.contains("one of two additions is lost: 1"));
        assert_eq!(summary.outcomes.keys().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(summary.outcomes.values().sum::<u64>(), summary.schedules);
    }

    #[test]
    fn a_finding_is_the_same_when_its_choices_are_made_again() {
        let mut machine = machine(lost_update);
        let once = Limits { keep_going: false, ..ALL };
        let summary = explore(&mut machine, RandomWalk::new(3), once);
        let finding = &summary.findings[0].0;
        for _ in 0..100 {
            let (again, _) = machine.run(Box::new(Replay::of(&finding.choices)), false);
            assert_eq!(again.report.as_ref(), Some(&finding.report));
            assert_eq!(again.digest, finding.digest);
        }
        let (other, _) = machine.run(Box::new(Replay::of(&[])), false);
        assert_ne!(other.digest, finding.digest);
    }

    #[test]
    fn pct_finds_a_lost_update() {
        let mut machine = machine(lost_update);
        let limits = Limits { schedules: 200, keep_going: false, ..ALL };
        assert_eq!(explore(&mut machine, Pct::new(2, 1), limits).findings.len(), 1);
    }

    /// Statics, the heap, stacks, and locks that a schedule ended under.
    #[test]
    fn every_schedule_finds_the_machine_as_it_was_captured() {
        let mut machine = machine(|| {
            MARK.store(7, Ordering::Relaxed);
            let list = Arc::new(Lock::new(vec![1, 2, 3]));
            let local = std::hint::black_box([5_u64; 100]);
            begin(0);
            let (before, length) = (MARK.fetch_add(1, Ordering::Relaxed), list.lock().len());
            assert_eq!((before, length, local.iter().sum::<u64>()), (7, 3, 500));
            std::hint::black_box(vec![0_u8; 100_000]);
            let mut held = list.lock();
            held.push(4);
            world::stop("stopped under a lock".to_owned());
        });
        let limits = Limits { schedules: 1000, ..ALL };
        let summary = explore(&mut machine, RandomWalk::new(1), limits);
        assert_eq!(summary.findings.len(), 1, "{:?}", summary.findings);
        assert_eq!(summary.findings[0].1, 1000);
        assert_eq!(summary.findings[0].0.report, "stopped under a lock");
    }

    /// The watchdog needs no patience: nobody can go on, so nobody ever will.
    #[test]
    fn a_deadlock_is_reported_at_once_with_who_waits() {
        let mut machine = machine(|| {
            let events = Arc::new([Event::new(false, true), Event::new(false, true)]);
            begin(0);
            let threads: Vec<_> = [(0, 1, "one way"), (1, 0, "the other way")]
                .into_iter()
                .map(|(first, second, name)| {
                    let events = Arc::clone(&events);
                    sched::spawn(name, move || {
                        events[first].wait();
                        sched::point();
                        events[second].wait();
                        events[second].set();
                        events[first].set();
                    })
                })
                .collect();
            for thread in threads {
                thread.join();
            }
        });
        let summary = explore(&mut machine, DepthFirst::new(None), ALL);
        assert!(summary.complete && summary.findings.len() == 1, "{summary:?}");
        let (finding, count) = &summary.findings[0];
        assert!(*count < summary.schedules, "some orders end well");
        assert!(finding.headline().starts_with("VIOLATION NT-PROGRESS-01"), "{}", finding.report);
        assert!(finding.report.contains("one way waits"), "{}", finding.report);
        assert!(finding.report.contains("the other way waits"), "{}", finding.report);
    }

    #[test]
    fn an_hour_of_virtual_time_takes_no_time() {
        const HOUR: i64 = 3600 * 10_000_000;
        let begun = Instant::now();
        let mut machine = machine(|| {
            begin(0);
            let start = sched::now();
            assert!(!Event::new(false, false).wait_timeout(HOUR));
            assert!(sched::now() - start >= HOUR);
        });
        let limits = Limits { schedules: 10, ..ALL };
        assert!(explore(&mut machine, RandomWalk::new(1), limits).findings.is_empty());
        assert!(begun.elapsed().as_secs() < 60);
    }

    /// Within the slack a timer goes off before, between and after what threads do; beyond it, only when they wait.
    #[test]
    fn a_timer_within_the_slack_can_go_off_at_any_point() {
        let ends = |slack| {
            move || {
                let steps = Arc::new(AtomicU32::new(0));
                let seen = Arc::new(AtomicU32::new(99));
                begin(slack);
                let (there, count) = (Arc::clone(&seen), Arc::clone(&steps));
                sched::at(sched::now() + 1_000, move || {
                    there.store(count.load(Ordering::Relaxed), Ordering::Relaxed);
                });
                for _ in 0..3 {
                    sched::point();
                    steps.fetch_add(1, Ordering::Relaxed);
                }
                assert!(!Event::new(false, false).wait_timeout(10_000));
                end();
                world::outcome(&seen.load(Ordering::Relaxed).to_string());
            }
        };
        let mut machine = machine(ends(10_000));
        let summary = explore(&mut machine, DepthFirst::new(None), ALL);
        assert!(summary.complete && summary.findings.is_empty(), "{summary:?}");
        assert_eq!(summary.outcomes.keys().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
    }

    #[test]
    fn what_goes_wrong_before_the_race_is_said() {
        let failed = Explored::prepare(Box::new(|| verify::violation("R-REQ-26", "too early")));
        let text = failed.err().unwrap_or_default();
        assert!(text.starts_with("VIOLATION R-REQ-26: too early"), "{text}");
    }

    /// A scenario that asks something beside the machine is no scenario.
    #[test]
    fn a_scenario_that_is_not_deterministic_is_refused() {
        let outside: &'static AtomicU32 = Box::leak(Box::new(AtomicU32::new(0)));
        let mut machine = machine(move || {
            begin(0);
            let count = outside.fetch_add(1, Ordering::Relaxed);
            world::outcome(&count.to_string());
        });
        let limits = Limits { check: true, ..ALL };
        let refused = machine.explore(Box::new(RandomWalk::new(1)), limits, &mut |_, _| {});
        let text = refused.err().unwrap_or_default();
        assert!(text.contains("schedule 0 is not deterministic"), "{text}");
    }
}
