//! One file under examination: what was found in it and which sections something refers to.

use std::collections::{HashMap, HashSet};

use super::parse::{Entry, Inf, Section};
use super::rule::{Finding, Rule};
use super::{Kind, Settings};

/// Directives that a universal INF may not use, wherever they stand.
const LEGACY: &[&str] = &[
    "BitReg",
    "CopyINF",
    "DelFiles",
    "DelPrivate",
    "DelProperty",
    "DelReg",
    "DelService",
    "DontReflectOffline",
    "DriverPackageDisplayName",
    "DriverPackageType",
    "Ini2Reg",
    "LayoutFile",
    "LogConfig",
    "ProfileItems",
    "Reboot",
    "RegisterDlls",
    "RenFiles",
    "Restart",
    "UnregisterDlls",
    "UpdateIniFields",
    "UpdateInis",
];

/// One file under examination.
pub struct Lint<'a> {
    /// The file.
    pub inf: &'a Inf,
    /// Whether stampinf is still to come.
    pub kind: Kind,
    /// What the caller knows of the images.
    pub settings: &'a Settings,
    /// What was found so far.
    pub findings: Vec<Finding>,
    reached: HashSet<String>,
    /// Which directive reads a section, by its name in lower case.
    readers: HashMap<String, &'static str>,
}

/// Directives that name a section, each with lines of its own kind in it.
const SECTION_LISTS: &[&str] = &[
    "AddFilter",
    "AddReg",
    "AddService",
    "CopyFiles",
    "DelReg",
    "KmdfService",
];

impl<'a> Lint<'a> {
    /// Begins with what the parser found.
    pub fn new(inf: &'a Inf, kind: Kind, settings: &'a Settings, findings: Vec<Finding>) -> Self {
        Self {
            inf,
            kind,
            settings,
            findings,
            reached: HashSet::new(),
            readers: HashMap::new(),
        }
    }

    /// Notes that `rule` is broken at `line`.
    pub fn broken(&mut self, rule: Rule, line: usize, message: impl Into<String>) {
        self.findings.push(Finding::new(rule, line, message));
    }

    /// Whether the package adds to devices that another package installs.
    pub fn is_extension(&self) -> bool {
        self.inf
            .section("Version")
            .and_then(|version| version.entry("Class"))
            .is_some_and(|class| class.value(0).eq_ignore_ascii_case("Extension"))
    }

    /// The section that `entry` refers to as `name`, which must exist.
    pub fn refer(&mut self, entry: &Entry, name: &str) -> Option<&'a Section> {
        if name.is_empty() {
            let directive = entry.key.as_deref().unwrap_or("the entry");
            self.broken(
                Rule::SectionUndefined,
                entry.line,
                format!("{directive} names no section"),
            );
            return None;
        }
        let found = self.reach(name);
        self.one_meaning(entry, name);
        if found.is_none() {
            self.broken(
                Rule::SectionUndefined,
                entry.line,
                format!("there is no section [{name}]"),
            );
        }
        found
    }

    /// A section is a list of one kind: what reads it decides what its lines mean.
    fn one_meaning(&mut self, entry: &Entry, name: &str) {
        let own = SECTION_LISTS
            .iter()
            .find(|directive| entry.is(directive))
            .copied();
        let Some(own) = own else { return };
        let first = *self.readers.entry(name.to_ascii_lowercase()).or_insert(own);
        if first != own {
            self.broken(
                Rule::SectionShared,
                entry.line,
                format!("[{name}] is read by {first} already, and now by {own}"),
            );
        }
    }

    /// The section of this name if it exists; it counts as referred to.
    pub fn reach(&mut self, name: &str) -> Option<&'a Section> {
        let section = self.inf.section(name)?;
        self.reached.insert(section.name.to_ascii_lowercase());
        Some(section)
    }

    /// The part of an install section with this suffix, as `Services` in `[X.NT.Services]`.
    pub fn part(&mut self, install: &Section, suffix: &str) -> Option<&'a Section> {
        self.reach(&format!("{}.{suffix}", install.name))
    }

    /// Counts every section that can be reached from `section` as referred to, without a check.
    pub fn reach_all(&mut self, section: &Section) {
        let names: Vec<&String> = section.entries.iter().flat_map(|e| &e.values).collect();
        for name in names {
            let known = self.reached.contains(&name.to_ascii_lowercase());
            if let (false, Some(next)) = (known, self.reach(name)) {
                self.reach_all(next);
            }
        }
    }

    /// Counts the section itself as referred to, and every section that can be reached from it.
    pub fn reach_whole(&mut self, section: &Section) {
        self.reached.insert(section.name.to_ascii_lowercase());
        self.reach_all(section);
    }

    /// Whether something refers to the section.
    pub fn is_reached(&self, section: &Section) -> bool {
        self.reached.contains(&section.name.to_ascii_lowercase())
    }

    /// Refuses entries of `section` whose key is not in `known`.
    pub fn directives(&mut self, section: &Section, known: &[&str]) {
        for entry in &section.entries {
            let Some(key) = entry.key.as_deref() else {
                let text = entry.values.join(",");
                self.broken(
                    Rule::DirectiveUnknown,
                    entry.line,
                    format!("\"{text}\" in [{}] is no directive", section.name),
                );
                continue;
            };
            let among = |list: &[&str]| list.iter().any(|name| name.eq_ignore_ascii_case(key));
            if among(known) {
                continue;
            }
            let (rule, what) = if among(LEGACY) {
                (Rule::DirectiveLegacy, "has no place in a universal INF")
            } else if among(&["Include", "Needs"]) {
                (Rule::IncludeNotFollowed, "refers to another INF file")
            } else {
                (Rule::DirectiveUnknown, "is not known here")
            };
            self.broken(
                rule,
                entry.line,
                format!("{key} in [{}] {what}", section.name),
            );
        }
    }

    /// Refuses a key that occurs twice in `section`.
    pub fn no_duplicates(&mut self, section: &Section) {
        let mut seen = HashSet::new();
        for entry in &section.entries {
            let Some(key) = entry.key.as_deref() else {
                continue;
            };
            if !seen.insert(key.to_ascii_lowercase()) {
                self.broken(
                    Rule::DuplicateEntry,
                    entry.line,
                    format!("{key} stands twice in [{}]", section.name),
                );
            }
        }
    }
}

/// A number as INF files write it: decimal, or hexadecimal after `0x`. Empty is 0.
pub fn number(text: &str) -> Option<u32> {
    match text.get(..2) {
        _ if text.is_empty() => Some(0),
        Some("0x" | "0X") => u32::from_str_radix(&text[2..], 16).ok(),
        _ => text.parse().ok(),
    }
}
