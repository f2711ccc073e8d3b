//! One process per phase: starts them, waits for them, and puts together what they say.

use super::audit;
use super::inf::Inf;
use super::options::Options;
use super::phases::Phase;
use super::report::{CheckReport, Finding, PhaseResult};
use crate::verify::Exit;
use crate::{kmdf, loader};
use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use wait_timeout::ChildExt;

/// The share of the time that the sweep may take.
const SWEEP: f64 = 0.35;

/// Runs the whole check and prints the report.
pub(super) fn run(options: &Options) -> Exit {
    match check(options) {
        Ok(report) => {
            if options.json {
                match serde_json::to_string_pretty(&report) {
                    Ok(text) => println!("{text}"),
                    Err(error) => eprintln!("drydock: the report cannot be written: {error}"),
                }
            } else {
                print!("{report}");
            }
            exit_of(report.exit)
        }
        Err(reason) => {
            eprintln!("drydock: {reason}");
            Exit::Usage
        }
    }
}

fn exit_of(code: u8) -> Exit {
    match code {
        0 => Exit::Clean,
        2 => Exit::Leaks,
        4 => Exit::Unimplemented,
        5 => Exit::NotStarted,
        _ => Exit::Violation,
    }
}

fn check(options: &Options) -> Result<CheckReport, String> {
    let started = Instant::now();
    let mut report = CheckReport {
        image: options.image.display().to_string(),
        over: options.over.as_ref().map(|over| over.display().to_string()),
        seed: options.seed,
        remarks: look(options)?,
        violations: BTreeMap::new(),
        phases: Vec::new(),
        exit: 0,
    };
    let chosen: Vec<Phase> = Phase::ALL
        .into_iter()
        .filter(|phase| options.only.is_empty() || options.only.contains(phase))
        .collect();
    let timed = chosen
        .iter()
        .filter(|phase| !matches!(phase, Phase::Start | Phase::Sweep))
        .count() as f64;
    let sweeps = chosen.contains(&Phase::Sweep);
    let total = f64::from(options.seconds);
    let share = if sweeps { total * (1.0 - SWEEP) } else { total } / timed.max(1.0);
    let seconds = (share.floor() as u32).max(1);
    for phase in chosen {
        if phase == Phase::Sweep {
            let until = started + Duration::from_secs_f64(total.max(total * SWEEP));
            let at_least = Instant::now() + Duration::from_secs_f64(total * SWEEP);
            sweep(options, until.max(at_least), &mut report.phases)?;
            continue;
        }
        let result = run_phase(options, phase, seconds, 0)?;
        let stop = phase == Phase::Start && result.not_started.is_some();
        report.phases.push(result);
        if stop {
            // Nothing else would say more; how it fails for want of resources would.
            if sweeps {
                let until = Instant::now() + Duration::from_secs_f64(total * SWEEP);
                sweep(options, until, &mut report.phases)?;
            }
            break;
        }
    }
    let codes: Vec<u8> = report.phases.iter().map(|phase| phase.exit).collect();
    report.exit = [3, 4, 2, 5]
        .into_iter()
        .find(|code| codes.contains(code))
        .unwrap_or(0);
    report.gather();
    Ok(report)
}

/// Looks at the files; refuses what is no KMDF driver.
fn look(options: &Options) -> Result<Vec<String>, String> {
    let mut remarks = Vec::new();
    for path in options.over.iter().chain([&options.image]) {
        let image = loader::load(path, &kmdf::resolve_import).map_err(|error| error.to_string())?;
        if *path != options.image {
            continue;
        }
        if !audit::is_kmdf(&image.imports) {
            return Err(format!(
                "{}: is no KMDF driver: it does not import WdfVersionBind from WDFLDR.SYS",
                path.display()
            ));
        }
        let file = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        remarks.extend(audit::remarks(&file, &image.imports, &image.missing));
    }
    if let Some(path) = &options.inf {
        remarks.extend(Inf::read(path, &options.image)?.remarks);
    }
    Ok(remarks)
}

/// Counts the calls that can fail during start-up, then has each fail in turn, or as many as there is time for, spread evenly.
fn sweep(options: &Options, until: Instant, results: &mut Vec<PhaseResult>) -> Result<(), String> {
    let mut counted = run_phase(options, Phase::Sweep, 1, 0)?;
    let calls = counted.failable_calls.unwrap_or(0);
    let mut order: Vec<u64> = (1..=calls).collect();
    fastrand::Rng::with_seed(options.seed).shuffle(&mut order);
    let mut runs = Vec::new();
    for number in order {
        if Instant::now() >= until {
            break;
        }
        runs.push(run_phase(options, Phase::Sweep, 1, number)?);
    }
    runs.sort_by_key(|run| run.failed_call);
    counted.counts.clear();
    counted
        .counts
        .insert("calls that can fail".to_owned(), calls);
    counted
        .counts
        .insert("of them made to fail".to_owned(), runs.len() as u64);
    let bad = runs.iter().filter(|run| run.exit != 0).count();
    counted.counts.insert("badly taken".to_owned(), bad as u64);
    results.push(counted);
    // What went well says nothing.
    results.extend(runs.into_iter().filter(|run| run.exit != 0));
    Ok(())
}

fn run_phase(
    options: &Options,
    phase: Phase,
    seconds: u32,
    fail_call: u64,
) -> Result<PhaseResult, String> {
    let program =
        std::env::current_exe().map_err(|error| format!("drydock cannot start itself: {error}"))?;
    let mut command = Command::new(program);
    command.arg("check").arg(&options.image);
    if let Some(over) = &options.over {
        command.arg("--over").arg(over);
    }
    if let Some(inf) = &options.inf {
        command.arg("--inf").arg(inf);
    }
    for (name, value) in [
        ("--seed", options.seed),
        ("--seconds", seconds.into()),
        ("--patience", options.patience.into()),
        ("--watchdog", options.watchdog.into()),
        ("--fail-call", fail_call),
    ] {
        command.arg(name).arg(value.to_string());
    }
    command.arg("--kmdf").arg(format!("1.{}", options.kmdf));
    command.arg("--phase").arg(phase.name());
    for (name, wanted) in [
        ("--kernel", options.kernel),
        ("--dispatch", options.dispatch),
        ("--debug-output", options.debug_output),
    ] {
        if wanted {
            command.arg(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    if !options.debug_output {
        command.stderr(Stdio::null());
    }
    let mut child = command
        .spawn()
        .map_err(|error| format!("drydock cannot start itself: {error}"))?;
    let mut output = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        if let Some(output) = &mut output {
            // A process that is killed leaves what it wrote.
            let _ = output.read_to_string(&mut text);
        }
        text
    });
    let limit =
        Duration::from_secs((2 * seconds + 2 * options.watchdog + options.patience + 60).into());
    let ended = child
        .wait_timeout(limit)
        .map_err(|error| format!("a phase cannot be waited for: {error}"))?;
    if ended.is_none() {
        // The child is ours and did not end in time.
        let _ = child.kill();
        let _ = child.wait();
    }
    let text = reader.join().unwrap_or_default();
    let line = text.lines().next_back().unwrap_or_default();
    if let Ok(result) = serde_json::from_str::<PhaseResult>(line) {
        return Ok(result);
    }
    let how = match ended {
        Some(status) => format!("its process ended without a result: {status}"),
        None => format!(
            "its process did not end within {} s and was killed",
            limit.as_secs()
        ),
    };
    Ok(PhaseResult {
        phase: phase.name().to_owned(),
        seed: options.seed,
        failed_call: (fail_call != 0).then_some(fail_call),
        finding: Some(Finding {
            kind: "lost process".to_owned(),
            statement: "lost process".to_owned(),
            text: how,
            thread: String::new(),
            sections: Vec::new(),
        }),
        exit: Exit::Violation as u8,
        ..PhaseResult::default()
    })
}
