//! The checklist itself, scripts/verify.toml, carried out with every native command stubbed: once from end to end, and
//! with every step failing in turn.
#![cfg(unix)]
#![allow(missing_docs, reason = "tests")]

mod machine;

use std::{
    fs,
    path::{Path, PathBuf},
};

use machine::Machine;

const LAST: &str = "collect";

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts")
}

fn plan() -> String {
    fs::read_to_string(scripts().join("verify.toml")).expect("the checklist")
}

/// The steps, in order, and whether each takes the machine down.
fn steps() -> Vec<(String, bool)> {
    let table: toml::Table = toml::from_str(&plan()).expect("it is TOML");
    let steps = table["step"].as_array().expect("it has steps");
    let id = |step: &toml::Value| step["id"].as_str().expect("every step has one").to_owned();
    steps
        .iter()
        .map(|s| (id(s), s.get("restart").is_some()))
        .collect()
}

/// A Windows machine on which everything works, but for the step named in the file `fails`.
fn windows() -> Machine {
    let machine = Machine::with_plan(&plan());
    let fail = "[ -n \"$SEATRIAL_STEP\" ] && [ \"$SEATRIAL_STEP\" = \"$(cat \"$M/fails\" 2>/dev/null)\" ] && exit 97";
    let quiet = |rest: &str| format!("{fail}\ntrue\n{rest}");
    machine
        .pipe("gate")
        .program("pnputil", &quiet(""))
        .program("pwrtest.exe", &quiet(""))
        .program("te.exe", &quiet(""))
        .program("verifier", &quiet("echo ferry.sys pier.sys wdf01000.sys"))
        .program(
            "devgen.exe",
            &quiet("case \"$1\" in /remove) echo go > \"$M/gate\" ;; esac"),
        )
        .program("shutdown", &quiet("echo up >> \"$M/boots\""))
        .program(
            "powershell",
            &quiet(
                "case \"$*\" in\n\
                 *release.ps1*) echo go > \"$M/gate\" ;;\n\
                 *LastBootUpTime*|*Kernel-Boot*) cat \"$M/boots\"; echo 0x1 ;;\n\
                 *SecurityServicesRunning*) echo True ;;\n\
                 esac",
            ),
        )
        .program(
            "ferryctl.exe",
            &quiet(
                "case \"$1\" in\n\
                 hold) read x < \"$M/gate\" ;;\n\
                 release) echo go > \"$M/gate\" ;;\n\
                 stats) echo '{\"in_flight\":1}' ;;\n\
                 esac",
            ),
        );
    fs::write(machine.path("boots"), "up\n").expect("written");
    machine
}

/// Runs until the machine neither restarts nor waits for anything.
fn to_the_end(machine: &Machine) -> machine::Ended {
    loop {
        let ended = machine.run(&["--unattended"]);
        if ended.code != 3 {
            return ended;
        }
    }
}

#[test]
fn a_machine_on_which_everything_works_passes_every_step_over_five_restarts() {
    let machine = windows();
    let ended = to_the_end(&machine);
    ended.must(0, "report");
    let report = machine.report();
    assert!(
        report.contains(&format!("{} passed, 0 failed, 0 not run", steps().len())),
        "{report}"
    );
    let restarts = machine.calls().matches("shutdown ").count();
    assert_eq!(restarts, steps().iter().filter(|(_, down)| *down).count());
    assert_eq!(restarts, 5);
}

/// Each failure stops the trial there, says what to do, and is mended without doing anything twice that had passed.
#[test]
fn every_step_can_fail_stops_the_trial_there_and_is_resumed_there() {
    let machine = windows();
    for (id, _) in steps() {
        fs::write(machine.path("fails"), &id).expect("written");
        let ended = to_the_end(&machine);
        ended.must(1, "what to do: ");
        let failed = machine.report();
        assert!(failed.contains("1 failed"), "{id}: {failed}");
    }
    fs::remove_file(machine.path("fails")).expect("removed");
    to_the_end(&machine).must(0, "report");
    let report = machine.report();
    assert!(
        report.contains(&format!("{} passed", steps().len())),
        "{report}"
    );
    for (id, _) in steps() {
        assert!(report.contains(&id), "{id} was tried twice: {report}");
    }
    assert_eq!(steps().last().map(|(id, _)| id.as_str()), Some(LAST));
}

/// A machine without sleep states, tests and newer package still goes through; the report says what it left out.
#[test]
fn what_the_machine_cannot_do_is_left_out_by_name() {
    let machine = windows();
    machine.program(
        "powershell",
        "case \"$*\" in\n\
         *sleep-state.ps1*|*Test-Path*) exit 1 ;;\n\
         *release.ps1*) echo go > \"$M/gate\" ;;\n\
         *LastBootUpTime*|*Kernel-Boot*) cat \"$M/boots\"; echo 0x1 ;;\n\
         *SecurityServicesRunning*) echo True ;;\n\
         esac",
    );
    to_the_end(&machine).must(0, "report");
    let report = machine.report();
    assert!(
        report.contains("not run: the machine has no S3"),
        "{report}"
    );
    assert!(
        machine.report().contains("5 not run"),
        "{}",
        machine.report()
    );
}

#[test]
fn every_script_the_checklist_calls_is_there() {
    for part in plan().split("{scripts}\\").skip(1) {
        let name = part.split('\'').next().expect("quoted");
        assert!(scripts().join(name).exists(), "scripts/{name} is missing");
    }
}
