//! `cargo xtask demo`: from nothing to a program's requests travelling through the shipped images.

use anyhow::{Context, Result};

use crate::{
    arch::Arch,
    audit,
    cross_cargo::Profile,
    dock::Dock,
    drivers::{self, BuildOptions},
    kmdf::KmdfVersion,
    project::Project,
};

/// Builds, audits, serves, exercises, and stops cleanly.
pub fn run(project: &Project) -> Result<()> {
    headline("Build the drivers, for Windows");
    let options = BuildOptions {
        kmdf: KmdfVersion::DEFAULT,
        profile: Profile::Release,
        arch: Arch::Amd64,
    };
    for image in drivers::build(project, options)? {
        println!("{}", image.line(project));
    }
    headline("Audit the images");
    audit::run(project, &[])?;

    headline("Start drydock with pier.sys and ferry.sys above it");
    let dock = Dock::start(project)?;

    headline("A program opens the devices and sends requests");
    let exercised = dock.ferryctl(&["exercise"]);

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
