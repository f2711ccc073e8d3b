//! `cargo xtask demo`: from nothing to a program's requests travelling through the shipped images.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    thread::JoinHandle,
};

use anyhow::{Context, Result, bail};

use crate::{
    audit,
    cross_cargo::Profile,
    drivers::{self, BuildOptions},
    kmdf::KmdfVersion,
    lint, process,
    project::Project,
};

/// Builds, audits, serves, exercises, and stops cleanly.
pub fn run(project: &Project) -> Result<()> {
    headline("Build the drivers, for Windows");
    let options = BuildOptions {
        kmdf: KmdfVersion::DEFAULT,
        profile: Profile::Release,
    };
    for image in drivers::build(project, options)? {
        println!("{}", image.line(project));
    }
    headline("Audit the images");
    audit::run(project, &[])?;

    headline("Start drydock with pier.sys and ferry.sys above it");
    process::run(lint::host_cargo(project, "build").args([
        "--package",
        "drydock",
        "--package",
        "ferryctl",
    ]))?;
    let dock = Dock::start(project)?;

    headline("A program opens the devices and sends requests");
    let mut exercise = Command::new(project.path("host/target/debug/ferryctl"));
    exercise.arg("--socket").arg(&dock.socket).arg("exercise");
    let exercised = process::run(&mut exercise);

    headline("Stop: remove the devices, unload the drivers, look for leaks");
    let stopped = dock.stop();
    exercised.context("ferryctl exercise")?;
    stopped?;
    headline("What you saw");
    println!(
        "ferry.sys and pier.sys are the files Windows would load. drydock mapped them into a Linux process,\n\
         bound their imports to its model of the framework and the kernel, and built the device stack.\n\
         ferryctl is an ordinary program: its reads, writes and device controls went through ferry.sys down\n\
         to pier.sys and back; some were held, delayed or cancelled on the way, and each was completed once.\n\
         Next: `cargo xtask test` runs every check; README.md says what is proven where."
    );
    Ok(())
}

fn headline(text: &str) {
    println!("\n== {text}");
}

/// A running `drydock serve`.
struct Dock {
    child: Child,
    /// Copies what it prints.
    printer: JoinHandle<()>,
    socket: std::path::PathBuf,
}

impl Dock {
    /// Starts it and waits until it accepts programs.
    fn start(project: &Project) -> Result<Self> {
        // A socket's path may have 107 bytes at most; the repository's own may be longer.
        let folder = std::env::temp_dir().join(format!("ferry-demo-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let socket = folder.join("socket");
        let mut drydock = Command::new(project.path("host/target/debug/drydock"));
        drydock.arg("serve").arg("--socket").arg(&socket);
        drydock
            .arg("--image")
            .arg(project.images().join("pier.sys"));
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
            child,
            printer,
            socket,
        })
    }

    /// Asks it to stop, and fails unless it found nothing wrong.
    fn stop(mut self) -> Result<()> {
        process::run(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
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
