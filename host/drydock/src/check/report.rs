//! What a check found.

use crate::verify::{self, Report, Severity};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Write};

/// What one phase has to say. A phase's process prints it as one line of JSON.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PhaseResult {
    /// The phase's name.
    pub phase: String,
    /// What its random choices came from.
    pub seed: u64,
    /// In the sweep: the number of the call that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_call: Option<u64>,
    /// In the sweep: which call that was, and who made it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_site: Vec<String>,
    /// How many calls could have failed, where they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failable_calls: Option<u64>,
    /// The device did not start, or the driver did not load: the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_started: Option<String>,
    /// What was done, and how often.
    pub counts: BTreeMap<String, u64>,
    /// What is worth knowing and no fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What ended the phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
    /// What was left behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaks: Vec<String>,
    /// The exit code of its process.
    #[serde(default)]
    pub exit: u8,
}

/// Something the driver did wrong, or a call drydock does not have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// `violation`, `break`, `bug check`, `fault`, `no progress`, `device`, `not implemented`, `error in drydock` or
    /// `lost process`.
    pub kind: String,
    /// The statement of the specification or rule that was broken; a bug check's code where there is none.
    pub statement: String,
    /// What happened, in words.
    pub text: String,
    /// The thread it happened on.
    pub thread: String,
    /// The rest of the report: image stack, calls, requests.
    pub sections: Vec<(String, Vec<String>)>,
}

impl Finding {
    /// The device did not come back from what it has to come back from, or the driver does not go.
    pub fn of_device(text: String) -> Self {
        Self {
            kind: "device".to_owned(),
            statement: "device lost".to_owned(),
            text,
            thread: "main".to_owned(),
            sections: Vec::new(),
        }
    }

    /// What the report of a run's end says.
    pub fn of(report: &Report) -> Self {
        let kind = match report.severity {
            Severity::Break => "break",
            Severity::Violation => "violation",
            Severity::BugCheck => "bug check",
            Severity::Fault => "fault",
            Severity::NoProgress => "no progress",
            Severity::Unimplemented => "not implemented",
            Severity::ModelError => "error in drydock",
        };
        let statement = match (report.statement, report.bug_check) {
            (Some(statement), _) => statement.to_owned(),
            (None, Some((code, parameters))) => {
                let name = verify::bug_check_name(code).unwrap_or("bug check");
                format!(
                    "{name} 0x{code:X} ({:#x}, {:#x})",
                    parameters[0], parameters[1]
                )
            }
            (None, None) => kind.to_owned(),
        };
        Self {
            kind: kind.to_owned(),
            statement,
            text: report.text.clone(),
            thread: report.thread.clone(),
            sections: report
                .sections
                .iter()
                .filter(|(_, lines)| !lines.is_empty())
                .map(|(title, lines)| ((*title).to_owned(), lines.clone()))
                .collect(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} {}: {}",
            self.kind.to_uppercase(),
            self.statement,
            self.text
        )?;
        writeln!(f, "  thread: {}", self.thread)?;
        for (title, lines) in &self.sections {
            writeln!(f, "  {title}:")?;
            for line in lines.iter().take(24) {
                writeln!(f, "    {line}")?;
            }
            if lines.len() > 24 {
                writeln!(f, "    and {} more", lines.len() - 24)?;
            }
        }
        Ok(())
    }
}

/// The whole check.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// The image that was checked.
    pub image: String,
    /// The image below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<String>,
    /// What everything random came from.
    pub seed: u64,
    /// What can be said of the files without running them.
    pub remarks: Vec<String>,
    /// What the phases found, by statement or rule: how often, and in which phases.
    pub violations: BTreeMap<String, Violations>,
    /// Each phase.
    pub phases: Vec<PhaseResult>,
    /// The exit code.
    pub exit: u8,
}

/// All findings of one statement.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Violations {
    /// How often it was found.
    pub count: u64,
    /// Where: phases, with the number of the failing call in the sweep.
    pub phases: Vec<String>,
    /// The first of them, in words.
    pub text: String,
}

impl CheckReport {
    /// Sorts what the phases found by statement.
    pub fn gather(&mut self) {
        for phase in &self.phases {
            if let Some(finding) = &phase.finding {
                let entry = self
                    .violations
                    .entry(finding.statement.clone())
                    .or_default();
                if entry.count == 0 {
                    entry.text.clone_from(&finding.text);
                }
                entry.count += 1;
                entry.phases.push(phase.title());
            }
            if !phase.leaks.is_empty() {
                let entry = self.violations.entry("leak".to_owned()).or_default();
                if entry.count == 0 {
                    entry.text = phase.leaks.join("; ");
                }
                entry.count += 1;
                entry.phases.push(phase.title());
            }
        }
    }
}

impl PhaseResult {
    fn title(&self) -> String {
        match self.failed_call {
            Some(number) => format!("{} {number}", self.phase),
            None => self.phase.clone(),
        }
    }

    fn verdict(&self) -> &'static str {
        match self.exit {
            0 => "clean",
            2 => "LEAKS",
            4 => "NOT IMPLEMENTED",
            5 => "did not start",
            _ => "FAILED",
        }
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = self
            .over
            .as_ref()
            .map(|over| format!(" over {over}"))
            .unwrap_or_default();
        writeln!(
            f,
            "drydock check of {}{over}, seed {}",
            self.image, self.seed
        )?;
        for remark in &self.remarks {
            writeln!(f, "  remark: {remark}")?;
        }
        for phase in self
            .phases
            .iter()
            .filter(|phase| phase.failed_call.is_none())
        {
            let mut counts = String::new();
            for (name, count) in &phase.counts {
                write!(counts, ", {count} {name}")?;
            }
            writeln!(
                f,
                "  {:14} {:15}{}",
                phase.phase,
                phase.verdict(),
                counts.trim_start_matches(", ")
            )?;
            if let Some(reason) = &phase.not_started {
                writeln!(f, "    {reason}")?;
            }
            for note in &phase.notes {
                writeln!(f, "    {note}")?;
            }
        }
        for (statement, found) in &self.violations {
            writeln!(
                f,
                "{statement}: {} time(s), in {}",
                found.count,
                shortened(&found.phases)
            )?;
            writeln!(f, "  {}", found.text)?;
        }
        let mut shown = Vec::new();
        for phase in &self.phases {
            let Some(finding) = &phase.finding else {
                continue;
            };
            if shown.contains(&&finding.statement) {
                continue;
            }
            shown.push(&finding.statement);
            writeln!(f, "\nin {}:\n{finding}", phase.title())?;
        }
        let verdict = match self.exit {
            0 => "nothing was found",
            2 => "something was left behind",
            4 => "the driver calls something drydock does not have",
            5 => "the device did not start",
            _ => "the driver broke a rule",
        };
        writeln!(f, "{verdict} (exit code {})", self.exit)
    }
}

fn shortened(phases: &[String]) -> String {
    let first: Vec<&str> = phases.iter().take(6).map(String::as_str).collect();
    let more = phases.len() - first.len();
    if more == 0 {
        first.join(", ")
    } else {
        format!("{} and {more} more", first.join(", "))
    }
}
