//! One package folder and what lies in it.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{drivers::Image, project::Project};

/// A package folder: one INF and the files it installs.
#[derive(Debug)]
pub struct Package {
    /// Name of the driver, without an extension.
    pub name: String,
    /// Where it lies.
    pub folder: PathBuf,
}

impl Package {
    /// The package of driver `name` in `folder`.
    pub fn new(name: &str, folder: PathBuf) -> Self {
        Self {
            name: name.into(),
            folder,
        }
    }

    /// Its file with this extension.
    pub fn file(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.name))
    }

    /// One line for every file: path, size, hash.
    pub fn print(&self, project: &Project) -> Result<()> {
        let entries =
            fs::read_dir(&self.folder).with_context(|| self.folder.display().to_string())?;
        let mut files = entries
            .map(|e| e.map(|e| e.path()))
            .collect::<Result<Vec<_>, _>>()?;
        files.sort();
        for file in files {
            println!("{}", Image::at(file)?.line(project));
        }
        Ok(())
    }
}
