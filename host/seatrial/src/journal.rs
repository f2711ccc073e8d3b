//! What was done so far, on disk before the next thing is done: the machine may go down at any moment.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "why")]
pub enum Outcome {
    /// As the plan wants it.
    Passed,
    /// Not as the plan wants it; the text says how.
    Failed(String),
    /// Not done: the machine cannot, or the person chose so.
    NotRun(String),
}

/// One line of the record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// The step.
    pub step: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Seconds it took; 0 for steps the machine was down in.
    pub seconds: u64,
    /// File with what its commands printed.
    pub log: Option<PathBuf>,
}

/// What is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum UnderWay {
    /// A command runs. Found after a restart, it means that the machine went down on its own.
    Running {
        /// The step.
        step: String,
    },
    /// The machine was told to go down.
    Restarting {
        /// The step.
        step: String,
        /// What the witness said before.
        witness: String,
    },
}

impl UnderWay {
    /// The step.
    pub fn step(&self) -> &String {
        let (Self::Running { step } | Self::Restarting { step, .. }) = self;
        step
    }
}

/// The record on disk.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// Every attempt, oldest first; of several attempts at a step the last one counts.
    pub entries: Vec<Entry>,
    /// What is under way, if anything is.
    pub under_way: Option<UnderWay>,
}

/// The record and its file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    /// What it says.
    pub record: Record,
}

impl Journal {
    /// Opens the journal in `folder`, empty if there is none.
    ///
    /// # Errors
    /// If there is one that cannot be read.
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let path = folder.join("journal.json");
        let record = if path.exists() {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            serde_json::from_str(&text).with_context(|| {
                format!(
                    "{} is damaged; look at it, then start again with --again",
                    path.display()
                )
            })?
        } else {
            Record::default()
        };
        Ok(Self { path, record })
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn clear(folder: &Path) -> Result<()> {
        let path = folder.join("journal.json");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| path.display().to_string())
            }
            _ => Ok(()),
        }
    }

    /// Notes what is under way.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(&mut self, under_way: UnderWay) -> Result<()> {
        self.record.under_way = Some(under_way);
        self.save()
    }

    /// Notes how a step ended.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end(&mut self, entry: Entry) -> Result<()> {
        // Leaving out another step does not end the one that is under way.
        if self
            .record
            .under_way
            .as_ref()
            .is_some_and(|u| *u.step() == entry.step)
        {
            self.record.under_way = None;
        }
        self.record.entries.push(entry);
        self.save()
    }

    /// How the step ended last time, if it was tried.
    pub fn outcome(&self, step: &str) -> Option<&Outcome> {
        self.last(step).map(|e| &e.outcome)
    }

    /// The last attempt at the step.
    pub fn last(&self, step: &str) -> Option<&Entry> {
        self.record.entries.iter().rev().find(|e| e.step == step)
    }

    /// A new file, flushed, then renamed over the old one: a crash leaves one of the two whole.
    fn save(&self) -> Result<()> {
        let fresh = self.path.with_extension("new");
        let write = || -> Result<()> {
            let mut file = fs::File::create(&fresh)?;
            file.write_all(&serde_json::to_vec_pretty(&self.record)?)?;
            file.sync_all()?;
            fs::rename(&fresh, &self.path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }
}
