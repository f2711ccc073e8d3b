//! drydock serving the built images, for commands that send a program's requests through them.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::JoinHandle,
};

use anyhow::{Context, Result, bail};

use crate::{lint, process, project::Project};

/// A running `drydock serve`: pier.sys with ferry.sys above it.
pub struct Dock {
    project: Project,
    child: Child,
    /// Copies what it prints.
    printer: JoinHandle<()>,
    socket: PathBuf,
}

impl Dock {
    /// Where it listens.
    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// Builds it and `ferryctl`, starts it, and waits until it accepts programs.
    pub fn start(project: &Project) -> Result<Self> {
        Self::with_example_drivers(project, &[])
    }

    /// As [`start`](Self::start), with drivers of `tests/drivers` between pier.sys and ferry.sys, from the lowest up.
    pub fn with_example_drivers(project: &Project, between: &[&str]) -> Result<Self> {
        process::run(lint::host_cargo(project, "build").args([
            "--package",
            "drydock",
            "--package",
            "ferryctl",
        ]))?;
        // A socket's path may have 107 bytes at most; the repository's own may be longer.
        let folder = std::env::temp_dir().join(format!("ferry-dock-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let socket = folder.join("socket");
        let mut drydock = Command::new(project.path("host/target/debug/drydock"));
        drydock.arg("serve").arg("--socket").arg(&socket);
        drydock
            .arg("--image")
            .arg(project.images().join("pier.sys"));
        for driver in between {
            let image = project.images().join("rust").join(format!("{driver}.sys"));
            drydock.arg("--upper").arg(image);
        }
        drydock
            .arg("--upper")
            .arg(project.images().join("ferry.sys"));
        let mut child = drydock
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start drydock")?;
        let mut lines = BufReader::new(child.stdout.take().context("drydock's output")?).lines();
        loop {
            let Some(line) = lines.next().transpose()? else {
                bail!("drydock ended before it was ready ({})", child.wait()?);
            };
            println!("drydock: {line}");
            if line.starts_with("ready") {
                break;
            }
        }
        let printer = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                println!("drydock: {line}");
            }
        });
        Ok(Self {
            project: project.clone(),
            child,
            printer,
            socket,
        })
    }

    /// Runs `ferryctl` against it.
    pub fn ferryctl(&self, arguments: &[&str]) -> Result<()> {
        let mut ferryctl = Command::new(self.project.path("host/target/debug/ferryctl"));
        ferryctl.arg("--socket").arg(&self.socket).args(arguments);
        process::run(&mut ferryctl)
    }

    /// Asks it to stop, and fails unless it found nothing wrong.
    pub fn stop(mut self) -> Result<()> {
        // The shell's own kill: a bare Debian has no program of that name.
        let id = self.child.id().to_string();
        process::run(Command::new("sh").args(["-c", "kill -TERM \"$0\"", &id]))?;
        let status = self.child.wait()?;
        let printed = self.printer.join();
        if let Some(folder) = self.socket.parent() {
            // Best effort: the folder is in the system's temporary directory.
            let _ = fs::remove_dir_all(folder);
        }
        if !status.success() || printed.is_err() {
            bail!("drydock reports a fault or a leak ({status}); see its last lines above");
        }
        Ok(())
    }
}
