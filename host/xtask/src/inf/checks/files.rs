//! Copied files: where each comes from and where it goes.

use crate::inf::lint::Lint;
use crate::inf::parse::{Entry, Section};
use crate::inf::rule::Rule;

/// A file an install section copies.
pub struct Copied {
    /// Its name in the package.
    pub source: String,
    /// Its name after the copy.
    pub target: String,
    /// Line of the entry that names it.
    pub line: usize,
    /// Name of the file list it stands in; none for `CopyFiles = @file`.
    list: Option<String>,
}

/// The files `install` copies.
pub fn copied(lint: &mut Lint<'_>, install: &Section) -> Vec<Copied> {
    let mut files = Vec::new();
    for entry in install.all("CopyFiles") {
        for name in &entry.values {
            if let Some(file) = name.strip_prefix('@') {
                files.push(Copied {
                    source: file.to_owned(),
                    target: file.to_owned(),
                    line: entry.line,
                    list: None,
                });
            } else if let Some(list) = lint.refer(entry, name) {
                files.extend(list.entries.iter().map(|line| listed(list, line)));
            }
        }
    }
    files
}

fn listed(list: &Section, entry: &Entry) -> Copied {
    let target = entry.value(0).to_owned();
    let source = match entry.value(1) {
        "" => target.clone(),
        source => source.to_owned(),
    };
    Copied {
        source,
        target,
        line: entry.line,
        list: Some(list.name.clone()),
    }
}

/// Checks the copied files of all install sections against the sections that describe files.
pub fn check(lint: &mut Lint<'_>, copied: &[Copied]) {
    destinations(lint);
    let sources: Vec<&Entry> = variants(lint, "SourceDisksFiles");
    let disks: Vec<&Entry> = variants(lint, "SourceDisksNames");
    for file in copied {
        let subdir = destination(lint, file);
        let named = |source: &&&Entry| source.is(&file.source);
        let Some(source) = sources.iter().find(named) else {
            let message = format!("{} is copied but not listed as a source", file.source);
            lint.broken(Rule::SourceMissing, file.line, message);
            continue;
        };
        let renamed = !file.source.eq_ignore_ascii_case(&file.target);
        let moved = subdir.is_some_and(|subdir| !same_folder(&subdir, source.value(1)));
        if renamed || moved {
            let message = format!("{} is renamed or moved by the copy", file.source);
            lint.broken(Rule::CopyRelocates, file.line, message);
        }
    }
    for source in &sources {
        let name = source.key.as_deref().unwrap_or(source.value(0));
        let used = |file: &Copied| file.source.eq_ignore_ascii_case(name);
        if !copied.iter().any(used) {
            let message = format!("{name} is in the package but never copied");
            lint.broken(Rule::SourceUnused, source.line, message);
        }
        if !disks.iter().any(|disk| disk.is(source.value(0))) {
            let message = format!(
                "{name} is on disk \"{}\", which nobody defines",
                source.value(0)
            );
            lint.broken(Rule::DiskUndefined, source.line, message);
        }
    }
}

/// Every destination is DIRID 13, and every file list named there exists.
fn destinations(lint: &mut Lint<'_>) {
    let Some(section) = lint.inf.section("DestinationDirs") else {
        return;
    };
    for entry in &section.entries {
        if entry.value(0) != "13" {
            let key = entry.key.as_deref().unwrap_or_default();
            let message = format!("{key} goes to DIRID \"{}\"", entry.value(0));
            lint.broken(Rule::DirId, entry.line, message);
        }
        let list = entry.key.as_deref().unwrap_or_default();
        if !list.eq_ignore_ascii_case("DefaultDestDir") && lint.inf.section(list).is_none() {
            lint.refer(entry, list);
        }
    }
}

/// The folder below the driver store's a file goes to; reports a file that has no destination.
fn destination(lint: &mut Lint<'_>, file: &Copied) -> Option<String> {
    let section = lint.inf.section("DestinationDirs");
    let own = section
        .zip(file.list.as_deref())
        .and_then(|(s, list)| s.entry(list));
    let entry = own.or_else(|| section.and_then(|s| s.entry("DefaultDestDir")));
    if entry.is_none() {
        let message = format!("nothing says where {} goes", file.source);
        lint.broken(Rule::DestinationDirs, file.line, message);
    }
    entry.map(|entry| entry.value(1).to_owned())
}

fn same_folder(one: &str, other: &str) -> bool {
    let bare = |text: &str| text.trim_matches('\\').to_ascii_lowercase();
    bare(one) == bare(other)
}

/// The entries of the section `name` and of its `name.architecture` variants.
fn variants<'a>(lint: &Lint<'a>, name: &str) -> Vec<&'a Entry> {
    lint.inf
        .sections
        .iter()
        .filter(|section| is_variant(&section.name, name))
        .flat_map(|section| &section.entries)
        .collect()
}

/// Whether `section` is called `name` or `name.something`.
pub fn is_variant(section: &str, name: &str) -> bool {
    let head = section.split('.').next().unwrap_or_default();
    head.eq_ignore_ascii_case(name)
}
