//! Shows that two builds from two different folders give the same bytes.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{
    arch::Arch,
    cross_cargo::Profile,
    drivers::{self, BuildOptions},
    kmdf::KmdfVersion,
    project::Project,
};

/// What the drivers are built from.
const SOURCES: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "build.rs",
    ".cargo",
    "src",
    "crates",
    "drivers",
    "cross",
    "tests/drivers",
    "tests/genuine-headers",
];

/// Builds here and in a copy elsewhere, and compares the images.
pub fn run(project: &Project) -> Result<()> {
    let copy = project.path("target/reproduce/another folder/of another length");
    mirror(project.root(), &copy)?;
    let options = BuildOptions {
        kmdf: KmdfVersion::DEFAULT,
        profile: Profile::Release,
        arch: Arch::Amd64,
    };
    let here = drivers::build(project, options)?;
    let there = drivers::build(&Project::at(&copy), options)?;
    for (a, b) in here.iter().zip(&there) {
        let name = a.path.file_name().unwrap_or_default().to_string_lossy();
        if a.sha256 != b.sha256 {
            bail!(
                "{name} depends on the folder it is built in:\n  {}  {}\n  {}  {}",
                a.sha256,
                a.path.display(),
                b.sha256,
                b.path.display()
            );
        }
        println!(
            "{name}: the same {} bytes from two folders, sha256 {}",
            a.size, a.sha256
        );
    }
    Ok(())
}

/// Makes `to` hold exactly the sources of `from`, leaving equal files (and their times) alone.
fn mirror(from: &Path, to: &Path) -> Result<()> {
    let wanted: BTreeSet<PathBuf> = source_files(from)?;
    for file in &wanted {
        let (source, target) = (from.join(file), to.join(file));
        let bytes = fs::read(&source).with_context(|| source.display().to_string())?;
        if fs::read(&target).ok().as_ref() != Some(&bytes) {
            fs::create_dir_all(target.parent().context("a file has a folder")?)?;
            fs::write(&target, bytes)?;
        }
    }
    for stale in source_files(to)?.difference(&wanted) {
        fs::remove_file(to.join(stale))?;
    }
    Ok(())
}

fn source_files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut open: Vec<PathBuf> = SOURCES
        .iter()
        .map(|s| root.join(s))
        .filter(|p| p.exists())
        .collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            // Cargo marks its target folders; a module may be called so too.
            if !path.join("CACHEDIR.TAG").exists() {
                let inside = fs::read_dir(&path)?.map(|e| Ok(e?.path()));
                open.extend(inside.collect::<Result<Vec<_>>>()?);
            }
        } else {
            found.insert(path.strip_prefix(root)?.to_path_buf());
        }
    }
    Ok(found)
}
