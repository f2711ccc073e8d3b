//! What the `drydock` command answers to input it cannot use: one clear sentence and exit code 1.

use std::path::Path;
use std::process::{Command, Output};

fn drydock(arguments: &[&str]) -> Output {
    match Command::new(env!("CARGO_BIN_EXE_drydock"))
        .args(arguments)
        .output()
    {
        Ok(output) => output,
        Err(error) => panic!("drydock does not start: {error}"),
    }
}

/// The message on standard error, of a run that must end with exit code 1.
fn refusal(arguments: &[&str]) -> String {
    let output = drydock(arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text
}

fn file(name: &str, content: &[u8]) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    assert!(std::fs::write(&path, content).is_ok());
    path.to_string_lossy().into_owned()
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let text = refusal(&["run", "/nonexistent/driver.sys"]);
    assert!(
        text.starts_with("drydock: /nonexistent/driver.sys: cannot be read:"),
        "{text}"
    );
}

#[test]
fn a_folder_is_not_an_image() {
    let text = refusal(&["run", env!("CARGO_TARGET_TMPDIR")]);
    assert!(text.contains("cannot be read"), "{text}");
}

#[test]
fn a_text_file_is_not_an_image() {
    let text = refusal(&["run", &file("text.sys", b"[Version]\n")]);
    assert!(
        text.contains("is not a Windows executable (PE) file"),
        "{text}"
    );
}

#[test]
fn an_image_cut_off_in_its_header_is_truncated() {
    let mut header = b"MZ".to_vec();
    header.resize(0x3C, 0);
    header.extend(0x40_u32.to_le_bytes());
    header.extend(b"PE\0\0\x64\x86");
    let text = refusal(&["run", &file("cut.sys", &header)]);
    assert!(text.contains("is truncated"), "{text}");
}

#[test]
fn a_version_of_kmdf_that_does_not_exist_is_refused() {
    let text = refusal(&["run", "--kmdf", "2.0", "x.sys"]);
    assert!(text.contains("a KMDF version is 1.N"), "{text}");
}

#[test]
fn help_is_no_error() {
    let output = drydock(&["--help"]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("Exit codes: 0 clean;"));
}
