//! What `cargo xtask spec` prints.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use anyhow::{Result, bail};
use serde::Serialize;

use super::{
    id::Id,
    index::{Entry, Index},
};

/// What stands for a statement.
#[derive(Debug, Default, Serialize)]
pub struct Standing {
    /// Files of the model that name it.
    pub implemented: BTreeSet<String>,
    /// Tests and scenarios that prove it.
    pub proven: BTreeSet<String>,
    /// Why it is left out.
    pub not_modelled: Option<String>,
}

impl Standing {
    /// Neither proven nor left out with a reason.
    fn is_open(&self) -> bool {
        self.proven.is_empty() && self.not_modelled.is_none()
    }

    fn word(&self) -> &'static str {
        match (self.implemented.is_empty(), self.is_open()) {
            _ if self.not_modelled.is_some() => "not modelled",
            (false, false) => "proven",
            (true, false) => "proven, but no code names it",
            (false, true) => "OPEN: implemented, no proof",
            (true, true) => "OPEN",
        }
    }
}

#[derive(Default)]
struct Row {
    statements: usize,
    implemented: usize,
    proven: usize,
    not_modelled: usize,
    open: usize,
}

impl Row {
    fn add(&mut self, standing: &Standing) {
        self.statements += 1;
        self.implemented += usize::from(!standing.implemented.is_empty());
        self.proven += usize::from(!standing.proven.is_empty());
        self.not_modelled += usize::from(standing.not_modelled.is_some());
        self.open += usize::from(standing.is_open());
    }

    fn print(&self, name: &str) -> String {
        format!(
            "{name:<8}{:>12}{:>13}{:>8}{:>14}{:>6}\n",
            self.statements, self.implemented, self.proven, self.not_modelled, self.open
        )
    }
}

/// The figures of every group and their sum.
pub fn table(index: &Index, standing: &BTreeMap<Id, Standing>) -> String {
    let mut groups: BTreeMap<(char, &str), Row> = BTreeMap::new();
    let mut total = Row::default();
    for (id, entry) in index.statements() {
        let (Some(group), Some(standing)) = (id.group(), standing.get(id)) else {
            continue;
        };
        groups
            .entry((entry.chapter, group))
            .or_default()
            .add(standing);
        total.add(standing);
    }
    let mut out = "group     statements  implemented  proven  not modelled  open\n".to_owned();
    for ((chapter, group), row) in groups {
        out += &row.print(&format!("{chapter} {group}"));
    }
    out + &total.print("all")
}

/// Every statement of a group with what stands for it.
pub fn list(
    index: &Index,
    standing: &BTreeMap<Id, Standing>,
    group: &str,
    only_open: bool,
) -> Result<String> {
    let (mut out, mut some) = (String::new(), false);
    let chosen = |id: &Id, entry: &Entry| {
        id.group()
            .is_some_and(|name| name.eq_ignore_ascii_case(group))
            || entry.chapter.to_string().eq_ignore_ascii_case(group)
    };
    for (id, entry) in index.statements().filter(|(id, entry)| chosen(id, entry)) {
        some = true;
        let Some(standing) = standing.get(id) else {
            continue;
        };
        if only_open && !standing.is_open() {
            continue;
        }
        let _ = writeln!(out, "{id} {}: {}", standing.word(), entry.text);
        if let Some(reason) = &standing.not_modelled {
            let _ = writeln!(out, "    because {reason}");
        }
        for file in &standing.implemented {
            let _ = writeln!(out, "    in {file}");
        }
        for proof in &standing.proven {
            let _ = writeln!(out, "    by {proof}");
        }
    }
    if !some {
        bail!("{group:?} is no group; OBJ, QUE, REQ, CAN, TGT, DEV and CHK are (chapters A to G)");
    }
    Ok(out)
}

/// An entry with what stands for it.
#[derive(Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    #[serde(flatten)]
    standing: &'a Standing,
}

/// All entries, as JSON.
pub fn json(index: &Index, standing: &BTreeMap<Id, Standing>) -> Result<String> {
    let records: Vec<Record<'_>> = index
        .entries()
        .filter_map(|(id, entry)| {
            let standing = standing.get(id)?;
            Some(Record { entry, standing })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&records)?)
}
