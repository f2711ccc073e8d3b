//! Format and lints of both workspaces; warnings are errors.

use std::process::Command;

use anyhow::Result;

use crate::{
    cross_cargo::{CrossCargo, Profile},
    kmdf::KmdfVersion,
    process,
    project::Project,
    toolchain::{self, Toolchain},
    wdk_tree::WdkTree,
};

/// The manifests of the two workspaces.
const WORKSPACES: &[&str] = &["Cargo.toml", "host/Cargo.toml"];

/// Crates that are compiled alone and belong to no workspace.
const LOOSE: &[&str] = &[
    "cross/wdf-driver-entry/src/lib.rs",
    "cross/wdk-build/src/lib.rs",
];

/// Checks that rustfmt would change nothing.
pub fn format(project: &Project) -> Result<()> {
    for manifest in WORKSPACES {
        let mut fmt = toolchain::cargo_fmt()?;
        fmt.arg("--manifest-path")
            .arg(project.path(manifest))
            .args(["--all", "--check"]);
        process::run(&mut fmt)?;
    }
    let mut rustfmt = toolchain::rustfmt()?;
    rustfmt
        .args(["--edition", "2024", "--check"])
        .args(LOOSE.iter().map(|f| project.path(f)));
    process::run(&mut rustfmt)
}

/// Lints the driver workspace with the clippy of the compiler that builds the images.
pub fn drivers(project: &Project) -> Result<()> {
    let tools = Toolchain::find()?;
    let tree = WdkTree::assemble(project, &tools, KmdfVersion::DEFAULT)?;
    let cross = CrossCargo {
        project,
        tools: &tools,
        tree: &tree,
        profile: Profile::Release,
    };
    let mut cargo = cross.workspace("check")?;
    cargo.env("RUSTC_WORKSPACE_WRAPPER", tools.clippy_driver()?);
    // What `cargo clippy -- -D warnings` hands to clippy-driver.
    cargo.env("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__");
    cargo.arg("--workspace");
    process::run_patched_cargo(&mut cargo)
}

/// Lints the host workspace.
pub fn host(project: &Project) -> Result<()> {
    let mut clippy = toolchain::host_clippy(project)?;
    clippy
        .arg("--manifest-path")
        .arg(project.path("host/Cargo.toml"));
    clippy.args(["--workspace", "--all-targets", "--all-features"]);
    process::run(&mut clippy)
}

/// Cargo, for the host.
pub fn host_cargo(project: &Project, subcommand: &str) -> Command {
    let mut cargo = Command::new(toolchain::cargo());
    cargo
        .arg(subcommand)
        .arg("--manifest-path")
        .arg(project.path("host/Cargo.toml"));
    cargo
}
