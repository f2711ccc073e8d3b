//! Carries the plan out: each step once, in order, over restarts, until the first failure.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    command::{self, Started},
    journal::{Entry, Journal, Outcome, UnderWay},
    operator::{Answer, Operator},
    plan::{Parked, Plan, Probe, Restart, Step},
};

/// Where the trial stands when the program ends.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Every step is done.
    Finished,
    /// The machine is going down; call the program again when it is up.
    Restarting,
    /// A step failed.
    Failed,
}

/// How long a probe or a witness may take.
const QUESTION: Duration = Duration::from_secs(60);
/// How often it is asked whether the parked request has arrived, and with what pause.
const ARRIVAL_TRIES: u32 = 100;
const ARRIVAL_PAUSE: Duration = Duration::from_millis(100);

/// A plan being carried out.
#[derive(Debug)]
pub struct Trial<'a> {
    /// What to do.
    pub plan: &'a Plan,
    /// What was done.
    pub journal: &'a mut Journal,
    /// Folder of journal, logs and report.
    pub folder: &'a Path,
    /// Who does what only a person can.
    pub operator: Operator,
}

impl<'a> Trial<'a> {
    /// Goes on where the journal ends.
    ///
    /// # Errors
    /// If the journal cannot be written: then nothing more may be done.
    pub fn run(&mut self) -> Result<End> {
        let plan = self.plan;
        if let Some(under_way) = self.journal.record.under_way.clone() {
            let outcome = self.after_restart(&under_way)?;
            if !self.close(&under_way, outcome)? {
                return Ok(End::Failed);
            }
        }
        for (index, step) in plan.steps.iter().enumerate() {
            match self.journal.outcome(&step.id) {
                Some(Outcome::Passed | Outcome::NotRun(_)) => continue,
                Some(Outcome::Failed(_)) | None => {}
            }
            println!("[{}/{}] {}", index + 1, plan.steps.len(), step.title);
            if let Some(reason) = self.not_for_this_machine(step)? {
                self.end(step, Outcome::NotRun(reason), Duration::ZERO)?;
                continue;
            }
            if let Some(restart) = &step.restart {
                match self.take_down(step, restart)? {
                    None => return Ok(End::Restarting),
                    Some(why) => {
                        self.end(step, Outcome::Failed(why), Duration::ZERO)?;
                        return Ok(End::Failed);
                    }
                }
            }
            let begun = Instant::now();
            let outcome = match &step.operator {
                Some(task) => match self.operator.ask(task)? {
                    Answer::Done => Outcome::Passed,
                    Answer::Failed => Outcome::Failed("the operator saw it fail".into()),
                    Answer::NotDone(reason) => Outcome::NotRun(reason),
                },
                None => {
                    self.journal.begin(UnderWay::Running {
                        step: step.id.clone(),
                    })?;
                    match self.command(step) {
                        Ok(()) => Outcome::Passed,
                        Err(error) => Outcome::Failed(format!("{error:#}")),
                    }
                }
            };
            let failed = matches!(outcome, Outcome::Failed(_));
            self.end(step, outcome, begun.elapsed())?;
            if failed {
                return Ok(End::Failed);
            }
        }
        Ok(End::Finished)
    }

    /// What became of the step the machine went down in.
    fn after_restart(&self, under_way: &UnderWay) -> Result<Outcome> {
        match under_way {
            UnderWay::Running { .. } => Ok(Outcome::Failed(
                "the machine or this program went down while the step ran: look for a bug check \
                 (C:\\Windows\\Minidump, docs/debugging.md) before going on"
                    .into(),
            )),
            UnderWay::Restarting { step, witness } => {
                let restart = self.step(step).and_then(|s| s.restart.as_ref());
                let Some(restart) = restart else {
                    return Ok(Outcome::Failed(
                        "the plan has no such restart any more; start again with --again".into(),
                    ));
                };
                let now = match self.ask(&restart.witness, &self.log(step)) {
                    Ok(now) => now,
                    Err(error) => return Ok(Outcome::Failed(format!("{error:#}"))),
                };
                Ok(if now == *witness {
                    Outcome::Failed("the machine has not been down since".into())
                } else if command::says(&now, &restart.says) {
                    Outcome::Passed
                } else {
                    Outcome::Failed(format!(
                        "it came up in another way: the witness does not say {:?}",
                        restart.says
                    ))
                })
            }
        }
    }

    /// Notes that outcome; false if it is a failure.
    fn close(&mut self, under_way: &UnderWay, outcome: Outcome) -> Result<bool> {
        let step = under_way.step();
        let failed = matches!(outcome, Outcome::Failed(_));
        match self.step(step) {
            Some(known) => self.end(known, outcome, Duration::ZERO)?,
            None => {
                let entry = Entry {
                    step: step.clone(),
                    outcome,
                    seconds: 0,
                    log: None,
                };
                self.journal.end(entry)?;
            }
        }
        Ok(!failed)
    }

    fn step(&self, id: &str) -> Option<&'a Step> {
        self.plan.steps.iter().find(|s| s.id == id)
    }

    fn end(&mut self, step: &Step, outcome: Outcome, took: Duration) -> Result<()> {
        match &outcome {
            Outcome::Passed => println!("      passed, {} s", took.as_secs()),
            Outcome::NotRun(reason) => println!("      not run: {reason}"),
            Outcome::Failed(why) => {
                println!(
                    "      FAILED: {why}\n      what to do: {}",
                    step.if_it_fails
                );
            }
        }
        let log = self.log(&step.id);
        let entry = Entry {
            step: step.id.clone(),
            outcome,
            seconds: took.as_secs(),
            log: log.exists().then_some(log),
        };
        self.journal.end(entry)
    }

    fn log(&self, step: &str) -> PathBuf {
        self.folder.join(format!("{step}.log"))
    }

    fn not_for_this_machine(&self, step: &Step) -> Result<Option<String>> {
        let Some(Probe {
            run,
            says,
            otherwise,
        }) = &step.only_if
        else {
            return Ok(None);
        };
        let asked = command::run(&self.plan.expand(run), &self.log(&step.id), QUESTION);
        // A probe that cannot be started says no: the tool it asks for is not there.
        let yes = asked.is_ok_and(|a| a.code == 0 && a.says(says));
        Ok((!yes).then(|| otherwise.clone()))
    }

    fn ask(&self, question: &[String], log: &Path) -> Result<String> {
        let answer = command::run(&self.plan.expand(question), log, QUESTION)?;
        ensure!(
            answer.code == 0,
            "`{}` ended with {}",
            question.join(" "),
            answer.code
        );
        Ok(answer.output)
    }

    /// Takes the machine down; gives the reason if it does not go.
    fn take_down(&mut self, step: &Step, restart: &Restart) -> Result<Option<String>> {
        let log = self.log(&step.id);
        let witness = match self.ask(&restart.witness, &log) {
            Ok(witness) => witness,
            Err(error) => return Ok(Some(format!("{error:#}"))),
        };
        self.journal.begin(UnderWay::Restarting {
            step: step.id.clone(),
            witness,
        })?;
        let told = command::start_for(&step.id, &self.plan.expand(&restart.run), &log)
            .and_then(|started| started.wait(QUESTION));
        Ok(match told {
            Ok(ended) if ended.code == 0 => {
                println!("      the machine goes down; run the same command when it is up");
                None
            }
            Ok(ended) => Some(format!(
                "`{}` ended with {}",
                restart.run.join(" "),
                ended.code
            )),
            Err(error) => Some(format!("{error:#}")),
        })
    }

    fn command(&self, step: &Step) -> Result<()> {
        let log = self.log(&step.id);
        let parked = match &step.parked {
            Some(parked) => Some((parked, self.park(parked, &log)?)),
            None => None,
        };
        let done = self.main_command(step, &log);
        match parked {
            None => done,
            Some((_, program)) if done.is_err() => {
                program.kill();
                done
            }
            Some((parked, program)) => self.unpark(parked, program, &log),
        }
    }

    fn main_command(&self, step: &Step, log: &Path) -> Result<()> {
        let words = step.run.as_ref().context("the step has no command")?;
        let words = self.plan.expand(words);
        let ended =
            command::start_for(&step.id, &words, log)?.wait(Duration::from_secs(step.within))?;
        ensure!(
            step.exits.contains(&ended.code),
            "`{}` ended with {}",
            words.join(" "),
            ended.code
        );
        for text in &step.says {
            ensure!(ended.says(text), "it did not say {text:?}");
        }
        for text in &step.never_says {
            ensure!(!ended.says(text), "it said {text:?}");
        }
        Ok(())
    }

    /// Starts the program and waits until its request has arrived in the driver.
    fn park(&self, parked: &Parked, log: &Path) -> Result<Started> {
        let mut program = command::start(&self.plan.expand(&parked.run), &beside(log))?;
        let arrived = self.plan.expand(&parked.arrived);
        for _ in 0..ARRIVAL_TRIES {
            let asked = command::run(&arrived, log, QUESTION);
            if asked.is_ok_and(|a| a.code == 0 && a.says(&parked.arrived_says)) {
                return Ok(program);
            }
            if program.has_ended()? {
                program.kill();
                anyhow::bail!("the program ended before its request was parked");
            }
            std::thread::sleep(ARRIVAL_PAUSE);
        }
        program.kill();
        anyhow::bail!(
            "no request was parked: `{}` never said {:?}",
            arrived.join(" "),
            parked.arrived_says
        )
    }

    /// Sees the parked request off.
    fn unpark(&self, parked: &Parked, program: Started, log: &Path) -> Result<()> {
        if let Some(release) = &parked.release
            && let Err(error) = self.ask(release, log)
        {
            program.kill();
            return Err(error.context("the parked request was not released"));
        }
        let ended = program
            .wait(Duration::from_secs(parked.within))
            .context("the program whose request was parked did not get it back")?;
        ensure!(
            parked.exits.contains(&ended.code),
            "the program whose request was parked ended with {}",
            ended.code
        );
        Ok(())
    }
}

/// The parked program's own log: two programs that write one file would mix their lines.
fn beside(log: &Path) -> PathBuf {
    log.with_extension("parked.log")
}
