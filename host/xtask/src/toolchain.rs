//! Finds the programs of the cross build, and installs the Debian packages that hold them.
//!
//! Nothing is fetched from anywhere but the package managers.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{arch::Arch, process, project::Project};

/// The triple of the images that are tested; [`Arch`] has the other one.
pub const TARGET: &str = Arch::Amd64.triple();

/// The triple the program is built for: mingw-w64 has what its linking needs.
pub const APP_TARGET: &str = "x86_64-pc-windows-gnu";

/// LLVM of this major version parses the headers and links the images (22 and later breaks bindgen).
const LLVM: &str = "/usr/lib/llvm-19";

/// Which package holds a file the build needs.
struct Need {
    file: &'static str,
    package: &'static str,
}

const LLVM_NEEDS: &[Need] = &[
    Need {
        file: "/usr/lib/llvm-19/bin/lld-link",
        package: "lld-19",
    },
    Need {
        file: "/usr/lib/llvm-19/bin/clang",
        package: "clang-19",
    },
    Need {
        file: "/usr/lib/llvm-19/bin/llvm-dlltool",
        package: "llvm-19",
    },
    Need {
        file: "/usr/lib/llvm-19/lib/libclang.so",
        package: "libclang-19-dev",
    },
    Need {
        file: "/usr/share/mingw-w64/include/ddk/wdm.h",
        package: "mingw-w64-common",
    },
];

const SIGNING_NEEDS: &[Need] = &[
    Need {
        file: "/usr/bin/osslsigncode",
        package: "osslsigncode",
    },
    Need {
        file: "/usr/bin/openssl",
        package: "openssl",
    },
];

const PYTHON: Need = Need {
    file: "/usr/bin/python3",
    package: "python3-venv",
};

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_RUST: &[Need] = &[
    Need {
        file: DEBIAN_RUSTC,
        package: "rustc-web",
    },
    Need {
        file: "/usr/lib/rustlib/src/rust/library/core/Cargo.toml",
        package: "rust-web-src",
    },
];
const MINGW_GCC: Need = Need {
    file: "/usr/bin/x86_64-w64-mingw32-gcc",
    package: "gcc-mingw-w64-x86-64",
};
const DEBIAN_CLIPPY: Need = Need {
    file: "/usr/bin/clippy-driver",
    package: "rust-web-clippy",
};
/// Debian's Rust before 1.91 (`rust-version` of the drivers) cannot compile them; a machine set up long ago, or from stale package
/// lists, has one.
const OLDEST_RUSTC: (u32, u32) = (1, 91);

const DEBIAN_RUSTFMT: &str = "/usr/bin/rustfmt";
const DEBIAN_FMT: &[Need] = &[
    Need {
        file: DEBIAN_RUSTFMT,
        package: "rustfmt-web",
    },
    Need {
        file: "/usr/bin/cargo-fmt",
        package: "rustfmt-web",
    },
];

/// The compiler that makes the images.
#[derive(Debug, Clone)]
pub struct Rustc {
    /// Its path.
    pub path: PathBuf,
    /// Whether `core` and `alloc` have to be compiled too (no Windows target installed).
    pub build_std: bool,
}

/// Every program of the cross build.
#[derive(Debug, Clone)]
pub struct Toolchain {
    /// The compiler.
    pub rustc: Rustc,
}

impl Rustc {
    /// Debian's own, which brings the sources of the standard library.
    fn of_debian() -> Self {
        Self {
            path: DEBIAN_RUSTC.into(),
            build_std: true,
        }
    }

    /// The compiler of the user-mode program, with the linker it needs.
    pub fn for_app() -> Result<Self> {
        let rustc = rustc_with_target(APP_TARGET);
        let mut missing: Vec<&Need> = Vec::new();
        if MINGW_GCC.is_missing() {
            missing.push(&MINGW_GCC);
        }
        if rustc.is_none() {
            missing.extend(debian_rust_to_install());
        }
        install(&missing)?;
        Ok(rustc.unwrap_or_else(Self::of_debian))
    }
}

impl Toolchain {
    /// Finds everything, installing what is missing if that is allowed.
    pub fn find() -> Result<Self> {
        Self::find_for(Arch::Amd64)
    }

    /// Finds everything for images of this architecture.
    pub fn find_for(arch: Arch) -> Result<Self> {
        let rustc = rustc_with_target(arch.triple());
        let mut missing: Vec<&Need> = LLVM_NEEDS.iter().filter(|n| n.is_missing()).collect();
        if rustc.is_none() {
            missing.extend(debian_rust_to_install());
        }
        install(&missing)?;
        Ok(Self {
            rustc: rustc.unwrap_or_else(Rustc::of_debian),
        })
    }

    /// A program of LLVM, by its plain name (`lld-link`, `llvm-lib`, …).
    pub fn llvm(&self, tool: &str) -> PathBuf {
        Path::new(LLVM).join("bin").join(tool)
    }

    /// Where bindgen finds libclang.
    pub fn libclang(&self) -> PathBuf {
        Path::new(LLVM).join("lib")
    }

    /// The clippy that belongs to [`Self::rustc`].
    pub fn clippy_driver(&self) -> Result<PathBuf> {
        if self.rustc.build_std {
            if DEBIAN_CLIPPY.is_missing() {
                install(&[&DEBIAN_CLIPPY])?;
            }
            return Ok(DEBIAN_CLIPPY.file.into());
        }
        let beside = self.rustc.path.with_file_name("clippy-driver");
        if !beside.exists() {
            bail!(
                "no clippy-driver beside {}; run `rustup component add clippy`",
                self.rustc.path.display()
            );
        }
        Ok(beside)
    }

    /// What identifies the compilers: part of the key of the target folder.
    pub fn identity(&self) -> Result<String> {
        process::output(Command::new(&self.rustc.path).arg("-vV"))
    }
}

/// Sees to it that images can be test-signed and signatures verified.
pub fn signing() -> Result<()> {
    let missing: Vec<&Need> = SIGNING_NEEDS.iter().filter(|n| n.is_missing()).collect();
    install(&missing)
}

/// A Python that can make virtual environments.
pub fn python() -> Result<&'static str> {
    if works(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        return Ok("python3");
    }
    install(&[&PYTHON])?;
    Ok(PYTHON.file)
}

/// The cargo that runs us.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// `cargo fmt`, of the host's toolchain or else of Debian.
pub fn cargo_fmt() -> Result<Command> {
    let mut own = Command::new(cargo());
    own.arg("fmt");
    if works(Command::new(cargo()).args(["fmt", "--version"])) {
        return Ok(own);
    }
    install(
        &DEBIAN_FMT
            .iter()
            .filter(|n| n.is_missing())
            .collect::<Vec<_>>(),
    )?;
    let mut debian = Command::new("/usr/bin/cargo-fmt");
    debian
        .arg("fmt")
        .env("RUSTFMT", DEBIAN_RUSTFMT)
        .env("CARGO", cargo());
    Ok(debian)
}

/// rustfmt itself.
pub fn rustfmt() -> Result<Command> {
    if works(Command::new("rustfmt").arg("--version")) {
        return Ok(Command::new("rustfmt"));
    }
    install(
        &DEBIAN_FMT
            .iter()
            .filter(|n| n.is_missing())
            .collect::<Vec<_>>(),
    )?;
    Ok(Command::new(DEBIAN_RUSTFMT))
}

/// Clippy for the host workspace, warnings being errors: of the host's toolchain or else of Debian.
pub fn host_clippy(project: &Project) -> Result<Command> {
    let mut command = Command::new(cargo());
    command
        .env("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__")
        .arg("check");
    if works(Command::new(cargo()).args(["clippy", "--version"])) {
        command.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");
        return Ok(command);
    }
    let mut needs = debian_rust_to_install();
    if DEBIAN_CLIPPY.is_missing() {
        needs.push(&DEBIAN_CLIPPY);
    }
    install(&needs)?;
    command
        .env("RUSTC", DEBIAN_RUSTC)
        .env("RUSTC_WORKSPACE_WRAPPER", DEBIAN_CLIPPY.file);
    command.env(
        "CARGO_TARGET_DIR",
        project.path("host/target/debian-clippy"),
    );
    Ok(command)
}

fn works(command: &mut Command) -> bool {
    process::output(command).is_ok()
}

impl Need {
    fn is_missing(&self) -> bool {
        !Path::new(self.file).exists()
    }
}

/// What of Debian's Rust is missing; all of it if it is too old, so that compiler, library source and lints stay one version.
fn debian_rust_to_install() -> Vec<&'static Need> {
    let old = process::output(Command::new(DEBIAN_RUSTC).arg("--version"))
        .is_ok_and(|version| rustc_version(&version).is_some_and(|v| v < OLDEST_RUSTC));
    let clippy = (old && !DEBIAN_CLIPPY.is_missing()).then_some(&DEBIAN_CLIPPY);
    DEBIAN_RUST
        .iter()
        .filter(|need| old || need.is_missing())
        .chain(clippy)
        .collect()
}

/// Major and minor of what `rustc --version` says.
fn rustc_version(says: &str) -> Option<(u32, u32)> {
    let mut numbers = says.split_whitespace().nth(1)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The rustc on the PATH, if `target` is installed for it.
fn rustc_with_target(target: &str) -> Option<Rustc> {
    let sysroot = process::output(Command::new("rustc").args(["--print", "sysroot"])).ok()?;
    let sysroot = Path::new(sysroot.trim());
    let lib = sysroot.join("lib/rustlib").join(target).join("lib");
    let has_core = std::fs::read_dir(lib)
        .ok()?
        .filter_map(Result::ok)
        .any(|e| e.file_name().to_string_lossy().starts_with("libcore-"));
    has_core.then(|| Rustc {
        path: sysroot.join("bin/rustc"),
        build_std: false,
    })
}

/// Installs the packages of `missing`, or stops with the command that would.
fn install(missing: &[&Need]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|n| n.package).collect();
    let by_hand = format!(
        "apt-get install --no-install-recommends {}",
        packages.join(" ")
    );
    if !Path::new("/usr/bin/apt-get").exists() {
        let files: Vec<&str> = missing.iter().map(|n| n.file).collect();
        bail!(
            "missing: {}\nThis machine has no apt-get. On Debian: {by_hand}",
            files.join(", ")
        );
    }
    let Some(mut apt) = apt_get() else {
        bail!("packages are missing and may not be installed from here; run\n    sudo {by_hand}");
    };
    eprintln!("installing {}", packages.join(" "));
    apt.args(["install", "--yes", "--no-install-recommends"])
        .args(&packages);
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    // Always: a fresh machine has no package lists, or lists from before the compiler's last security update.
    let mut update = apt_get().context("apt-get")?;
    process::output(update.arg("update"))?;
    process::output(&mut apt).with_context(|| format!("run by hand: sudo {by_hand}"))?;
    if let Some(still) = missing.iter().find(|n| n.is_missing()) {
        bail!(
            "package {} was installed but {} is not there",
            still.package,
            still.file
        );
    }
    Ok(())
}

/// `apt-get` as root: directly, or by a sudo that asks no password.
fn apt_get() -> Option<Command> {
    let id = process::output(Command::new("id").arg("-u")).ok()?;
    if id.trim() == "0" {
        return Some(Command::new("apt-get"));
    }
    let sudo = Command::new("sudo")
        .args(["-n", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !sudo.is_ok_and(|s| s.success()) {
        return None;
    }
    let mut apt = Command::new("sudo");
    apt.args(["-n", "apt-get"]);
    Some(apt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_compiler_is_told_from_a_new_one() {
        assert_eq!(
            rustc_version("rustc 1.96.0 (ac68faa20 2026-05-25)"),
            Some((1, 96))
        );
        let old =
            rustc_version("rustc 1.85.0 (4d91de4e4 2025-02-17) (built from a source tarball)");
        assert!(old.is_some_and(|version| version < OLDEST_RUSTC));
        assert_eq!(rustc_version("cargo-fmt"), None);
    }
}
