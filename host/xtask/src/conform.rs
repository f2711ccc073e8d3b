//! `cargo xtask conform`: the conformance driver on drydock, its logs beside those of Microsoft's framework.
//!
//! `host/drydock/conformance` holds the driver and what it printed on the framework's own code, verifier off and on. Each
//! scenario's lines must be the same to the byte. A difference that follows from the specification is listed in
//! `explained.toml` with its reason and counted apart.

use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::channel,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use similar::TextDiff;

use crate::{c_image, kmdf::KmdfVersion, lint, process, project::Project};

/// Differences that are argued from the specification.
#[derive(Debug, Default, Deserialize)]
struct Explained {
    #[serde(default)]
    difference: Vec<Difference>,
}

/// One of them.
#[derive(Debug, Deserialize)]
struct Difference {
    scenario: String,
    reason: String,
}

/// The two recordings: folder, image, and how drydock is to run it.
const RECORDINGS: [(&str, &str, &[&str]); 2] = [
    ("expected", "conform.sys", &[]),
    ("expected-verifier", "conform-verifier.sys", &["--verifier"]),
];

/// Most explained differences the suite may have: 2 % of its scenarios.
const EXPLAINED_PER_HUNDRED: usize = 2;

/// How long a recording may take: a driver that waits for ever is as wrong as one that says something else.
const LIMIT: Duration = Duration::from_secs(120);

/// One scenario: what Microsoft's framework printed, and what drydock printed.
#[derive(Debug)]
pub struct Outcome {
    /// The scenario.
    pub name: String,
    /// The recorded log.
    pub want: String,
    got: String,
}

impl Outcome {
    /// The logs are the same to the byte.
    pub fn matches(&self) -> bool {
        self.want == self.got
    }
}

/// Builds the driver, runs it on drydock, and puts its logs beside the recorded ones.
pub fn compare(project: &Project) -> Result<Vec<Outcome>> {
    c_image::build_conformance(project, KmdfVersion::DEFAULT)?;
    process::run(lint::host_cargo(project, "build").args(["--package", "drydock"]))?;
    outcomes(project, &project.path("host/target/debug/drydock"), &[])
}

/// Runs the built driver on this drydock, with these variables in its environment, and puts its logs beside the recorded ones.
pub fn outcomes(
    project: &Project,
    drydock: &Path,
    environment: &[(&str, String)],
) -> Result<Vec<Outcome>> {
    let folder = project.path("host/drydock/conformance");
    let mut outcomes = Vec::new();
    for (expected, image, arguments) in RECORDINGS {
        let mut drydock = Command::new(drydock);
        drydock.envs(environment.iter().map(|(name, value)| (name, value)));
        drydock
            .args(["run", "--one-processor", "--go-on-after-break"])
            .args(arguments)
            .arg(project.images().join(image));
        let mut logs = logs(drydock, image)?;
        for (name, want) in recording(&folder.join(expected))? {
            let got = logs.remove(&name).unwrap_or_default();
            outcomes.push(Outcome { name, want, got });
        }
    }
    Ok(outcomes)
}

/// Runs the suite, shows the difference of every scenario whose name contains `only`, and says how many logs match.
pub fn run(project: &Project, only: Option<&str>) -> Result<usize> {
    let outcomes = compare(project)?;
    let explained = explained(&project.path("host/drydock/conformance"))?;
    let (mut matching, mut argued, total) = (0, 0, outcomes.len());
    let mut failures = Vec::new();
    for outcome in outcomes {
        if outcome.matches() {
            matching += 1;
            continue;
        }
        let name = outcome.name;
        if let Some(reason) = explained.get(&name) {
            argued += 1;
            println!("differs   {name}: {reason}");
            continue;
        }
        println!("DIFFERS   {name}");
        if only.is_some_and(|part| name.contains(part)) {
            print!("{}", side_by_side(&outcome.want, &outcome.got));
        }
        failures.push(name);
    }
    println!("{matching} of {total} logs match, {argued} differences explained");
    if argued * 100 > total * EXPLAINED_PER_HUNDRED {
        bail!("{argued} explained differences are more than {EXPLAINED_PER_HUNDRED} % of {total}");
    }
    if !failures.is_empty() {
        bail!(
            "{} logs differ; `cargo xtask conform {}` shows how",
            failures.len(),
            failures.first().map_or("", String::as_str)
        );
    }
    Ok(matching)
}

fn explained(folder: &Path) -> Result<BTreeMap<String, String>> {
    let path = folder.join("explained.toml");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let list: Explained = toml::from_str(&text).with_context(|| path.display().to_string())?;
    let pairs = list.difference.into_iter().map(|d| (d.scenario, d.reason));
    Ok(pairs.collect())
}

/// The logs of a folder, by scenario.
fn recording(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut logs = BTreeMap::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        logs.insert(name.to_owned(), fs::read_to_string(&path)?);
    }
    Ok(logs)
}

/// Runs drydock and cuts what the image prints into scenarios.
fn logs(mut drydock: Command, image: &str) -> Result<BTreeMap<String, String>> {
    // One pipe for both: reports of misuse belong between the lines of the driver.
    let (mut reader, writer) = std::io::pipe()?;
    drydock
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let mut child = drydock
        .spawn()
        .with_context(|| format!("cannot start `{}`", process::display(&drydock)))?;
    // The command keeps our ends of the pipe open.
    drop(drydock);
    let (send, received) = channel();
    std::thread::spawn(move || {
        let mut out = Vec::new();
        // What came before an error is shown as far as it goes.
        let _ = reader.read_to_end(&mut out);
        send.send(out)
    });
    let out = match received.recv_timeout(LIMIT) {
        Ok(out) => out,
        Err(_) => {
            child.kill()?;
            received.recv().context("the output of drydock")?
        }
    };
    child.wait()?;
    let out = String::from_utf8_lossy(&out);
    let mut logs = BTreeMap::new();
    let mut current: Option<(String, String)> = None;
    for line in out.lines() {
        let line = match line.split_once("CF| ") {
            Some((_, line)) => line,
            None if line.starts_with("BREAK ") => "! BREAK",
            None => continue,
        };
        if let Some(name) = line.strip_prefix("# scenario ") {
            current = Some((name.to_owned(), String::new()));
        }
        let Some((name, log)) = &mut current else {
            continue;
        };
        log.push_str(line);
        log.push('\n');
        if line.starts_with("# end ") {
            logs.insert(name.clone(), std::mem::take(log));
            current = None;
        }
    }
    if let Some((name, mut log)) = current {
        let end: Vec<&str> = out.lines().rev().take(30).collect();
        log.push_str(&format!("{image} stopped here:\n"));
        end.iter()
            .rev()
            .for_each(|line| log.push_str(&format!("  {line}\n")));
        logs.insert(name, log);
    }
    Ok(logs)
}

/// The lines both have, and those only one has, marked `-` (the recording) and `+` (drydock).
fn side_by_side(want: &str, got: &str) -> String {
    let diff = TextDiff::from_lines(want, got);
    let lines = diff.iter_all_changes();
    lines
        .map(|line| format!("  {} {line}", line.tag()))
        .collect()
}
