//! A machine whose programs are stubs: shell scripts that say what a test wants them to say.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

/// A folder with stub programs and the results of one trial.
pub struct Machine {
    folder: tempfile::TempDir,
    plan: PathBuf,
}

/// How seatrial ended, and what it said.
pub struct Ended {
    /// Exit code.
    pub code: i32,
    /// Standard output and error output.
    pub said: String,
}

impl Machine {
    /// A machine that carries out the plan in this text.
    pub fn with_plan(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("bin")).expect("its programs' folder");
        let plan = folder.path().join("plan.toml");
        fs::write(&plan, text).expect("its plan");
        Self { folder, plan }
    }

    /// A file of the machine.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Gives it a program. The script runs with the machine's folder as `$M`.
    pub fn program(&self, name: &str, script: &str) -> &Self {
        let path = self.path("bin").join(name);
        let text = format!(
            "#!/bin/sh\nM='{}'\necho \"{name} $*\" >> \"$M/calls\"\n{script}\n",
            self.folder.path().display()
        );
        fs::write(&path, text).expect("a program is written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it may be run");
        self
    }

    /// A pipe: who reads it waits for who writes it.
    pub fn pipe(&self, name: &str) -> &Self {
        let made = Command::new("mkfifo").arg(self.path(name)).status();
        assert!(made.expect("mkfifo runs").success());
        self
    }

    /// Every program that was called, with its arguments, in order.
    pub fn calls(&self) -> String {
        fs::read_to_string(self.path("calls")).unwrap_or_default()
    }

    /// The report.
    pub fn report(&self) -> String {
        fs::read_to_string(self.path("trial/report.md")).expect("there is a report")
    }

    /// seatrial, ready to be started on this machine.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut seatrial = Command::new(env!("CARGO_BIN_EXE_seatrial"));
        let path = std::env::var("PATH").unwrap_or_default();
        seatrial
            .arg(&self.plan)
            .arg("--folder")
            .arg(self.path("trial"))
            .args(arguments)
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .stdin(Stdio::null());
        seatrial
    }

    /// Runs seatrial to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().expect("seatrial starts"))
    }
}

impl Ended {
    /// Of a process.
    pub fn of(output: Output) -> Self {
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        said += &String::from_utf8_lossy(&output.stderr);
        Self {
            code: output.status.code().unwrap_or(-1),
            said,
        }
    }

    /// Asserts exit code and a text.
    #[track_caller]
    pub fn must(&self, code: i32, text: &str) {
        assert!(
            self.code == code && self.said.contains(text),
            "wanted {code} and {text:?}, got {}:\n{}",
            self.code,
            self.said
        );
    }
}
