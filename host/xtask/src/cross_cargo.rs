//! Runs cargo on the driver workspace as the cross kit wants it.
//!
//! The workspace's files stay those of the genuine Windows flow: the `wdk-build` stand-in and the
//! lock file that follows from it are swapped in on cargo's command line, and only here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    project::Project,
    toolchain::{self, Toolchain},
    wdk_tree::WdkTree,
};

/// How images are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// What ships: optimised, reproducible, no PDB.
    Release,
    /// Unoptimised, with a PDB.
    Dev,
}

impl Profile {
    /// Cargo's folder name for it.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "debug",
        }
    }
}

/// Cargo, set up for one tree and profile.
#[derive(Debug)]
pub struct CrossCargo<'a> {
    /// The repository.
    pub project: &'a Project,
    /// The compilers.
    pub tools: &'a Toolchain,
    /// The headers and libraries.
    pub tree: &'a WdkTree,
    /// How to compile.
    pub profile: Profile,
}

impl CrossCargo<'_> {
    /// `cargo <subcommand>` on the driver workspace, for the Windows target.
    pub fn workspace(&self, subcommand: &str) -> Result<Command> {
        let lock = self.seeded_lock()?;
        let mut cargo = self.cargo(subcommand);
        cargo.current_dir(self.project.root());
        cargo.arg("--config").arg(format!(
            "patch.crates-io.wdk-build.path=\"{}\"",
            self.project.path("cross/wdk-build").display()
        ));
        cargo.args(["-Zlockfile-path", "--config"]);
        cargo.arg(format!("resolver.lockfile-path=\"{}\"", lock.display()));
        // What a pinned dependency warns of is not ours to change.
        cargo.args(["--config", "future-incompat-report.frequency=\"never\""]);
        cargo.env("WDKContentRoot", &self.tree.root);
        cargo.env("WDK_MANIFEST", self.tree.driver_model_manifest());
        cargo.env("LIBCLANG_PATH", self.tools.libclang());
        // wdk-sys compiles a little C; the names choose the MSVC driver mode.
        let target = self.tree.arch.variable();
        cargo.env(format!("CC_{target}"), self.clang_cl()?);
        cargo.env(format!("AR_{target}"), self.tools.llvm("llvm-lib"));
        cargo.env(format!("CFLAGS_{target}"), "-w");
        Ok(cargo)
    }

    /// `cargo <subcommand>` on any manifest, for the Windows target.
    pub fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = Command::new(toolchain::cargo());
        // A toolchain of the host's rustup would override RUSTC's standard library.
        cargo
            .env_remove("RUSTC_WRAPPER")
            .env_remove("RUSTC_WORKSPACE_WRAPPER")
            .env_remove("RUSTFLAGS");
        cargo
            .env("RUSTC", &self.tools.rustc.path)
            .env("RUSTC_BOOTSTRAP", "1");
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.rustflags().join("\u{1f}"));
        cargo.env("CARGO_TARGET_DIR", &self.tree.target);
        cargo
            .arg(subcommand)
            .args(["--target", self.tree.arch.triple()]);
        if self.tools.rustc.build_std {
            cargo.arg("-Zbuild-std=core,alloc");
        }
        match self.profile {
            Profile::Release => cargo.arg("--release"),
            // Unoptimised memory intrinsics do not link without a C runtime.
            Profile::Dev => cargo.args([
                "--config",
                "profile.dev.package.compiler_builtins.opt-level=2",
            ]),
        };
        cargo
    }

    /// clang under the name that makes it speak MSVC's command line.
    ///
    /// A link of our own: Debian has that name in a package of analysis tools, which brings Python along.
    fn clang_cl(&self) -> Result<PathBuf> {
        let folder = self.project.cross_target().join("tools");
        let link = folder.join("clang-cl");
        if !link.exists() {
            fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
            // A link that leads nowhere is there for the system and not for `exists`.
            let _ = fs::remove_file(&link);
            link_program(&self.tools.llvm("clang"), &link)
                .with_context(|| format!("cannot link {}", link.display()))?;
        }
        Ok(link)
    }

    fn rustflags(&self) -> Vec<String> {
        let mut flags = vec![
            "-Ctarget-feature=+crt-static".to_string(),
            format!("-Clinker={}", self.tools.llvm("lld-link").display()),
        ];
        if self.profile == Profile::Release {
            // rustc asks for a PDB whatever the profile says; its identity differs from run to run.
            flags.push("-Clink-arg=/DEBUG:NONE".into());
        }
        // No path of this machine may reach the image: the same source gives the same bytes anywhere.
        let cargo_home = std::env::var_os("CARGO_HOME").map_or_else(
            || std::env::home_dir().unwrap_or_default().join(".cargo"),
            PathBuf::from,
        );
        for (from, to) in [
            (self.tree.target.as_path(), "build"),
            (self.project.root(), "ferry"),
            (cargo_home.as_path(), "cargo"),
            (Path::new("/usr/lib/rustlib/src/rust"), "rust"),
        ] {
            flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        }
        flags
    }

    /// The lock file of the cross build: the genuine one, less what the stand-in does not need.
    ///
    /// Seeded again only when the genuine one changes, so that a build needs no registry.
    fn seeded_lock(&self) -> Result<PathBuf> {
        let genuine = self.project.path("Cargo.lock");
        let text = fs::read(&genuine).with_context(|| genuine.display().to_string())?;
        let folder = self.tree.target.with_file_name("lock");
        let (seed, lock) = (folder.join("seed"), folder.join("Cargo.lock"));
        if fs::read(&seed).ok().as_ref() != Some(&text) || !lock.exists() {
            fs::create_dir_all(&folder)?;
            fs::write(&lock, &text)?;
            fs::write(&seed, &text)?;
        }
        Ok(lock)
    }
}

#[cfg(unix)]
fn link_program(program: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(program, link)
}

/// The cross build is Linux's; this program is compiled on Windows for its other commands.
#[cfg(not(unix))]
fn link_program(_program: &Path, _link: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
