//! Builds ferryctl.exe and seatrial.exe on Linux: user mode, with the standard library, by mingw-w64.

use std::{fs, process::Command};

use anyhow::{Context, Result};

use crate::{
    drivers::Image,
    process,
    project::Project,
    toolchain::{APP_TARGET, Rustc},
};

/// What a test machine runs.
const PROGRAMS: &[&str] = &["ferryctl", "seatrial"];

/// Builds the programs and puts them into `target/app`.
pub fn build(project: &Project) -> Result<Vec<Image>> {
    let rustc = Rustc::for_app()?;
    let folder = project.path("target/app");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .env_remove("RUSTC_WRAPPER")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env("RUSTC", &rustc.path)
        .env(
            "RUSTFLAGS",
            format!("--remap-path-prefix={}=ferry", project.root().display()),
        )
        .args(["build", "--locked", "--release"])
        .args(PROGRAMS.iter().flat_map(|program| ["--package", program]))
        .args(["--target", APP_TARGET, "--target-dir"])
        .arg(&folder)
        .arg("--manifest-path")
        .arg(project.path("host/Cargo.toml"));
    if rustc.build_std {
        // Debian's compiler has the sources of the standard library, not one built for Windows.
        cargo
            .env("RUSTC_BOOTSTRAP", "1")
            .arg("-Zbuild-std=std,panic_abort");
    }
    process::run(&mut cargo)?;
    let images = PROGRAMS.iter().map(|program| {
        let name = format!("{program}.exe");
        let built = folder.join(APP_TARGET).join("release").join(&name);
        let program = folder.join(name);
        fs::copy(&built, &program).with_context(|| built.display().to_string())?;
        Image::at(program)
    });
    images.collect()
}
