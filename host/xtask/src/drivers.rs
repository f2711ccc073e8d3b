//! Builds ferry.sys and pier.sys, and the drivers in Rust the scenarios load.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::{
    arch::Arch,
    cross_cargo::{CrossCargo, Profile},
    entry_stub,
    kmdf::KmdfVersion,
    package::Stamp,
    process,
    project::Project,
    toolchain::{self, Toolchain},
    wdk_tree::WdkTree,
};

/// The driver packages of the workspace that ship.
pub const DRIVERS: &[&str] = &["ferry", "pier"];

/// Where the drivers of the scenarios are: one package per folder, named like it.
const TEST_DRIVERS: &str = "tests/drivers";

/// What to build.
#[derive(Debug, Clone, Copy)]
pub struct BuildOptions {
    /// The framework version the drivers ask for.
    pub kmdf: KmdfVersion,
    /// How they are compiled.
    pub profile: Profile,
    /// What they are compiled for.
    pub arch: Arch,
}

/// A finished image.
#[derive(Debug)]
pub struct Image {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 in hex.
    pub sha256: String,
    /// Bytes.
    pub size: usize,
}

impl Image {
    /// Measures the file at `path`.
    pub fn at(path: PathBuf) -> Result<Self> {
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let sha256 = Sha256::digest(&bytes)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        Ok(Self {
            path,
            sha256,
            size: bytes.len(),
        })
    }

    /// One line: path, size, hash.
    pub fn line(&self, project: &Project) -> String {
        let path = self.path.strip_prefix(project.root()).unwrap_or(&self.path);
        format!(
            "{:<36} {:>8} bytes  sha256 {}",
            path.display(),
            self.size,
            self.sha256
        )
    }
}

/// Where the images of these options go: the default ones straight into `target/images`.
pub fn image_folder(project: &Project, options: BuildOptions) -> PathBuf {
    let mut name = Vec::new();
    if options.arch != Arch::Amd64 {
        name.push(options.arch.to_string());
    }
    if options.kmdf != KmdfVersion::DEFAULT {
        name.push(format!("kmdf-{}", options.kmdf));
    }
    if options.profile == Profile::Dev {
        name.push("dev".into());
    }
    project.images().join(name.join("-"))
}

/// Builds both drivers and copies image and map (and PDB) to the image folder.
pub fn build(project: &Project, options: BuildOptions) -> Result<Vec<Image>> {
    build_packages(project, options, DRIVERS, &image_folder(project, options))
}

/// Builds the test drivers named, or all of them, to `target/images/rust`.
pub fn build_for_tests(
    project: &Project,
    options: BuildOptions,
    names: &[String],
) -> Result<Vec<Image>> {
    let known = test_drivers(project)?;
    if let Some(stranger) = names.iter().find(|name| !known.contains(name)) {
        bail!(
            "there is no driver {stranger} in {TEST_DRIVERS}; known: {}",
            known.join(", ")
        );
    }
    let wanted: Vec<&str> = known
        .iter()
        .filter(|name| names.is_empty() || names.contains(name))
        .map(String::as_str)
        .collect();
    let folder = image_folder(project, options).join("rust");
    build_packages(project, options, &wanted, &folder)
}

/// The folders of [`TEST_DRIVERS`].
fn test_drivers(project: &Project) -> Result<Vec<String>> {
    let folder = project.path(TEST_DRIVERS);
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").exists() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn build_packages(
    project: &Project,
    options: BuildOptions,
    packages: &[&str],
    folder: &Path,
) -> Result<Vec<Image>> {
    let built = if cfg!(windows) {
        compile_with_wdk(project, options, packages)?
    } else {
        cross_compile(project, options, packages)?
    };
    fs::create_dir_all(folder)?;
    packages
        .iter()
        .map(|package| publish(&built, package, folder, options.profile))
        .collect()
}

/// The genuine flow: cargo with the published wdk-build and an installed WDK, as cargo-make and cargo-wdk call it.
fn compile_with_wdk(
    project: &Project,
    options: BuildOptions,
    packages: &[&str],
) -> Result<PathBuf> {
    let configured = Stamp::of(project, options.arch, None)?.kmdf;
    if options.kmdf != configured {
        bail!(
            "on Windows the KMDF version is workspace.metadata.wdk.driver-model of Cargo.toml, {configured} now; \
             change it there instead of asking for {}",
            options.kmdf
        );
    }
    let mut cargo = Command::new(toolchain::cargo());
    cargo.current_dir(project.root()).args([
        "build",
        "--locked",
        "--target",
        options.arch.triple(),
    ]);
    for package in packages {
        cargo.args(["--package", package]);
    }
    if options.profile == Profile::Release {
        cargo.arg("--release");
    }
    process::run(&mut cargo)?;
    Ok(project
        .path("target")
        .join(options.arch.triple())
        .join(options.profile.folder()))
}

/// The cross kit.
fn cross_compile(project: &Project, options: BuildOptions, packages: &[&str]) -> Result<PathBuf> {
    let tools = Toolchain::find_for(options.arch)?;
    let tree = WdkTree::assemble_for(project, &tools, options.kmdf, options.arch)?;
    let cross = CrossCargo {
        project,
        tools: &tools,
        tree: &tree,
        profile: options.profile,
    };
    entry_stub::build(&cross)?;

    let mut cargo = cross.workspace("build")?;
    for package in packages {
        cargo.args(["--package", package]);
    }
    process::run_patched_cargo(&mut cargo)?;

    Ok(tree
        .target
        .join(options.arch.triple())
        .join(options.profile.folder()))
}

fn publish(built: &Path, driver: &str, folder: &Path, profile: Profile) -> Result<Image> {
    let sys = folder.join(format!("{driver}.sys"));
    let dll = built.join(format!("{driver}.dll"));
    fs::copy(&dll, &sys).with_context(|| dll.display().to_string())?;
    let map = built.join("deps").join(format!("{driver}.map"));
    if !map.exists() {
        bail!("the linker wrote no {}", map.display());
    }
    fs::copy(&map, folder.join(format!("{driver}.map")))?;
    // The reproducible cross build has none: its identity would differ from run to run.
    if profile == Profile::Dev || cfg!(windows) {
        let pdb = built.join("deps").join(format!("{driver}.pdb"));
        fs::copy(&pdb, folder.join(format!("{driver}.pdb")))
            .with_context(|| pdb.display().to_string())?;
    }
    Image::at(sys)
}
