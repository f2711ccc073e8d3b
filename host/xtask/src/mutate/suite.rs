//! The tests that are run against a mutant, one program after the other, until one fails.

use std::{
    fmt,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::tree::{Tree, VARIABLE};
use crate::{c_drivers, conform, kmdf::KmdfVersion, process, project::Project, toolchain};

/// A program of tests, and how it is started.
#[derive(Debug)]
struct Program {
    name: &'static str,
    path: PathBuf,
    /// Only tests whose name contains this.
    filter: Option<&'static str>,
    /// How long it takes when nothing is wrong.
    usual: Duration,
}

/// In the order they are run: what fails soonest first.
const PROGRAMS: [(&str, Option<&str>); 3] = [
    ("drydock", Some("kmdf::")),
    ("requests", None),
    ("c_drivers", None),
];

/// Everything that is run against a mutant.
#[derive(Debug)]
pub struct Suite<'a> {
    project: &'a Project,
    programs: Vec<Program>,
    drydock: PathBuf,
}

/// What became of a mutant.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A test failed.
    Caught(String),
    /// A program of tests did not end.
    Hung(&'static str),
    /// All tests passed.
    Survived,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caught(by) => write!(f, "caught by {by}"),
            Self::Hung(name) => write!(f, "caught: {name} does not end"),
            Self::Survived => f.write_str("SURVIVED"),
        }
    }
}

impl<'a> Suite<'a> {
    /// Builds the copy and its tests, and runs them once without a mutation: all must pass.
    pub fn build(project: &'a Project, tree: &Tree) -> Result<Self> {
        c_drivers::build(project, KmdfVersion::DEFAULT, &[])?;
        let mut suite = Self {
            project,
            programs: build(tree)?,
            drydock: tree.target().join("debug/drydock"),
        };
        for index in 0..suite.programs.len() {
            let begin = Instant::now();
            let program = &suite.programs[index];
            match program.run(0, Duration::from_secs(600))? {
                Verdict::Survived => {}
                verdict => bail!("without a mutation: {} is {verdict}", program.name),
            }
            suite.programs[index].usual = begin.elapsed();
        }
        match suite.conformance(0)? {
            Verdict::Survived => Ok(suite),
            verdict => bail!("without a mutation: {verdict}"),
        }
    }

    /// Runs the tests with one mutation on.
    pub fn run(&self, number: usize) -> Result<Verdict> {
        let mut conformed = false;
        for program in &self.programs {
            // The recorded logs come before what takes longest.
            if program.name == "c_drivers" {
                conformed = true;
                let verdict = self.conformance(number)?;
                if verdict != Verdict::Survived {
                    return Ok(verdict);
                }
            }
            let limit = program.usual * 4 + Duration::from_secs(20);
            let verdict = program.run(number, limit)?;
            if verdict != Verdict::Survived {
                return Ok(verdict);
            }
        }
        if conformed {
            Ok(Verdict::Survived)
        } else {
            self.conformance(number)
        }
    }

    fn conformance(&self, number: usize) -> Result<Verdict> {
        let mutant = [(VARIABLE, number.to_string())];
        let outcomes = conform::outcomes(self.project, &self.drydock, &mutant)?;
        let different = outcomes.iter().find(|outcome| !outcome.matches());
        Ok(different.map_or(Verdict::Survived, |outcome| {
            Verdict::Caught(format!("the recorded log {}", outcome.name))
        }))
    }
}

/// Builds the copy; gives its programs of tests.
fn build(tree: &Tree) -> Result<Vec<Program>> {
    let mut cargo = Command::new(toolchain::cargo());
    cargo
        .args(["test", "--no-run", "--quiet"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(["--package", "drydock", "--features", "built-images"])
        .args([
            "--lib",
            "--bins",
            "--test",
            "requests",
            "--test",
            "c_drivers",
        ])
        .arg("--manifest-path")
        .arg(tree.manifest())
        .env("CARGO_TARGET_DIR", tree.target());
    let messages = process::output(&mut cargo)?;
    let mut programs = Vec::new();
    for (name, filter) in PROGRAMS {
        let path = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find_map(|message| {
                let is_it = message["target"]["name"] == name
                    && message["profile"]["test"] == true
                    && message["target"]["kind"][0] != "bin";
                is_it.then(|| message["executable"].as_str().map(PathBuf::from))?
            })
            .with_context(|| format!("cargo built no tests called {name}"))?;
        programs.push(Program {
            name,
            path,
            filter,
            usual: Duration::ZERO,
        });
    }
    Ok(programs)
}

impl Program {
    /// Runs it with a mutation on (0: none) until a test fails.
    fn run(&self, number: usize, limit: Duration) -> Result<Verdict> {
        let mut command = Command::new(&self.path);
        command
            .args(self.filter)
            .args(["--test-threads", "2"])
            .current_dir(self.path.parent().unwrap_or(Path::new("/")))
            .env(VARIABLE, number.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        in_its_own_group(&mut command);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start `{}`", process::display(&command)))?;
        let output = child.stdout.take().context("the output of tests")?;
        let (send, lines) = channel();
        // It ends when the program does: the program is killed at the latest.
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let deadline = Instant::now() + limit;
        let verdict = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    if let Some(test) = failed(&line) {
                        break Verdict::Caught(format!("{} {test}", self.name));
                    }
                }
                Err(RecvTimeoutError::Timeout) => break Verdict::Hung(self.name),
                Err(RecvTimeoutError::Disconnected) => {
                    if child.wait()?.success() {
                        break Verdict::Survived;
                    }
                    break Verdict::Caught(format!("{}, which ended early", self.name));
                }
            }
        };
        kill(&mut child)?;
        drop(lines);
        let _ = reader.join();
        Ok(verdict)
    }
}

/// The name of the test that a line of libtest says has failed.
fn failed(line: &str) -> Option<&str> {
    let (name, verdict) = line.strip_prefix("test ")?.split_once(" ... ")?;
    verdict.starts_with("FAILED").then_some(name)
}

/// Tests start processes of their own: all of them are ended together.
fn in_its_own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

fn kill(child: &mut Child) -> Result<()> {
    // The shell's own kill: a bare Debian has no program of that name. The group may be gone already.
    let group = format!("-{}", child.id());
    Command::new("sh")
        .args(["-c", "kill -s KILL -- \"$0\" 2>/dev/null; true", &group])
        .status()?;
    child.wait()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::failed;

    #[test]
    fn a_failing_test_is_seen_in_the_output_of_libtest() {
        assert_eq!(failed("test kmdf::a ... FAILED"), Some("kmdf::a"));
        assert_eq!(failed("test kmdf::a ... ok"), None);
        assert_eq!(failed("running 3 tests"), None);
    }
}
