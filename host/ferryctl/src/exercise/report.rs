//! What came of the cases, for people and for programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Case;

/// What came of one case.
pub struct Outcome {
    /// Which.
    pub case: &'static Case,
    /// Why it failed, if it did.
    pub failure: Option<String>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.failure.is_none() {
            "pass"
        } else {
            "FAIL"
        };
        let milliseconds = self.took.as_secs_f64() * 1000.0;
        write!(
            f,
            "{verdict}  {:<28} {milliseconds:>8.1} ms",
            self.case.name
        )?;
        match &self.failure {
            Some(failure) => write!(
                f,
                "\n      expected: {}\n      but: {failure}",
                self.case.shows
            ),
            None => Ok(()),
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
            .filter(|outcome| outcome.failure.is_some())
            .count()
    }

    /// One object: `passed`, `failed`, `seconds`, `cases` with `name`, `shows`, `passed`, `failure`, `seconds`.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Row<'a> {
            name: &'a str,
            shows: &'a str,
            passed: bool,
            failure: Option<&'a str>,
            seconds: f64,
        }
        #[derive(Serialize)]
        struct Table<'a> {
            passed: usize,
            failed: usize,
            seconds: f64,
            cases: Vec<Row<'a>>,
        }
        let cases = self.outcomes.iter().map(|outcome| Row {
            name: outcome.case.name,
            shows: outcome.case.shows,
            passed: outcome.failure.is_none(),
            failure: outcome.failure.as_deref(),
            seconds: outcome.took.as_secs_f64(),
        });
        let table = Table {
            passed: self.outcomes.len() - self.failed(),
            failed: self.failed(),
            seconds: self.took.as_secs_f64(),
            cases: cases.collect(),
        };
        // Strings, numbers and booleans: nothing here can fail to serialise.
        serde_json::to_string_pretty(&table).unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failed = self.failed();
        let passed = self.outcomes.len() - failed;
        write!(
            f,
            "exercise: {passed} passed, {failed} failed, {:.1} s",
            self.took.as_secs_f64()
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
        let outcome = |failure: Option<&str>| Outcome {
            case: &CASE,
            failure: failure.map(str::to_owned),
            took: Duration::ZERO,
        };
        let report = Report {
            outcomes: vec![outcome(None), outcome(Some("it was not"))],
            took: Duration::ZERO,
        };
        assert_eq!(report.to_string(), "exercise: 1 passed, 1 failed, 0.0 s");
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["failed"], 1);
        assert_eq!(json["cases"][1]["failure"], "it was not");
    }
}
