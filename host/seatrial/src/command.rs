//! Runs one command with a time limit; what it prints goes to the step's log.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use wait_timeout::ChildExt as _;

/// A command that has been started.
#[derive(Debug)]
pub struct Started {
    child: Child,
    log: File,
    /// Where in the log its output begins.
    begins: u64,
    line: String,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; -1 if it has none.
    pub code: i32,
    /// What it printed.
    pub output: String,
}

impl Ended {
    /// Whether it printed this text.
    pub fn says(&self, text: &str) -> bool {
        says(&self.output, text)
    }
}

/// Whether `text` is in there, in capitals or not: programs of Windows are not of one mind about the names of drivers.
pub fn says(output: &str, text: &str) -> bool {
    output.to_lowercase().contains(&text.to_lowercase())
}

/// Starts `words`, program first, with its output going to the end of `log`.
///
/// # Errors
/// If it cannot be started: the program is not there, mostly.
pub fn start(words: &[String], log: &Path) -> Result<Started> {
    start_for("", words, log)
}

/// As [`start`], for the command that a step is about: it finds the step's name in `SEATRIAL_STEP`.
///
/// # Errors
/// If it cannot be started.
pub fn start_for(step: &str, words: &[String], log: &Path) -> Result<Started> {
    let (program, arguments) = words.split_first().context("a command needs a program")?;
    let line = words.join(" ");
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(log)
        .with_context(|| log.display().to_string())?;
    writeln!(file, "> {line}")?;
    let begins = file.seek(SeekFrom::End(0))?;
    let child = Command::new(program)
        .args(arguments)
        .env("SEATRIAL_STEP", step)
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file.try_clone()?)
        .spawn()
        .with_context(|| {
            format!("{program} cannot be started: is it in the PATH or beside the scripts?")
        })?;
    Ok(Started {
        child,
        log: file,
        begins,
        line,
    })
}

impl Started {
    /// Waits for its end; it is killed when the time is over.
    ///
    /// # Errors
    /// If the time is over.
    pub fn wait(mut self, limit: Duration) -> Result<Ended> {
        let Some(status) = self.child.wait_timeout(limit)? else {
            self.child.kill()?;
            self.child.wait()?;
            bail!("`{}` did not end within {} s", self.line, limit.as_secs());
        };
        self.ended(status)
    }

    /// Kills it; used when the step around it has failed already.
    pub fn kill(mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it has ended already.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    fn ended(mut self, status: ExitStatus) -> Result<Ended> {
        self.log.seek(SeekFrom::Start(self.begins))?;
        let mut bytes = Vec::new();
        self.log.read_to_end(&mut bytes)?;
        Ok(Ended {
            code: status.code().unwrap_or(-1),
            output: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }
}

/// Runs a command to its end.
///
/// # Errors
/// If it cannot be started or takes too long.
pub fn run(words: &[String], log: &Path, limit: Duration) -> Result<Ended> {
    start(words, log)?.wait(limit)
}
