//! Every developer command of the project: `cargo xtask <command>`.

mod app;
mod arch;
mod audit;
mod c_drivers;
mod c_image;
mod checklist;
mod conform;
mod cross_cargo;
mod demo;
mod dock;
mod drivers;
mod entry_stub;
mod evidence;
mod headers;
mod inf;
mod kmdf;
mod lint;
mod must_not_compile;
mod mutate;
mod package;
mod process;
mod project;
mod reproduce;
mod rules;
mod scripts;
mod size;
mod spec;
mod suite;
mod toolchain;
mod wdf_header;
mod wdk_tree;
mod workflows;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{
    arch::Arch,
    c_image::{CDriver, CKit, Model},
    cross_cargo::Profile,
    drivers::BuildOptions,
    kmdf::KmdfVersion,
    project::Project,
};

/// Every developer command of the project.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build ferry.sys and pier.sys into target/images
    Build {
        /// Unoptimised images with a PDB, into target/images/dev
        #[arg(long)]
        dev: bool,
        /// KMDF version the drivers ask for
        #[arg(long, default_value_t = KmdfVersion::DEFAULT)]
        kmdf: KmdfVersion,
        /// Architecture; images of another than x86_64 go into a folder of its name
        #[arg(long, value_enum, default_value_t)]
        arch: Arch,
        /// Build ferryctl.exe and seatrial.exe for Windows into target/app instead
        #[arg(long, conflicts_with_all = ["dev", "kmdf", "arch"])]
        app: bool,
    },
    /// Everything there is to check; the last line is `N passed, N failed`
    Test {
        /// Only the steps whose name contains this
        step: Option<String>,
    },
    /// From nothing to a program's requests travelling through ferry.sys: set up, build, audit, serve, exercise
    Demo,
    /// Lint the driver workspace; warnings are errors
    ClippyDrivers,
    /// Build the conformance driver (C), target/images/conform.sys and conform-verifier.sys
    ConformanceImages {
        /// KMDF version the driver asks for
        #[arg(long, default_value_t = KmdfVersion::DEFAULT)]
        kmdf: KmdfVersion,
    },
    /// Run the conformance driver on drydock and compare its logs with those of Microsoft's framework
    Conform {
        /// Show the differences of the scenarios whose name contains this
        scenario: Option<String>,
    },
    /// The specification beside drydock: per group, what is implemented, proven, not modelled, open
    Spec(spec::Args),
    /// Small mistakes in drydock's model of the framework, one at a time: does the suite notice?
    Mutate(mutate::Args),
    /// Microsoft's KMDF rules: what keeps each in the safe API, and the program that proves it by not compiling
    Rules,
    /// Image sizes, and what a request costs in instructions and calls, beside drivers written by hand; fails over the limits
    Size,
    /// Build the drivers in C that drydock is tested with (host/drydock/tests/drivers), to target/images/c
    CDrivers {
        /// Only these
        names: Vec<String>,
        /// KMDF version the drivers ask for
        #[arg(long, default_value_t = KmdfVersion::DEFAULT)]
        kmdf: KmdfVersion,
    },
    /// Build the drivers in Rust the scenarios load (tests/drivers), to target/images/rust
    RustDrivers {
        /// Only these
        names: Vec<String>,
        /// Unoptimised images with a PDB, to target/images/dev/rust
        #[arg(long)]
        dev: bool,
        /// KMDF version the drivers ask for
        #[arg(long, default_value_t = KmdfVersion::DEFAULT)]
        kmdf: KmdfVersion,
    },
    /// Compile a driver written in C to target/images/c/NAME.sys
    Cc {
        /// Name of the image, without .sys
        name: String,
        /// C source files
        #[arg(required = true)]
        sources: Vec<PathBuf>,
        /// What it is written against
        #[arg(long, value_enum, default_value_t = Model::Kmdf)]
        model: Model,
        /// Folder searched for headers
        #[arg(short = 'I', long = "include")]
        includes: Vec<PathBuf>,
        /// KMDF version the driver asks for
        #[arg(long, default_value_t = KmdfVersion::DEFAULT)]
        kmdf: KmdfVersion,
    },
    /// Check images: headers, sections, imports, instructions, build paths
    Audit {
        /// Images; ferry.sys and pier.sys in target/images if none is named
        images: Vec<PathBuf>,
    },
    /// Make the package folders, target/package/ARCH/NAME: stamped, linted, test-signed, verified
    Package(package::Args),
    /// Take finished packages, as they lie there, through audit, scenarios, check and exploration
    Evidence(evidence::Args),
    /// Fill an .inx in: date and version from Cargo.toml, architecture, KMDF version
    StampInf(package::StampArgs),
    /// Build here and in a copy in another folder, and compare the bytes
    Reproduce,
    /// Parse the PowerShell scripts and hold them to rules
    LintScripts,
    /// Check the GitHub workflows
    LintWorkflows,
    /// Check INF files with the project's own rules
    LintInf(inf::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let project = Project::here();
    match command {
        Command::Build { app: true, .. } => {
            for program in app::build(&project)? {
                println!("{}", program.line(&project));
            }
            Ok(())
        }
        Command::Build {
            dev, kmdf, arch, ..
        } => {
            let profile = if dev { Profile::Dev } else { Profile::Release };
            for image in drivers::build(
                &project,
                BuildOptions {
                    kmdf,
                    profile,
                    arch,
                },
            )? {
                println!("{}", image.line(&project));
            }
            Ok(())
        }
        Command::Test { step } => suite::run(&project, step.as_deref()),
        Command::Demo => demo::run(&project),
        Command::ClippyDrivers => lint::drivers(&project),
        Command::ConformanceImages { kmdf } => {
            for image in c_image::build_conformance(&project, kmdf)? {
                println!("{}", image.line(&project));
            }
            Ok(())
        }
        Command::Conform { scenario } => {
            conform::run(&project, scenario.as_deref()).map(|_matching| ())
        }
        Command::Spec(args) => spec::run(&project, &args).map(|_proven| ()),
        Command::Mutate(args) => mutate::run(&project, &args),
        Command::Size => size::run(&project).map(|_kept| ()),
        Command::Rules => rules::run(&project),
        Command::CDrivers { names, kmdf } => {
            for image in c_drivers::build(&project, kmdf, &names)? {
                println!("{}", image.line(&project));
            }
            Ok(())
        }
        Command::RustDrivers { names, dev, kmdf } => {
            let profile = if dev { Profile::Dev } else { Profile::Release };
            let options = BuildOptions {
                kmdf,
                profile,
                arch: Arch::Amd64,
            };
            for image in drivers::build_for_tests(&project, options, &names)? {
                println!("{}", image.line(&project));
            }
            Ok(())
        }
        Command::Cc {
            name,
            sources,
            model,
            includes,
            kmdf,
        } => {
            let folder = project.images().join("c");
            let driver = CDriver {
                name: &name,
                model,
                sources,
                includes,
                folder,
                strict: false,
                compile: &[],
                link: &[],
            };
            let kit = CKit::prepare(&project, kmdf)?;
            println!("{}", c_image::build(&kit, &driver)?.line(&project));
            Ok(())
        }
        Command::Audit { images } => audit::run(&project, &images).map(|_checks| ()),
        Command::Package(args) => package::run(&project, &args).map(|_checks| ()),
        Command::Evidence(args) => evidence::run(&project, &args),
        Command::StampInf(args) => package::stamp(&project, &args),
        Command::Reproduce => reproduce::run(&project),
        Command::LintScripts => scripts::run(&project).map(|_files| ()),
        Command::LintWorkflows => workflows::lint(&project).map(|_checks| ()),
        Command::LintInf(args) => inf::run(&project, args),
    }
}
