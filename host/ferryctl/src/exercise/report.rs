//! What came of the cases, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::Case;

/// How a case ended.
pub enum Verdict {
    /// As it should.
    Passed,
    /// Otherwise, and how.
    Failed(String),
    /// It cannot be run here, and why.
    Skipped(&'static str),
}

/// What came of one case.
pub struct Outcome {
    /// Which.
    pub case: &'static Case,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match &self.verdict {
            Verdict::Passed => "pass",
            Verdict::Failed(_) => "FAIL",
            Verdict::Skipped(_) => "skip",
        };
        let milliseconds = self.took.as_secs_f64() * 1000.0;
        write!(f, "{word}  {:<36} {milliseconds:>8.1} ms", self.case.name)?;
        match &self.verdict {
            Verdict::Passed => Ok(()),
            Verdict::Failed(why) => {
                write!(f, "\n      expected: {}\n      but: {why}", self.case.shows)
            }
            Verdict::Skipped(why) => write!(f, "  {why}"),
        }
    }
}

/// What came of all.
#[derive(Default)]
pub struct Report {
    /// In the order they ran.
    pub outcomes: Vec<Outcome>,
    /// From the first to the last.
    pub took: Duration,
}

impl Report {
    /// How many failed.
    pub fn failed(&self) -> usize {
        self.outcomes
            .iter()
            .filter(|outcome| matches!(outcome.verdict, Verdict::Failed(_)))
            .count()
    }

    /// How many could not be run.
    pub fn skipped(&self) -> usize {
        self.outcomes
            .iter()
            .filter(|outcome| matches!(outcome.verdict, Verdict::Skipped(_)))
            .count()
    }
}

/// One object: `passed`, `failed`, `seconds`, `cases` with `name`, `shows`, `passed`, `failure`, `seconds`.
impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            name: &'a str,
            shows: &'a str,
            passed: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            failure: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            skipped: Option<&'a str>,
            seconds: f64,
        }
        #[derive(Serialize)]
        struct Table<'a> {
            passed: usize,
            failed: usize,
            skipped: usize,
            seconds: f64,
            cases: Vec<Row<'a>>,
        }
        let cases = self.outcomes.iter().map(|outcome| Row {
            name: outcome.case.name,
            shows: outcome.case.shows,
            passed: matches!(outcome.verdict, Verdict::Passed),
            failure: match &outcome.verdict {
                Verdict::Failed(why) => Some(why),
                Verdict::Passed | Verdict::Skipped(_) => None,
            },
            skipped: match outcome.verdict {
                Verdict::Skipped(why) => Some(why),
                Verdict::Passed | Verdict::Failed(_) => None,
            },
            seconds: outcome.took.as_secs_f64(),
        });
        let table = Table {
            passed: self.outcomes.len() - self.failed() - self.skipped(),
            failed: self.failed(),
            skipped: self.skipped(),
            seconds: self.took.as_secs_f64(),
            cases: cases.collect(),
        };
        table.serialize(serializer)
    }
}

/// The cases by name, and what each shows.
pub struct Listed(pub Vec<&'static Case>);

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.0 {
            writeln!(f, "{:<36} {}", case.name, case.shows)?;
        }
        write!(f, "{} cases", self.0.len())
    }
}

impl Serialize for Listed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|case| (case.name, case.shows)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, skipped) = (self.failed(), self.skipped());
        let passed = self.outcomes.len() - failed - skipped;
        let seconds = self.took.as_secs_f64();
        write!(
            f,
            "exercise: {passed} passed, {failed} failed, {skipped} skipped, {seconds:.1} s"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static CASE: Case = Case {
        name: "a/b",
        shows: "something is so",
        run: |_| Ok(()),
    };

    #[test]
    fn a_report_counts_and_names_what_failed() {
        let outcome = |verdict| Outcome {
            case: &CASE,
            verdict,
            took: Duration::ZERO,
        };
        let report = Report {
            outcomes: vec![
                outcome(Verdict::Passed),
                outcome(Verdict::Failed("it was not".to_owned())),
                outcome(Verdict::Skipped("nothing to run it on")),
            ],
            took: Duration::ZERO,
        };
        insta::assert_snapshot!(
            format!("{}\n{report}", report.outcomes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
            @r"
        pass  a/b                                       0.0 ms
        FAIL  a/b                                       0.0 ms
              expected: something is so
              but: it was not
        skip  a/b                                       0.0 ms  nothing to run it on
        exercise: 1 passed, 1 failed, 1 skipped, 0.0 s
        "
        );
        let json: serde_json::Value = serde_json::to_value(&report).unwrap();
        assert_eq!(json["failed"], 1);
        assert_eq!(json["cases"][1]["failure"], "it was not");
        assert_eq!(json["cases"][2]["skipped"], "nothing to run it on");
    }
}
