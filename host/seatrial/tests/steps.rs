//! Every way a step can end, with stub programs.
#![cfg(unix)]
#![allow(missing_docs, reason = "tests")]

mod machine;

use std::{fs, io::Write as _, process::Stdio};

use machine::{Ended, Machine};

const STEP: &str = "[[step]]\nid = 'one'\ntitle = 'The first'\nif_it_fails = 'look under it'\n";

fn one(rest: &str) -> Machine {
    Machine::with_plan(&format!("{STEP}{rest}\n"))
}

#[test]
fn a_command_that_does_as_the_plan_says_passes() {
    let machine = one("run = ['tool', 'a b']\nexits = [0, 7]\nsays = ['yes']\nnever_says = ['no']");
    machine.program("tool", "echo Yes; exit 7");
    machine.run(&[]).must(0, "passed");
    assert_eq!(machine.calls(), "tool a b\n");
    assert!(machine.report().contains("1 passed, 0 failed"));
}

#[test]
fn another_exit_code_a_missing_text_and_an_unwanted_text_fail_with_what_to_do() {
    for (script, why) in [
        ("echo yes; exit 1", "ended with 1"),
        ("echo perhaps", "did not say \"yes\""),
        ("echo yes, no", "it said \"no\""),
    ] {
        let machine = one("run = ['tool']\nsays = ['yes']\nnever_says = ['no']");
        machine.program("tool", script);
        let ended = machine.run(&[]);
        ended.must(1, why);
        ended.must(1, "look under it");
        let report = machine.report();
        assert!(
            report.contains(why) && report.contains("look under it"),
            "{report}"
        );
    }
}

#[test]
fn a_program_that_is_not_there_and_one_that_never_ends_fail() {
    let machine = one("run = ['no-such-tool']");
    machine.run(&[]).must(1, "no-such-tool cannot be started");
    let machine = one("run = ['tool']\nwithin = 1");
    machine
        .pipe("never")
        .program("tool", "read x < \"$M/never\"");
    machine.run(&[]).must(1, "did not end within 1 s");
}

#[test]
fn a_failed_step_is_tried_again_and_a_passed_one_is_not() {
    let machine = Machine::with_plan(&format!(
        "{STEP}run = ['first']\n{}run = ['second']\n",
        STEP.replace("one", "two")
    ));
    machine.program("first", "").program("second", "exit 1");
    machine.run(&[]).must(1, "FAILED");
    machine.program("second", "");
    machine.run(&[]).must(0, "passed");
    assert_eq!(machine.calls(), "first \nsecond \nsecond \n");
    assert!(machine.report().contains("Tried more than once: two."));
    machine.run(&["--again"]).must(0, "[1/2]");
}

#[test]
fn a_step_for_other_machines_is_left_out_with_the_reason() {
    for (script, code, reason) in [
        ("exit 1", 0, "not run: no such thing here"),
        ("echo nothing", 0, "not run: no such thing here"),
        ("echo it has it", 0, "passed"),
    ] {
        let machine = one(
            "run = ['tool']\n[step.only_if]\nrun = ['probe']\nsays = 'has it'\notherwise = 'no such thing here'",
        );
        machine.program("tool", "").program("probe", script);
        machine.run(&[]).must(code, reason);
    }
    let machine =
        one("run = ['tool']\n[step.only_if]\nrun = ['absent']\notherwise = 'no tool for it'");
    machine.run(&[]).must(0, "not run: no tool for it");
}

#[test]
fn skipping_is_written_down_and_only_known_steps_and_names_are_taken() {
    let machine = one("run = ['absent']");
    machine.run(&["--skip", "one"]).must(0, "report");
    assert!(machine.report().contains("not run: left out by --skip"));
    machine
        .run(&["--skip", "two"])
        .must(2, "no step is called that");
    machine
        .run(&["--set", "x=y"])
        .must(2, "the plan's names are");
    machine.run(&["--set", "x"]).must(2, "name=value");
}

const RESTART: &str = "[step.restart]\nrun = ['down']\nwitness = ['boot']\nsays = 'cold'";

#[test]
fn a_restart_ends_the_program_and_is_over_when_the_machine_came_up_anew() {
    let machine = one(RESTART);
    machine
        .program("boot", "cat \"$M/boots\"")
        .program("down", "");
    fs::write(machine.path("boots"), "first, cold").expect("written");
    machine.run(&[]).must(3, "goes down");
    machine.run(&[]).must(1, "has not been down");
    machine.run(&[]).must(3, "goes down");
    fs::write(machine.path("boots"), "second, warm").expect("written");
    machine.run(&[]).must(1, "came up in another way");
    machine.run(&[]).must(3, "goes down");
    fs::write(machine.path("boots"), "third, cold").expect("written");
    machine.run(&[]).must(0, "passed");
}

#[test]
fn a_restart_that_is_refused_or_cannot_be_witnessed_fails() {
    let machine = one(RESTART);
    machine.program("boot", "echo 1").program("down", "exit 5");
    machine.run(&[]).must(1, "`down` ended with 5");
    let machine = one(RESTART);
    machine.program("boot", "exit 1").program("down", "");
    machine.run(&[]).must(1, "`boot` ended with 1");
    assert!(!machine.calls().contains("down"), "not without a witness");
}

/// A bug check in the middle of a step leaves a journal that says the step was running.
#[test]
fn a_machine_that_went_down_on_its_own_is_a_failure_of_the_step_it_was_in() {
    let machine = one("run = ['tool']");
    machine
        .pipe("never")
        .pipe("running")
        .program("tool", "echo > \"$M/running\"; read x < \"$M/never\"");
    let mut trial = machine.command(&[]).spawn().expect("starts");
    fs::read(machine.path("running")).expect("the tool runs");
    trial.kill().expect("killed");
    trial.wait().expect("gone");
    let ended = machine.run(&[]);
    ended.must(1, "went down while the step ran");
    ended.must(1, "Minidump");
    machine.program("tool", "");
    machine.run(&[]).must(0, "passed");
}

#[test]
fn a_damaged_journal_is_not_guessed_at() {
    let machine = one("run = ['tool']");
    machine.program("tool", "");
    fs::create_dir(machine.path("trial")).expect("made");
    fs::write(machine.path("trial/journal.json"), "{").expect("written");
    machine.run(&[]).must(2, "is damaged");
    machine.run(&["--again"]).must(0, "passed");
}

#[test]
fn the_operator_is_asked_and_every_answer_is_written_down() {
    for (arguments, answers, code, says) in [
        (&["--unattended"][..], "", 0, "nobody was there"),
        (&[], "", 0, "terminal was closed"),
        (&[], "what?\ny\n", 0, "passed"),
        (&[], "s\n", 0, "left it out"),
        (&[], "n\n", 1, "the operator saw it fail"),
    ] {
        let machine = one("operator = 'Press the button'");
        let mut trial = machine.command(arguments);
        trial.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut trial = trial.spawn().expect("starts");
        // Nobody there: the program may be gone already.
        let _ = trial
            .stdin
            .take()
            .expect("piped")
            .write_all(answers.as_bytes());
        Ended::of(trial.wait_with_output().expect("ends")).must(code, says);
    }
}

const PARKED: &str = "run = ['act']\n[step.parked]\nrun = ['hold']\narrived = ['stats']\narrived_says = 'held 1'\n\
    exits = [0]\nwithin = 1\n";

fn parked(rest: &str) -> Machine {
    let machine = one(&format!("{PARKED}{rest}"));
    machine
        .pipe("gate")
        .program("act", "")
        .program("hold", "read x < \"$M/gate\"")
        .program("stats", "echo held 1")
        .program("release", "echo go > \"$M/gate\"");
    machine
}

#[test]
fn a_parked_request_is_there_before_the_command_and_gone_after_the_release() {
    let machine = parked("release = ['release']");
    machine.run(&[]).must(0, "passed");
    let calls = machine.calls();
    let at = |what: &str| calls.find(what).expect(what);
    assert!(
        at("stats") < at("act") && at("act") < at("release"),
        "{calls}"
    );
}

#[test]
fn the_steps_own_command_may_be_what_ends_a_parked_request() {
    let machine = parked("");
    machine.program("act", "echo go > \"$M/gate\"");
    machine.run(&[]).must(0, "passed");
}

#[test]
fn a_parked_request_that_does_not_arrive_come_back_or_end_well_fails_the_step() {
    let machine = parked("");
    machine.run(&[]).must(1, "did not get it back");

    let machine = parked("release = ['release']");
    machine.program("release", "exit 1");
    machine.run(&[]).must(1, "was not released");

    let machine = parked("release = ['release']");
    machine.program("hold", "read x < \"$M/gate\"; exit 9");
    machine.run(&[]).must(1, "ended with 9");

    let machine = parked("release = ['release']");
    machine
        .program("hold", "exit 0")
        .program("stats", "echo held 0");
    machine
        .run(&[])
        .must(1, "ended before its request was parked");

    let machine = parked("release = ['release']");
    machine.program("act", "exit 4");
    machine.run(&[]).must(1, "`act` ended with 4");
    assert!(!machine.calls().contains("release"));
}
