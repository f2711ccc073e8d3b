//! Exploring: one scenario, many schedules.
//!
//! A [`Scenario`] brings images up, prepares a race, and runs it with threads. Everything up to the race happens once; from
//! there on, each schedule makes other choices of who runs next ([`strategy`]), and the machine is rewound in between
//! ([`crate::sched::world`]). A schedule that ends in a violation, a bug check, a fault, a deadlock or a failed expectation
//! is a [`Finding`]; its choices are a [`Recording`], which [`replay`] makes again.
//!
//! What this cannot see: threads change at calls of an image into the framework or the kernel, and at waits. Between two
//! calls, image code runs to its end: a race between plain or atomic accesses to memory there is not explored, unless it lies in
//! functions that are preempted ([`crate::loader::preempt()`]). Memory is sequentially consistent.

mod observer;
pub mod operation;
mod ranges;
mod recording;
mod scenario;
pub mod strategy;
#[cfg(test)]
mod tests;
mod timeline;

pub use observer::{Event, EventKind};
pub use recording::Recording;
pub use scenario::{Plan, Race, SCENARIOS};
pub use timeline::draw;

use crate::nt::memory::Saved;
use crate::sched::world::{self, Explorer, Pause};
use crate::sched::{self, Mode, ThreadId};
use crate::verify::{self, DebugOutput, Exit};
use crate::{loader, nt};
use observer::Observer;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use strategy::{Replay, Strategy};

/// Driver stacks a world has from the beginning; more are made as needed.
const DRIVER_STACKS: usize = 24;

/// Something explored: called once per machine, it prepares, calls [`begin`], and does what is to be tried in every order. It
/// is deterministic but for the choices: it asks no clock but the machine's, and no random numbers.
pub type Scenario = Box<dyn FnOnce() -> Result<(), String> + Send>;

/// From here on, the order in which threads run is explored. A timer that is due within `slack` (100 ns units) can go off
/// at any time.
pub fn begin(slack: i64) {
    world::explore(slack);
}

/// The race is over: what follows has one order again.
pub fn end() {
    world::stop_exploring();
}

/// Ends the schedule with a finding if `holds` is false.
pub fn expect(holds: bool, text: impl FnOnce() -> String) {
    if !holds {
        world::stop(format!("EXPECTATION: {}", text()));
    }
}

/// A schedule that ended badly.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which one it was, from 0.
    pub schedule: u64,
    /// What was found, as a report.
    pub report: String,
    /// At each choice, which of the ways was taken.
    pub choices: Vec<u16>,
    /// A digest of everything the scheduler saw.
    pub digest: u64,
}

impl Finding {
    /// The first line of the report.
    pub fn headline(&self) -> &str {
        self.report.lines().next().unwrap_or("")
    }
}

/// What came of exploring.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Schedules that were run.
    pub schedules: u64,
    /// No other schedule is possible with these threads.
    pub complete: bool,
    /// The strategy has no other: all there are, or all within its bound.
    pub exhausted: bool,
    /// The schedules that ended badly, the first of each headline, and how often it came.
    pub findings: Vec<(Finding, u64)>,
    /// What the scenario said of the ends of schedules, and how often.
    pub outcomes: BTreeMap<String, u64>,
    /// The most choices of a schedule.
    pub most_choices: usize,
    /// How long the preparation took, and the schedules.
    pub prepared_in: Duration,
    /// How long the schedules took, rewinding included.
    pub explored_in: Duration,
    /// Bytes of the machine that were captured, and pages of them that schedules change.
    pub captured: (usize, usize),
}

/// How long to explore.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Schedules, at most.
    pub schedules: u64,
    /// Goes on after a finding.
    pub keep_going: bool,
    /// Runs every schedule twice, to see whether it is one.
    pub check: bool,
}

/// A machine that stands where its race begins.
pub struct Explored {
    explorer: Explorer,
    user_memory: Saved,
    prepared_in: Duration,
    fresh: bool,
}

/// How one schedule ended.
struct Outcome {
    report: Option<String>,
    choices: Vec<u16>,
    digest: u64,
    events: Vec<Event>,
    /// What the scenario said of its end.
    ended: Option<String>,
}

impl Explored {
    /// Makes the machine of this process and lets `scenario` prepare its race. Nothing of drydock was used before but its
    /// settings.
    ///
    /// # Errors
    /// What the scenario says, or a report of what went wrong before the race began.
    pub fn prepare(scenario: Scenario) -> Result<Self, String> {
        let begun = Instant::now();
        sched::set_mode(Mode::Explore);
        // What a program prints to is made outside.
        print!("");
        let mut explorer = Explorer::new(move || {
            loader::catch_faults();
            loader::share_os_thread(DRIVER_STACKS);
            verify::set_debug_output(DebugOutput::Discard);
            verify::on_end(|report| {
                if world::inside() {
                    world::stop(report.to_string());
                }
                eprint!("{report}");
                Exit::Violation as i32
            });
            world::set_wait_describer(waits_for);
            if let Err(text) = scenario() {
                world::stop(text);
            }
        });
        match explorer.run(&mut Observer::new(Box::new(Replay::of(&[])), false)) {
            Pause::Ready => {}
            Pause::Finished => {
                return Err("the scenario ended before its race began".to_owned());
            }
            Pause::Stopped(text) => return Err(text),
        }
        let user_memory = nt::memory::save();
        let (written, fixed) = ranges::of_the_machine()?;
        explorer.capture(&written, fixed);
        Ok(Self {
            explorer,
            user_memory,
            prepared_in: begun.elapsed(),
            fresh: true,
        })
    }

    fn run(&mut self, strategy: Box<dyn Strategy>, record: bool) -> (Outcome, Box<dyn Strategy>) {
        if !self.fresh {
            let extent = nt::memory::extent();
            self.explorer.rewind();
            nt::memory::restore(&self.user_memory, extent);
            loader::forget_fault();
        }
        self.fresh = false;
        let mut observer = Observer::new(strategy, record);
        let report = loop {
            match self.explorer.run(&mut observer) {
                Pause::Ready => {}
                Pause::Finished => break None,
                Pause::Stopped(text) => break Some(text),
            }
        };
        let Observer {
            strategy,
            choices,
            digest,
            events,
            outcome: ended,
            ..
        } = observer;
        let outcome = Outcome {
            report,
            choices,
            digest,
            events,
            ended,
        };
        (outcome, strategy)
    }

    /// Runs schedules until the strategy has no more, or a limit is reached. `progress` is told the number of schedules now
    /// and then.
    ///
    /// # Errors
    /// A schedule that ran differently when it was run again: the scenario or drydock is not deterministic.
    pub fn explore(
        &mut self,
        mut strategy: Box<dyn Strategy>,
        limits: Limits,
        progress: &mut dyn FnMut(u64, usize),
    ) -> Result<Summary, String> {
        let begun = Instant::now();
        let mut summary = Summary {
            prepared_in: self.prepared_in,
            ..Summary::default()
        };
        loop {
            if summary.schedules >= limits.schedules {
                break;
            }
            if !strategy.begin() {
                summary.exhausted = true;
                summary.complete = strategy.is_exhaustive();
                break;
            }
            let (outcome, back) = self.run(strategy, false);
            strategy = back;
            strategy.ended();
            let schedule = summary.schedules;
            summary.schedules += 1;
            summary.most_choices = summary.most_choices.max(outcome.choices.len());
            if let Some(text) = &outcome.ended {
                *summary.outcomes.entry(text.clone()).or_default() += 1;
            }
            if limits.check || outcome.report.is_some() {
                self.run_again(schedule, &outcome)?;
            }
            if let Some(report) = outcome.report {
                note(
                    &mut summary.findings,
                    Finding {
                        schedule,
                        report,
                        choices: outcome.choices,
                        digest: outcome.digest,
                    },
                );
                if !limits.keep_going {
                    break;
                }
            }
            if summary.schedules.is_multiple_of(1024) {
                progress(summary.schedules, summary.findings.len());
            }
        }
        summary.explored_in = begun.elapsed();
        summary.captured = self.explorer.size();
        Ok(summary)
    }

    fn run_again(&mut self, schedule: u64, first: &Outcome) -> Result<(), String> {
        let (again, _) = self.run(Box::new(Replay::of(&first.choices)), false);
        if again.digest == first.digest && again.report == first.report {
            return Ok(());
        }
        let describe = |report: &Option<String>| {
            report.as_deref().map_or_else(
                || "ended well".to_owned(),
                |text| format!("ended with {}", text.lines().next().unwrap_or("")),
            )
        };
        Err(format!(
            "schedule {schedule} is not deterministic: it {} with digest {:016x}, and {} with digest {:016x} when it was \
             run again with the same choices. A scenario asks no clock but the machine's and uses no random numbers; if \
             it does not, this is an error in drydock",
            describe(&first.report),
            first.digest,
            describe(&again.report),
            again.digest
        ))
    }

    /// Makes the choices of a recording again; gives the report, if there is one, and what was observed.
    ///
    /// # Errors
    /// The schedule runs differently.
    pub fn replay(
        &mut self,
        recording: &Recording,
    ) -> Result<(Option<String>, Vec<Event>), String> {
        let (outcome, _) = self.run(Box::new(Replay::of(&recording.choices)), true);
        if outcome.digest == recording.digest {
            return Ok((outcome.report, outcome.events));
        }
        Err(format!(
            "the schedule went another way: its digest is {:016x}, recorded was {:016x}. It was recorded with other images \
             or with another drydock{}",
            outcome.digest,
            recording.digest,
            outcome.report.map_or_else(String::new, |report| format!(
                "; this time it ended with\n{report}"
            ))
        ))
    }
}

fn note(findings: &mut Vec<(Finding, u64)>, finding: Finding) {
    let known = findings
        .iter_mut()
        .find(|(known, _)| known.headline() == finding.headline());
    match known {
        Some((_, count)) => *count += 1,
        None => findings.push((finding, 1)),
    }
}

/// What a waiting thread does, for the report of a deadlock.
fn waits_for(thread: ThreadId) -> String {
    let calls = nt::thread::by_id(thread).map_or_else(Vec::new, nt::thread::Thread::calls);
    if calls.is_empty() {
        "outside any call of a driver".to_owned()
    } else {
        format!("in {}", calls.join(" < "))
    }
}
