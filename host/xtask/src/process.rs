//! Runs other programs and says clearly what failed.

use std::{
    io::{BufRead, BufReader, IsTerminal},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// A command line as a person would type it, for messages.
pub fn display(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|w| w.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs `command` with the terminal as its output; fails unless it exits with 0.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start `{}`", display(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", display(command));
    }
    Ok(())
}

/// Runs cargo with the stand-in patched in, without its remark that the standard library does not use it.
pub fn run_patched_cargo(command: &mut Command) -> Result<()> {
    if std::io::stderr().is_terminal() {
        command.args(["--color", "always"]);
    }
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", display(command)))?;
    let messages = child
        .stderr
        .take()
        .map(BufReader::new)
        .into_iter()
        .flat_map(BufRead::lines);
    let mut skipping = false;
    for line in messages {
        let line = line?;
        if line.contains("was not used in the crate graph") {
            skipping = true;
        } else if skipping
            && (line.starts_with("help: Check that the patched") || line.starts_with("      "))
        {
            // the rest of the same remark
        } else {
            skipping = false;
            eprintln!("{line}");
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("`{}` failed ({status})", display(command));
    }
    Ok(())
}

/// Runs `command`, showing every line of its standard output and handing it to `each`; true if it exits with 0.
pub fn run_watched(command: &mut Command, mut each: impl FnMut(&str)) -> Result<bool> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{}`", display(command)))?;
    let lines = child
        .stdout
        .take()
        .map(BufReader::new)
        .into_iter()
        .flat_map(BufRead::lines);
    for line in lines {
        let line = line?;
        println!("{line}");
        each(&line);
    }
    Ok(child.wait()?.success())
}

/// Runs `command` and gives back what it printed; its messages appear only if it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let out = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", display(command)))?;
    if !out.status.success() {
        bail!(
            "`{}` failed ({})\n{}{}",
            display(command),
            out.status,
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}
