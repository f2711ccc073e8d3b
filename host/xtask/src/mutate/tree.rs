//! A copy of drydock with all mutations in it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::list::{List, SOURCES};
use crate::project::Project;

/// The environment variable that turns a mutation on, by its number.
pub const VARIABLE: &str = "DRYDOCK_MUTANT";

/// What the switches of the copy ask. The variable goes to the processes a test starts as well.
const SWITCH: &str = r#"//! Which mutation is on.

use std::sync::LazyLock;

static WANTED: LazyLock<u32> = LazyLock::new(|| {
    std::env::var("DRYDOCK_MUTANT").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
});

/// True if the mutation with this number is on.
pub fn is(number: u32) -> bool {
    *WANTED == number
}
"#;

/// What drydock is built from, and its tests.
const FOLDERS: [&str; 2] = ["host/drydock", "cross/tables"];

/// The copy, in `target/mutate`.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Copies what drydock is built from, and puts the mutations in. What is the same already keeps its time, so that cargo
    /// builds again only what changed.
    pub fn make(project: &Project, list: &List) -> Result<Self> {
        let root = project.path("target/mutate");
        let mut files = BTreeMap::new();
        for folder in FOLDERS {
            collect(project, Path::new(folder), &mut files)?;
        }
        for file in list.files() {
            let source = files
                .get_mut(&Path::new(SOURCES).join(file))
                .with_context(|| format!("{file} was not copied"))?;
            *source = list.switched(file, source);
        }
        if let Some(library) = files.get_mut(Path::new("host/drydock/src/lib.rs")) {
            *library = format!("#![allow(unused_parens)]\n{library}\nmod mutant;\n");
        }
        files.insert("host/drydock/src/mutant.rs".into(), SWITCH.to_owned());
        let read = |relative: &str| {
            let path = project.path(relative);
            fs::read_to_string(&path).with_context(|| path.display().to_string())
        };
        files.insert("host/Cargo.lock".into(), read("host/Cargo.lock")?);
        files.insert(
            "host/Cargo.toml".into(),
            workspace(&read("host/Cargo.toml")?),
        );
        for (relative, text) in &files {
            write(&root.join(relative), text)?;
        }
        for folder in FOLDERS {
            remove_others(&root, Path::new(folder), &files)?;
        }
        // The tests look for the images where they lie in the repository.
        let images = root.join("target/images");
        if !images.exists() {
            fs::create_dir_all(root.join("target"))?;
            std::os::unix::fs::symlink(project.images(), &images)?;
        }
        Ok(Self { root })
    }

    /// The copied workspace's manifest.
    pub fn manifest(&self) -> PathBuf {
        self.root.join("host/Cargo.toml")
    }

    /// Where it is built.
    pub fn target(&self) -> PathBuf {
        self.root.join("build")
    }
}

/// The workspace without the members that are not copied.
fn workspace(manifest: &str) -> String {
    let mut text = String::new();
    for line in manifest.lines() {
        if line.starts_with("default-members") || line.starts_with("ferry-abi") {
            continue;
        }
        if line.starts_with("members") {
            text.push_str("members = [\"drydock\", \"drydock/wire\"]\n");
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Reads the files of a folder that the build needs.
fn collect(project: &Project, folder: &Path, files: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    let path = project.root().join(folder);
    for entry in fs::read_dir(&path).with_context(|| path.display().to_string())? {
        let entry = entry?;
        let relative = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(project, &relative, files)?;
        } else if is_needed(&relative) {
            let text = fs::read_to_string(entry.path())
                .with_context(|| entry.path().display().to_string())?;
            files.insert(relative, text);
        }
    }
    Ok(())
}

fn is_needed(path: &Path) -> bool {
    let kinds = ["rs", "toml", "csv", "txt", "svg"];
    path.extension()
        .is_some_and(|extension| kinds.iter().any(|kind| extension == *kind))
}

/// Removes what was copied earlier and is gone: cargo finds tests by their files.
fn remove_others(root: &Path, folder: &Path, files: &BTreeMap<PathBuf, String>) -> Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let relative = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            remove_others(root, &relative, files)?;
        } else if !files.contains_key(&relative) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text).with_context(|| path.display().to_string())
}
