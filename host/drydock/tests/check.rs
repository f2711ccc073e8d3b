//! `drydock check` on images: a clean driver passes every phase, and each mistake of `careless.sys` is caught by the phases that
//! can bring it to light, and named.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Path of a built driver.
fn image(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/images/c");
    let path = path.join(format!("{name}.sys"));
    assert!(
        path.exists(),
        "{} is not built: run `cargo xtask c-drivers` at the top of the repository",
        path.display()
    );
    path.to_string_lossy().into_owned()
}

fn drydock(arguments: &[&str]) -> Output {
    match Command::new(env!("CARGO_BIN_EXE_drydock"))
        .arg("check")
        .args(arguments)
        .output()
    {
        Ok(output) => output,
        Err(error) => panic!("drydock does not start: {error}"),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The exit code and the report.
fn check(arguments: &[&str]) -> (i32, Value) {
    let output = drydock(&[arguments, &["--json"]].concat());
    let report = text(&output.stdout);
    let code = output.status.code().unwrap_or(-1);
    match serde_json::from_str(&report) {
        Ok(report) => (code, report),
        Err(error) => panic!("{error} in:\n{report}\n{}", text(&output.stderr)),
    }
}

/// An INF that makes `careless.sys` make a mistake.
fn inf(mistake: u32) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("careless-{mistake}.inf"));
    let inf = format!(
        "[Version]\nSignature = \"$WINDOWS NT$\"\n\
         [Manufacturer]\nMaker = Models, NTamd64\n\
         [Models.NTamd64]\n\"Careless\" = Install, ROOT\\CARELESS\n\
         [Install.NT.Services]\nAddService = Careless, 2, Service\n\
         [Service]\nServiceBinary = %13%\\careless.sys\nAddReg = Registry\n\
         [Registry]\nHKR, Parameters, Mistake, 0x00010001, {mistake}\n"
    );
    assert!(std::fs::write(&path, inf).is_ok());
    path
}

/// Makes a mistake while a phase runs, which ends when it is noticed; gives the exit code and the report.
fn careless(mistake: u32, phase: &str, more: &[&str]) -> (i32, Value) {
    let (image, inf) = (image("careless"), inf(mistake));
    let inf = inf.to_string_lossy();
    let arguments = [&image, "--inf", &*inf, "--only", phase, "--seconds", "10"];
    check(&[&arguments[..], more].concat())
}

/// The mistake must end the phase with exit code 3, and with all of `parts` in what was found.
fn caught(mistake: u32, phase: &str, parts: &[&str]) {
    let (code, report) = careless(mistake, phase, &[]);
    assert_eq!(code, 3, "{report:#}");
    let found = report["phases"].to_string();
    for part in parts {
        assert!(found.contains(part), "{part} expected in {report:#}");
    }
}

#[test]
fn a_clean_driver_passes_every_phase() {
    let (code, report) = check(&[&image("careless"), "--seconds", "18"]);
    assert_eq!(code, 0, "{report:#}");
    let phases = report["phases"].as_array().cloned().unwrap_or_default();
    let done = |phase: &str, what: &str| {
        let phase = phases.iter().find(|found| found["phase"] == phase);
        let count = phase.and_then(|phase| phase["counts"][what].as_u64());
        assert!(count.is_some_and(|count| count > 0), "{what}: {phase:?}");
    };
    for phase in [
        "stress", "codes", "files", "opens", "pnp", "power", "chaos", "pending", "low",
    ] {
        done(phase, "opens");
    }
    for (phase, what) in [
        ("start", "restarts"),
        ("start", "surprise removals"),
        ("stress", "kills"),
        ("stress", "cancels"),
        ("stress", "succeeded"),
        ("codes", "replayed with a change"),
        ("files", "refused"),
        ("buffers", "odd buffers"),
        ("odd", "restarts"),
        ("power", "sleeps"),
        ("low", "calls that could fail"),
        ("sweep", "of them made to fail"),
    ] {
        done(phase, what);
    }
    assert!(
        report["violations"]
            .as_object()
            .is_some_and(serde_json::Map::is_empty)
    );
}

/// Restarts, replugs, reloads, restarts that fail, surprise removals, each with programs at work.
#[test]
fn every_plug_and_play_event_happens_to_a_clean_driver() {
    let (code, report) = check(&[&image("careless"), "--only", "pnp", "--seconds", "6"]);
    assert_eq!(code, 0, "{report:#}");
    let counts = &report["phases"][0]["counts"];
    for event in [
        "restarts",
        "cancelled stops",
        "replugs",
        "reloads",
        "failed restarts",
        "surprise removals",
    ] {
        assert!(counts[event].as_u64() > Some(0), "{event}: {counts:#}");
    }
}

#[test]
fn the_report_in_words_ends_with_the_verdict() {
    let output = drydock(&[
        &image("echo"),
        "--only",
        "start",
        "--only",
        "stress",
        "--seconds",
        "2",
    ]);
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert!(report.starts_with("drydock check of "), "{report}");
    assert!(
        report.ends_with("nothing was found (exit code 0)\n"),
        "{report}"
    );
}

#[test]
fn a_filter_is_checked_over_its_function_driver() {
    let (filter, lower) = (image("toaster"), image("wdm-inline"));
    let (code, report) = check(&[
        &filter,
        "--over",
        &lower,
        "--only",
        "stress",
        "--only",
        "pending",
        "--seconds",
        "3",
    ]);
    assert_eq!(code, 0, "{report:#}");
}

#[test]
fn pool_that_every_open_leaks_is_exit_code_2_with_tag_and_creator() {
    let (code, report) = careless(1, "stress", &[]);
    assert_eq!(code, 2, "{report:#}");
    let leak = report["violations"]["leak"]["text"].to_string();
    assert!(
        leak.contains("pool Csrl") && leak.contains("careless!"),
        "{report:#}"
    );
}

#[test]
fn information_beyond_the_buffer_is_caught() {
    caught(
        2,
        "stress",
        &["WDF_VIOLATION 0x10D (0x6, 0x4)", "R-REQ-16", "careless!"],
    );
}

#[test]
fn a_byte_behind_a_direct_buffer_is_caught() {
    caught(
        3,
        "codes",
        &[
            "\"kind\":\"fault\"",
            "access violation writing",
            "careless!",
        ],
    );
}

#[test]
fn unprobed_user_memory_is_caught() {
    caught(
        4,
        "buffers",
        &[
            "\"kind\":\"fault\"",
            "access violation reading",
            "careless!",
        ],
    );
}

#[test]
fn completion_of_a_cancelable_request_is_caught() {
    caught(
        5,
        "codes",
        &[
            "R-REQ-23",
            "still cancelable",
            "had these owners",
            "WdfRequestComplete",
        ],
    );
}

#[test]
fn requests_kept_through_a_power_down_are_named_by_the_watchdog() {
    let (code, report) = careless(6, "power", &["--watchdog", "1"]);
    assert_eq!(code, 3, "{report:#}");
    let found = report["phases"].to_string();
    for part in [
        "no progress",
        "who waits for what",
        "WDFQUEUE #",
        "has given out",
        "DEVICE_CONTROL (0x222010)",
    ] {
        assert!(found.contains(part), "{part} expected in {report:#}");
    }
}

#[test]
fn an_allocation_nobody_looks_at_is_caught_by_the_sweep() {
    caught(
        7,
        "sweep",
        &["careless!", "WdfMemoryCreate", "\"kind\":\"fault\""],
    );
}

#[test]
fn a_driver_that_needs_hardware_does_not_start_and_says_why() {
    let (code, report) = careless(8, "start", &[]);
    assert_eq!(code, 5, "{report:#}");
    let reason = report["phases"][0]["not_started"].to_string();
    assert!(reason.contains("the device does not start"), "{reason}");
    assert!(
        reason.contains("STATUS_DEVICE_CONFIGURATION_ERROR") || reason.contains("0xc0000182"),
        "{reason}"
    );
    assert!(reason.contains("needs hardware"), "{reason}");
}

#[test]
fn a_call_drydock_does_not_have_is_exit_code_4_with_its_name() {
    let (code, report) = careless(9, "start", &[]);
    assert_eq!(code, 4, "{report:#}");
    assert!(
        report["phases"].to_string().contains("WdfInterruptCreate"),
        "{report:#}"
    );
}

/// One line on standard error, exit code 1.
fn refusal(path: &str) -> String {
    let output = drydock(&[path]);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(output.stdout.is_empty());
    message
}

#[test]
fn a_driver_that_is_no_kmdf_driver_is_refused_in_one_line() {
    let message = refusal(&image("wdm-inline"));
    assert!(message.contains("is no KMDF driver"), "{message}");
    assert!(message.contains("WdfVersionBind"), "{message}");
}

#[test]
fn a_file_that_is_no_driver_is_refused_in_one_line() {
    let message = refusal(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    assert!(
        message.contains("is not a Windows executable (PE) file"),
        "{message}"
    );
    let message = refusal("/nonexistent/driver.sys");
    assert!(message.contains("cannot be read"), "{message}");
}
