//! What concerns the file as a whole: unused sections, directory identifiers, tokens, twice-told strings.

use super::files::is_variant;
use crate::inf::Kind;
use crate::inf::lint::Lint;
use crate::inf::parse::is_strings;
use crate::inf::rule::Rule;

/// Sections Windows finds by their name.
const BY_NAME: &[&str] = &[
    "Version",
    "Manufacturer",
    "DestinationDirs",
    "SourceDisksNames",
    "SourceDisksFiles",
    "ControlFlags",
    "SignatureAttributes",
    "TargetComputers",
];

/// Sections that install a class or an interface for every device.
const INSTALLS_CLASS: &[&str] = &["ClassInstall32", "InterfaceInstall32"];

/// Checks the file as a whole; runs last, when every reference has been followed.
pub fn check(lint: &mut Lint<'_>) {
    sections(lint);
    for dirid in &lint.inf.dirids {
        if dirid.id != 13 {
            let message = format!("%{}% is not the driver store", dirid.id);
            lint.broken(Rule::DirId, dirid.line, message);
        }
    }
    tokens(lint);
}

fn sections(lint: &mut Lint<'_>) {
    for section in &lint.inf.sections {
        let among = |names: &[&str]| names.iter().any(|name| is_variant(&section.name, name));
        if is_strings(&section.name) {
            lint.no_duplicates(section);
        } else if section
            .name
            .to_ascii_lowercase()
            .starts_with("defaultinstall")
        {
            let message = format!("[{}] beside [Manufacturer]", section.name);
            lint.broken(Rule::DefaultInstall, section.line, message);
            lint.reach_whole(section);
        } else if among(INSTALLS_CLASS) {
            let message = format!("[{}] changes what all devices of a class get", section.name);
            lint.broken(Rule::ClassInstall, section.line, message);
            lint.reach_all(section);
        }
    }
    for section in &lint.inf.sections {
        let among = |names: &[&str]| names.iter().any(|name| is_variant(&section.name, name));
        let known = is_strings(&section.name) || among(BY_NAME) || among(INSTALLS_CLASS);
        if !known && !lint.is_reached(section) {
            let message = format!("nothing refers to [{}]", section.name);
            lint.broken(Rule::SectionUnreferenced, section.line, message);
        }
    }
}

fn tokens(lint: &mut Lint<'_>) {
    let allowed: &[&str] = match lint.kind {
        Kind::Inx => &["ARCH", "KMDFVERSION"],
        Kind::Inf => &[],
    };
    for section in &lint.inf.sections {
        let mut texts = vec![(section.line, section.name.as_str())];
        for entry in section
            .entries
            .iter()
            .filter(|entry| !entry.is("Signature"))
        {
            let parts = entry.key.iter().chain(&entry.values);
            texts.extend(parts.map(|text| (entry.line, text.as_str())));
        }
        for (line, text) in texts {
            let pieces: Vec<&str> = text.split('$').collect();
            // Between the first and the second $, the third and the fourth, and so on.
            let inside = pieces
                .iter()
                .skip(1)
                .step_by(2)
                .take((pieces.len() - 1) / 2);
            for token in inside.filter(|token| !allowed.contains(token)) {
                let message = format!("${token}$ will not be replaced");
                lint.broken(Rule::StampToken, line, message);
            }
        }
    }
}
