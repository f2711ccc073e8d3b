//! Every developer command of the project: `cargo xtask <command>`.

mod cross_cargo;
mod drivers;
mod entry_stub;
mod inf;
mod kmdf;
mod process;
mod project;
mod toolchain;
mod wdf_header;
mod wdk_tree;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{cross_cargo::Profile, drivers::BuildOptions, kmdf::KmdfVersion, project::Project};

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
    },
    /// Lint the driver workspace; warnings are errors
    ClippyDrivers,
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
        Command::Build { dev, kmdf } => {
            let profile = if dev { Profile::Dev } else { Profile::Release };
            for image in drivers::build(&project, BuildOptions { kmdf, profile })? {
                println!("{}", image.line(&project));
            }
            Ok(())
        }
        Command::ClippyDrivers => drivers::clippy(&project),
        Command::LintInf(args) => inf::run(&project, args),
    }
}
