//! The checklist: a table of steps, read from a file, checked before anything runs.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// A checklist.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What `{name}` stands for in commands, unless the caller says otherwise.
    #[serde(default)]
    pub names: BTreeMap<String, String>,
    /// The steps, in order.
    #[serde(rename = "step")]
    pub steps: Vec<Step>,
}

/// One step. It either runs a command, restarts the machine, or asks the person before it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Short name, unique; what `--from` and `--skip` take.
    pub id: String,
    /// What is done, for the report.
    pub title: String,
    /// What a pass shows, for the report: a rule, or what the tool watches.
    #[serde(default)]
    pub shows: String,
    /// The command, program first.
    pub run: Option<Vec<String>>,
    /// A command after which the machine goes down; the step is over when it has come up again.
    pub restart: Option<Restart>,
    /// What the person at the machine has to do.
    pub operator: Option<String>,
    /// Exit codes that are good.
    #[serde(default = "success")]
    pub exits: Vec<i32>,
    /// Texts the output must have.
    #[serde(default)]
    pub says: Vec<String>,
    /// Texts the output must not have.
    #[serde(default)]
    pub never_says: Vec<String>,
    /// How long the command may take, in seconds.
    #[serde(default = "ten_minutes")]
    pub within: u64,
    /// I/O that is parked in the driver while the command runs.
    pub parked: Option<Parked>,
    /// Run the step only where this probe succeeds.
    pub only_if: Option<Probe>,
    /// What to do if the step fails. Never empty: a failure that says no more than "failed" is none of ours.
    pub if_it_fails: String,
}

/// How a step takes the machine down, and how it is known to have come back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// The command that takes it down.
    pub run: Vec<String>,
    /// A command whose output differs after the machine was down.
    pub witness: Vec<String>,
    /// Text the witness must show afterwards: the kind of start, for instance.
    #[serde(default)]
    pub says: String,
}

/// A program that has a request waiting in the driver.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parked {
    /// The program.
    pub run: Vec<String>,
    /// A command that shows whether the request has arrived, asked until it says so.
    pub arrived: Vec<String>,
    /// What it says then.
    pub arrived_says: String,
    /// A command that lets the request go after the step's own; without one the step itself must end it.
    pub release: Option<Vec<String>>,
    /// Exit codes of the program that are good.
    pub exits: Vec<i32>,
    /// How soon it must have ended, in seconds.
    pub within: u64,
}

/// A question to the machine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The command that answers it.
    pub run: Vec<String>,
    /// Text the output must have for yes; without one, exit code 0 is yes.
    #[serde(default)]
    pub says: String,
    /// What the report says if the answer is no.
    pub otherwise: String,
}

fn success() -> Vec<i32> {
    vec![0]
}

fn ten_minutes() -> u64 {
    600
}

impl Plan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    /// If the file cannot be read, is no plan, or has a step that could not be carried out.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read the plan {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Reads and checks the text of a plan.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub fn parse(text: &str) -> Result<Self> {
        let plan: Self = toml::from_str(text)?;
        ensure!(!plan.steps.is_empty(), "the plan has no step");
        for (index, step) in plan.steps.iter().enumerate() {
            plan.check(step)
                .with_context(|| format!("step {} ({})", index + 1, step.id))?;
            if plan.steps.iter().take(index).any(|s| s.id == step.id) {
                bail!("two steps are called {}", step.id);
            }
        }
        Ok(plan)
    }

    fn check(&self, step: &Step) -> Result<()> {
        let kinds = [
            step.run.is_some(),
            step.restart.is_some(),
            step.operator.is_some(),
        ];
        ensure!(
            kinds.iter().filter(|k| **k).count() == 1,
            "a step has exactly one of run, restart and operator"
        );
        ensure!(
            !step.if_it_fails.trim().is_empty(),
            "if_it_fails says what to do, it cannot be empty"
        );
        ensure!(
            step.parked.is_none() || step.run.is_some(),
            "requests can be parked around a command only"
        );
        for command in step.commands() {
            let program = command.first().map(String::as_str).unwrap_or_default();
            ensure!(!program.is_empty(), "a command needs a program");
            for word in command {
                self.check_names(word)?;
            }
        }
        Ok(())
    }

    /// Every `{name}` must be known, or a typing error would reach the machine.
    fn check_names(&self, word: &str) -> Result<()> {
        for (start, _) in word.match_indices('{') {
            let rest = word.get(start + 1..).unwrap_or_default();
            if let Some((name, _)) = rest.split_once('}')
                && is_name(name)
            {
                ensure!(
                    self.names.contains_key(name),
                    "{{{name}}} is not among the plan's names"
                );
            }
        }
        Ok(())
    }

    /// `command` with its names filled in.
    pub fn expand(&self, command: &[String]) -> Vec<String> {
        let fill = |word: &String| {
            self.names.iter().fold(word.clone(), |word, (name, value)| {
                word.replace(&format!("{{{name}}}"), value)
            })
        };
        command.iter().map(fill).collect()
    }
}

/// Lower-case words only: `{0}` and script blocks of other languages are none.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
}

impl Step {
    /// Every command the step may run.
    pub fn commands(&self) -> Vec<&Vec<String>> {
        let mut all: Vec<&Vec<String>> = self.run.iter().collect();
        if let Some(restart) = &self.restart {
            all.extend([&restart.run, &restart.witness]);
        }
        if let Some(parked) = &self.parked {
            all.extend([&parked.run, &parked.arrived]);
            all.extend(&parked.release);
        }
        all.extend(self.only_if.iter().map(|probe| &probe.run));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", Plan::parse(text).expect_err("the plan is wrong"))
    }

    const GOOD: &str = "[names]\ndevice = 'X'\n\
        [[step]]\nid = 'a'\ntitle = 't'\nrun = ['p', '{device}']\nif_it_fails = 'look'\n";

    #[test]
    fn names_are_filled_in_and_can_be_replaced() {
        let mut plan = Plan::parse(GOOD).expect("good");
        let command = plan.steps[0].run.clone().expect("it runs");
        assert_eq!(plan.expand(&command), ["p", "X"]);
        plan.names.insert("device".into(), "Y".into());
        assert_eq!(plan.expand(&command), ["p", "Y"]);
    }

    #[test]
    fn a_plan_that_could_not_be_carried_out_is_refused_with_the_step() {
        for (from, to, says) in [
            ("'{device}'", "'{devise}'", "{devise} is not among"),
            ("'look'", "' '", "if_it_fails"),
            ("run = ['p', '{device}']", "run = []", "needs a program"),
            ("run = ['p', '{device}']\n", "", "exactly one of"),
            (
                "title = 't'",
                "title = 't'\noperator = 'o'",
                "exactly one of",
            ),
            ("title", "titel", "titel"),
        ] {
            let message = refused(&GOOD.replace(from, to));
            assert!(message.contains(says), "{says}: {message}");
        }
        let twice = format!("{GOOD}{}", &GOOD[GOOD.find("[[").expect("a step")..]);
        assert!(refused(&twice).contains("two steps are called a"));
        assert!(refused("step = []").contains("no step"));
    }

    #[test]
    fn braces_of_a_script_are_no_names() {
        let script = GOOD.replace("'{device}'", "'Where-Object { $_.Id -eq 27 }', '{0}'");
        Plan::parse(&script).expect("a script block is an argument like any other");
    }
}
