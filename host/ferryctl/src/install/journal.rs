//! What `attach` and `detach` are about to change, written down before they change it.
//!
//! A change that was interrupted - the program killed, the machine reset - is found at the next run and taken back.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::platform::Result;

/// How far a change has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// About to be made.
    Planned,
    /// Made, and the device started with it, or will at the next boot.
    Done,
    /// Taken back.
    RolledBack,
}

/// One change of one device's list of filters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Instance id of the device.
    pub instance: String,
    /// The list before.
    pub before: Vec<String>,
    /// The list after.
    pub after: Vec<String>,
    /// How far it has come.
    pub stage: Stage,
}

/// A file of changes, one JSON object a line; the last one of a device counts.
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// The journal in that file, which need not exist.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Writes a change down; it is on the disk when this returns.
    ///
    /// # Errors
    /// The file cannot be written: then nothing may be changed.
    pub fn note(&self, change: &Change, stage: Stage) -> Result<()> {
        let line = serde_json::to_string(&Change {
            stage,
            ..change.clone()
        })
        .context("cannot put a change into JSON")?;
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .with_context(|| format!("cannot write the journal {}", self.path.display()))?;
        writeln!(file, "{line}")
            .and_then(|()| file.sync_all())
            .with_context(|| format!("cannot write the journal {}", self.path.display()))
    }

    /// Changes that were planned and neither done nor taken back.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn interrupted(&self) -> Result<Vec<Change>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read the journal {}", self.path.display()));
            }
        };
        let mut last: Vec<Change> = Vec::new();
        // A line cut off by a reset was not followed by its change.
        for change in text
            .lines()
            .filter_map(|line| serde_json::from_str::<Change>(line).ok())
        {
            last.retain(|known| known.instance != change.instance);
            last.push(change);
        }
        last.retain(|change| change.stage == Stage::Planned);
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(instance: &str) -> Change {
        Change {
            instance: instance.to_owned(),
            before: vec!["other".to_owned()],
            after: vec!["other".to_owned(), "ferry".to_owned()],
            stage: Stage::Planned,
        }
    }

    #[test]
    fn what_was_planned_and_not_finished_is_found_again() {
        let path = std::env::temp_dir().join(format!("ferry-journal-{}.jsonl", std::process::id()));
        let journal = Journal::at(&path);
        assert_eq!(journal.interrupted().unwrap(), []);
        for instance in ["A", "B", "C"] {
            journal.note(&change(instance), Stage::Planned).unwrap();
        }
        journal.note(&change("A"), Stage::Done).unwrap();
        journal.note(&change("C"), Stage::RolledBack).unwrap();
        fs::write(
            &path,
            fs::read_to_string(&path).unwrap() + "{\"instance\":\"D\",\"bef",
        )
        .unwrap();
        assert_eq!(journal.interrupted().unwrap(), [change("B")]);
        fs::remove_file(&path).unwrap();
    }
}
