//! The drivers in C that drydock is tested with and that ferry is measured against, by their lists.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{
    c_image::{self, CDriver, CKit, Model},
    drivers::Image,
    kmdf::KmdfVersion,
    project::Project,
};

/// Folders with a `drivers.toml`.
const FOLDERS: [&str; 2] = ["host/drydock/tests/drivers", "tests/drivers/raw/c"];

/// `drivers.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    driver: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// File name of the image, without `.sys`.
    name: String,
    model: Model,
    /// Relative to the list.
    sources: Vec<String>,
    /// Further options of the compiler.
    #[serde(default)]
    compile: Vec<String>,
    /// Further options of the linker.
    #[serde(default)]
    link: Vec<String>,
}

/// Compiles the drivers named, or all of the lists, to `target/images/c`.
pub fn build(project: &Project, kmdf: KmdfVersion, names: &[String]) -> Result<Vec<Image>> {
    let mut drivers: Vec<(PathBuf, Entry)> = Vec::new();
    for folder in FOLDERS {
        let folder = project.path(folder);
        let list = read(&folder.join("drivers.toml"))?;
        drivers.extend(list.driver.into_iter().map(|entry| (folder.clone(), entry)));
    }
    for name in names {
        if !drivers.iter().any(|(_, driver)| driver.name == *name) {
            let known: Vec<&str> = drivers.iter().map(|(_, d)| d.name.as_str()).collect();
            bail!("there is no driver {name}; known: {}", known.join(", "));
        }
    }
    let kit = CKit::prepare(project, kmdf)?;
    drivers
        .iter()
        .filter(|(_, entry)| names.is_empty() || names.contains(&entry.name))
        .map(|(folder, entry)| {
            c_image::build(
                &kit,
                &CDriver {
                    name: &entry.name,
                    model: entry.model,
                    sources: entry.sources.iter().map(|s| folder.join(s)).collect(),
                    includes: Vec::new(),
                    folder: project.images().join("c"),
                    strict: true,
                    compile: &entry.compile,
                    link: &entry.link,
                },
            )
        })
        .collect()
}

fn read(path: &Path) -> Result<List> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}
