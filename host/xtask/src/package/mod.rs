//! `cargo xtask package`: the folders that are handed to a test machine, stamped, signed and checked.
//!
//! `target/package/ARCH/NAME` holds `.sys`, `.inf`, `.map`, on Windows also `.pdb` and `.cat`. The image is
//! signed before the catalogue is made: it is linked with /INTEGRITYCHECK and needs a signature of its own.
//! On Linux there is no catalogue: no package registry has a program that makes one, so that is left to
//! Inf2Cat. A folder that has one, because it was packaged on Windows, is checked here all the same.

mod check;
mod files;
mod linux;
mod stamp;
mod windows;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    arch::Arch,
    audit,
    cross_cargo::Profile,
    drivers::{self, BuildOptions, DRIVERS},
    inf,
    kmdf::KmdfVersion,
    project::Project,
};
use files::Package;
pub use stamp::Stamp;

/// What `package` is asked on the command line.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Architecture of the images
    #[arg(long, value_enum, default_value_t)]
    arch: Arch,
    /// KMDF version the drivers ask for; the one in Cargo.toml if not given
    #[arg(long)]
    kmdf: Option<KmdfVersion>,
    /// Leave everything unsigned, for a signing service
    #[arg(long)]
    unsigned: bool,
    /// Check these finished package folders instead: signatures, and the catalogue's hashes
    #[arg(long, num_args = 1.., value_name = "FOLDER", conflicts_with_all = ["kmdf", "unsigned"])]
    check: Vec<PathBuf>,
    /// With --check: the certificate (PEM or DER) that signed them
    #[arg(long, value_name = "FILE", requires = "check")]
    certificate: Option<PathBuf>,
}

impl Args {
    /// A signed package of this architecture.
    pub fn of(arch: Arch) -> Self {
        Self {
            arch,
            ..Self::default()
        }
    }
}

/// What `stamp-inf` is asked on the command line.
#[derive(Debug, clap::Args)]
pub struct StampArgs {
    /// The .inx file
    inx: PathBuf,
    /// The .inf file to write; it may be the same file
    inf: PathBuf,
    /// What $ARCH$ stands for
    #[arg(long, value_enum, default_value_t)]
    arch: Arch,
    /// What $KMDFVERSION$ stands for; the version in Cargo.toml if not given
    #[arg(long)]
    kmdf: Option<KmdfVersion>,
}

/// `cargo xtask stamp-inf`.
pub fn stamp(project: &Project, args: &StampArgs) -> Result<()> {
    Stamp::of(project, args.arch, args.kmdf)?.write(&args.inx, &args.inf)
}

/// `cargo xtask package`; gives the number of checks that passed.
pub fn run(project: &Project, args: &Args) -> Result<usize> {
    if !args.check.is_empty() {
        return check::folders(project, &args.check, args.certificate.as_deref());
    }
    let stamp = Stamp::of(project, args.arch, args.kmdf)?;
    let packages = assemble(project, &stamp)?;
    let mut checks = packages.len();
    if cfg!(windows) {
        checks += windows::finish(&packages, args.arch, !args.unsigned)?;
    } else if !args.unsigned {
        checks += linux::finish(project, &packages)?;
    }
    for package in &packages {
        package.print(project)?;
    }
    if !cfg!(windows) {
        println!(
            "no catalogue: Inf2Cat makes it, on Windows (scripts/sign.ps1 runs it over these folders);\n\
             no .pdb: the reproducible build writes none, the .map has the symbols"
        );
    }
    Ok(checks)
}

/// Checks finished package folders: signatures, and the catalogues' hashes; gives the number of checks.
pub fn check(project: &Project, folders: &[PathBuf], certificate: &Path) -> Result<usize> {
    check::folders(project, folders, Some(certificate))
}

/// Fills the package folders with images, maps and stamped INFs, and lints what was stamped.
fn assemble(project: &Project, stamp: &Stamp) -> Result<Vec<Package>> {
    let options = BuildOptions {
        kmdf: stamp.kmdf,
        profile: Profile::Release,
        arch: stamp.arch,
    };
    let images = drivers::build(project, options)?;
    audit::run(
        project,
        &images.iter().map(|i| i.path.clone()).collect::<Vec<_>>(),
    )?;
    let from = drivers::image_folder(project, options);
    let mut packages = Vec::new();
    for name in DRIVERS {
        let folder = project.path(&format!("target/package/{}/{name}", stamp.arch));
        if folder.exists() {
            // Nothing of an earlier package may get into this one's catalogue.
            fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let package = Package::new(name, folder);
        for extension in ["sys", "map", "pdb"] {
            let file = from.join(format!("{name}.{extension}"));
            if file.exists() {
                fs::copy(&file, package.file(extension))
                    .with_context(|| file.display().to_string())?;
            } else if extension != "pdb" {
                bail!("{} is missing after the build", file.display());
            }
        }
        let inx = project.path(&format!("inf/{name}.inx"));
        stamp.write(&inx, &package.file("inf"))?;
        packages.push(package);
    }
    let infs = packages.iter().map(|p| p.file("inf")).collect();
    inf::run(project, inf::Args::of_files(infs, stamp.kmdf))?;
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// cargo-make and cargo-wdk package every member that carries `[package.metadata.wdk]`, and fail without an .inx.
    #[test]
    fn the_members_that_the_wdk_tools_package_are_those_that_have_an_inx() {
        let project = Project::here();
        let mut marked = Vec::new();
        let mut folders = vec![project.path("."), project.path("drivers/pier")];
        for of_many in ["crates", "tests/drivers"] {
            let entries = fs::read_dir(project.path(of_many)).expect(of_many);
            folders.extend(entries.map(|e| e.expect(of_many).path()));
        }
        for folder in folders {
            let Ok(text) = fs::read_to_string(folder.join("Cargo.toml")) else {
                continue;
            };
            let manifest: toml::Table = toml::from_str(&text).expect("a manifest");
            let package = &manifest["package"];
            let crate_type = manifest.get("lib").and_then(|l| l.get("crate-type"));
            if !crate_type.is_some_and(|t| t.to_string().contains("cdylib")) {
                continue; // no driver
            }
            if package
                .get("metadata")
                .is_some_and(|m| m.get("wdk").is_some())
            {
                marked.push(package["name"].as_str().expect("a name").to_owned());
            }
        }
        marked.sort();
        assert_eq!(marked, DRIVERS);
        for name in DRIVERS {
            assert!(project.path(&format!("inf/{name}.inx")).exists());
        }
    }
}
