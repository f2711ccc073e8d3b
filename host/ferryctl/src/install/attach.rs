//! Attaching and detaching, step by step: refuse, write down, change, restart, look, and take back what did not work.

use std::fmt;

use anyhow::{Context, bail};
use serde::Serialize;

use super::filters::{lists_ferry, with_ferry, without_ferry};
use super::journal::{Change, Journal, Stage};
use super::refuse::{Facts, decide};
use crate::platform::Result;

/// What a restart of a device came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// The device runs with its new list.
    Restarted,
    /// Somebody uses it: the new list counts from the next boot on.
    RebootNeeded,
    /// It is not plugged in: the new list counts when it is.
    Absent,
}

/// What the steps need of a machine. Windows is one; the tests have another.
pub trait Machine {
    /// What is known of a device.
    fn facts(&mut self, instance: &str) -> Result<Facts>;
    /// Whether the service "ferry" exists.
    fn is_installed(&mut self) -> Result<bool>;
    /// Sets the list of upper filters; an empty one deletes the value.
    fn set_filters(&mut self, instance: &str, filters: &[String]) -> Result<()>;
    /// Restarts a device.
    fn restart(&mut self, instance: &str) -> Result<Restart>;
    /// The problem code of a device, if it has one.
    fn problem(&mut self, instance: &str) -> Result<Option<u32>>;
    /// Every device, plugged in or not.
    fn instances(&mut self) -> Result<Vec<String>>;
}

/// What was done to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Instance id.
    pub instance: String,
    /// As Device Manager shows it.
    pub description: String,
    /// Its list of upper filters now.
    pub filters: Vec<String>,
    /// What came of the restart; nothing if the list was as it should be, or nothing was to be done.
    pub restart: Option<Restart>,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filters = if self.filters.is_empty() {
            "none".to_owned()
        } else {
            self.filters.join(", ")
        };
        write!(
            f,
            "{} ({}): upper filters {filters}",
            self.description, self.instance
        )?;
        match self.restart {
            None => write!(f, "; nothing changed"),
            Some(Restart::Restarted) => write!(f, "; restarted"),
            Some(Restart::RebootNeeded) => write!(f, "; in use: reboot needed"),
            Some(Restart::Absent) => write!(f, "; not plugged in, counts when it is"),
        }
    }
}

/// Takes back changes an earlier run did not finish. Gives the devices.
///
/// # Errors
/// A device is gone, or its list cannot be set.
pub fn recover(machine: &mut impl Machine, journal: &Journal) -> Result<Vec<String>> {
    let mut recovered = Vec::new();
    for change in journal.interrupted()? {
        let facts = machine.facts(&change.instance)?;
        if facts.filters == change.after {
            undo(machine, journal, &change, &facts)?;
        } else {
            // It never came to the change, or somebody else has changed the list since.
            journal.note(&change, Stage::RolledBack)?;
        }
        recovered.push(change.instance);
    }
    Ok(recovered)
}

/// Puts ferry above a device.
///
/// # Errors
/// It is refused, or it did not work and was taken back.
pub fn attach(
    machine: &mut impl Machine,
    journal: &Journal,
    instance: &str,
    force: bool,
) -> Result<Changed> {
    let facts = machine.facts(instance)?;
    let installed = machine.is_installed()?;
    decide(&facts, installed, force)?;
    let wanted = with_ferry(&facts.filters);
    change(machine, journal, facts, wanted)
}

/// Takes ferry away from a device.
///
/// # Errors
/// It did not work and was taken back.
pub fn detach(machine: &mut impl Machine, journal: &Journal, instance: &str) -> Result<Changed> {
    let facts = machine.facts(instance)?;
    let wanted = without_ferry(&facts.filters);
    change(machine, journal, facts, wanted)
}

/// Takes ferry away from every device that lists it, plugged in or not. A device that refuses does not keep the others.
///
/// # Errors
/// The devices that still list it, and why.
pub fn detach_all(machine: &mut impl Machine, journal: &Journal) -> Result<Vec<Changed>> {
    let mut done = Vec::new();
    let mut failed = Vec::new();
    for instance in machine.instances()? {
        let Ok(facts) = machine.facts(&instance) else {
            continue;
        };
        if lists_ferry(&facts.filters) {
            match detach(machine, journal, &instance) {
                Ok(changed) => done.push(changed),
                Err(error) => failed.push(format!("{instance}: {error:#}")),
            }
        }
    }
    if failed.is_empty() {
        Ok(done)
    } else {
        bail!(
            "{} device(s) still list ferry:\n  {}",
            failed.len(),
            failed.join("\n  ")
        )
    }
}

fn change(
    machine: &mut impl Machine,
    journal: &Journal,
    facts: Facts,
    wanted: Option<Vec<String>>,
) -> Result<Changed> {
    let mut changed = Changed {
        instance: facts.instance.clone(),
        description: facts.description.clone(),
        filters: facts.filters.clone(),
        restart: None,
    };
    let Some(after) = wanted else {
        return Ok(changed);
    };
    let planned = Change {
        instance: facts.instance.clone(),
        before: facts.filters.clone(),
        after: after.clone(),
        stage: Stage::Planned,
    };
    journal.note(&planned, Stage::Planned)?;
    let tried = make(machine, &facts, &after);
    match tried {
        Ok(restart) => {
            journal.note(&planned, Stage::Done)?;
            changed.restart = Some(restart);
            changed.filters = after;
            Ok(changed)
        }
        Err(error) => {
            let undone = undo(machine, journal, &planned, &facts);
            let told = if undone.is_ok() {
                "taken back"
            } else {
                "NOT taken back: set the list by hand"
            };
            undone.with_context(|| format!("{error:#}"))?;
            Err(error.context(format!(
                "{} does not work with this list of filters; {told}",
                facts.description
            )))
        }
    }
}

fn make(machine: &mut impl Machine, facts: &Facts, filters: &[String]) -> Result<Restart> {
    machine.set_filters(&facts.instance, filters)?;
    if !facts.present {
        return Ok(Restart::Absent);
    }
    let restart = machine.restart(&facts.instance)?;
    if restart == Restart::Restarted
        && let Some(problem) = machine.problem(&facts.instance)?
    {
        bail!("the device has problem code {problem} after its restart");
    }
    Ok(restart)
}

/// Sets the list as it was and restarts the device.
fn undo(
    machine: &mut impl Machine,
    journal: &Journal,
    change: &Change,
    facts: &Facts,
) -> Result<()> {
    machine.set_filters(&change.instance, &change.before)?;
    if facts.present {
        machine.restart(&change.instance)?;
    }
    journal.note(change, Stage::RolledBack)
}

#[cfg(test)]
mod tests {
    use super::super::refuse::Refusal;
    use super::*;
    use std::path::PathBuf;

    /// A machine with two devices, one of which is not plugged in.
    struct Fake {
        devices: Vec<Facts>,
        installed: bool,
        restart: Restart,
        /// Problem code while ferry is in the list.
        problem: Option<u32>,
        calls: Vec<String>,
    }

    impl Machine for Fake {
        fn facts(&mut self, instance: &str) -> Result<Facts> {
            let found = self.devices.iter().find(|facts| facts.instance == instance);
            found
                .cloned()
                .with_context(|| format!("there is no device {instance}"))
        }

        fn is_installed(&mut self) -> Result<bool> {
            Ok(self.installed)
        }

        fn set_filters(&mut self, instance: &str, filters: &[String]) -> Result<()> {
            self.calls
                .push(format!("set {instance} [{}]", filters.join(" ")));
            for facts in self
                .devices
                .iter_mut()
                .filter(|facts| facts.instance == instance)
            {
                facts.filters = filters.to_vec();
            }
            Ok(())
        }

        fn restart(&mut self, instance: &str) -> Result<Restart> {
            self.calls.push(format!("restart {instance}"));
            Ok(self.restart)
        }

        fn problem(&mut self, instance: &str) -> Result<Option<u32>> {
            let facts = self.facts(instance)?;
            Ok(self.problem.filter(|_| lists_ferry(&facts.filters)))
        }

        fn instances(&mut self) -> Result<Vec<String>> {
            Ok(self
                .devices
                .iter()
                .map(|facts| facts.instance.clone())
                .collect())
        }
    }

    fn fake(filters: &[&str]) -> Fake {
        let device = |instance: &str, present| Facts {
            instance: instance.to_owned(),
            description: "a port".to_owned(),
            present,
            filters: filters.iter().map(|name| (*name).to_owned()).collect(),
            ..Facts::default()
        };
        Fake {
            devices: vec![device("A", true), device("B", false)],
            installed: true,
            restart: Restart::Restarted,
            problem: None,
            calls: Vec::new(),
        }
    }

    /// A journal of its own, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> (Self, Journal) {
            let path =
                std::env::temp_dir().join(format!("ferry-attach-{name}-{}", std::process::id()));
            let journal = Journal::at(&path);
            (Self(path), journal)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            // It is in the system's temporary folder.
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn attaching_sets_the_list_restarts_and_says_so() {
        let (_scratch, journal) = Scratch::new("plain");
        let mut machine = fake(&["other"]);
        let changed = attach(&mut machine, &journal, "A", false).unwrap();
        assert_eq!(
            changed.to_string(),
            "a port (A): upper filters other, ferry; restarted"
        );
        assert_eq!(machine.calls, ["set A [other ferry]", "restart A"]);
        // A second time there is nothing to do.
        let again = attach(&mut machine, &journal, "A", false).unwrap();
        assert_eq!(again.restart, None);
        assert_eq!(machine.calls.len(), 2);
        assert_eq!(journal.interrupted().unwrap(), []);
    }

    #[test]
    fn a_device_that_does_not_start_gets_its_old_list_back() {
        let (_scratch, journal) = Scratch::new("problem");
        let mut machine = fake(&["other"]);
        machine.problem = Some(39);
        let error = attach(&mut machine, &journal, "A", false).unwrap_err();
        assert!(
            format!("{error:#}").contains("problem code 39")
                && format!("{error:#}").contains("taken back"),
            "{error:#}"
        );
        assert_eq!(
            machine.calls,
            [
                "set A [other ferry]",
                "restart A",
                "set A [other]",
                "restart A"
            ]
        );
        assert_eq!(journal.interrupted().unwrap(), []);
    }

    #[test]
    fn a_device_in_use_needs_a_reboot_and_is_not_rolled_back() {
        let (_scratch, journal) = Scratch::new("veto");
        let mut machine = fake(&[]);
        machine.restart = Restart::RebootNeeded;
        let changed = attach(&mut machine, &journal, "A", false).unwrap();
        assert!(
            changed.to_string().ends_with("in use: reboot needed"),
            "{changed}"
        );
    }

    #[test]
    fn a_refused_device_is_not_touched() {
        let (_scratch, journal) = Scratch::new("refused");
        let mut machine = fake(&[]);
        machine.installed = false;
        let error = attach(&mut machine, &journal, "A", true).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Refusal::NotInstalled));
        assert_eq!(machine.calls, Vec::<String>::new());
    }

    #[test]
    fn detaching_all_reaches_devices_that_are_not_plugged_in() {
        let (_scratch, journal) = Scratch::new("all");
        let mut machine = fake(&["ferry"]);
        let changed = detach_all(&mut machine, &journal).unwrap();
        assert_eq!(changed.len(), 2);
        assert_eq!(machine.calls, ["set A []", "restart A", "set B []"]);
        assert_eq!(changed[1].restart, Some(Restart::Absent));
    }

    #[test]
    fn a_run_that_was_killed_is_taken_back_by_the_next_one() {
        let (_scratch, journal) = Scratch::new("killed");
        let mut machine = fake(&["other"]);
        let list = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let planned = Change {
            instance: "A".to_owned(),
            before: list(&["other"]),
            after: list(&["other", "ferry"]),
            stage: Stage::Planned,
        };
        journal.note(&planned, Stage::Planned).unwrap();
        machine.devices[0].filters.clone_from(&planned.after);
        assert_eq!(recover(&mut machine, &journal).unwrap(), ["A"]);
        assert_eq!(machine.devices[0].filters, planned.before);
        assert_eq!(
            recover(&mut machine, &journal).unwrap(),
            Vec::<String>::new()
        );
    }
}
