//! `[install.Services]`: which services the package owns and how they start.

use super::files::Copied;
use super::registry::{self, Place};
use crate::inf::lint::{Lint, number};
use crate::inf::parse::{Entry, Section};
use crate::inf::rule::Rule;

/// `SPSVCINST_ASSOCSERVICE`.
const ASSOCIATED: u32 = 2;

const KNOWN: &[&str] = &[
    "AddReg",
    "Dependencies",
    "Description",
    "DisplayName",
    "ErrorControl",
    "LoadOrderGroup",
    "Security",
    "ServiceBinary",
    "ServiceType",
    "StartType",
];

/// A service an install section adds.
pub struct Service {
    /// Its name.
    pub name: String,
    /// Line of its AddService.
    pub line: usize,
    /// Whether it is the device's function driver.
    pub associated: bool,
    /// File name of its image.
    pub binary: Option<String>,
}

/// Checks the services of `install`; returns those with a name.
pub fn check(lint: &mut Lint<'_>, install: &Section, copied: &[Copied]) -> Vec<Service> {
    let mut services = Vec::new();
    let extension = lint.is_extension();
    let Some(part) = lint.part(install, "Services") else {
        if !extension {
            let message = format!("[{}] adds no service", install.name);
            lint.broken(Rule::ServicesMissing, install.line, message);
        }
        return services;
    };
    lint.directives(part, &["AddService"]);
    let mut associated = 0;
    let mut readable = true;
    for entry in part.all("AddService") {
        let Some(flags) = number(entry.value(1)) else {
            readable = false;
            let message = format!("the flags {} are not a number", entry.value(1));
            lint.broken(Rule::ServiceFlags, entry.line, message);
            continue;
        };
        if flags & ASSOCIATED != 0 {
            associated += 1;
            if extension {
                let message = format!("{} is made the function driver", entry.value(0));
                lint.broken(Rule::ServiceFlagExtension, entry.line, message);
            } else if associated > 1 {
                let message = format!("{} is a second function driver", entry.value(0));
                lint.broken(Rule::ServiceFlagMissing, entry.line, message);
            }
        }
        // `AddService = ,2` is the null driver.
        if !entry.value(0).is_empty() {
            services.push(service(lint, entry, flags & ASSOCIATED != 0, copied));
        }
    }
    if !extension && associated == 0 && readable {
        let message = format!("[{}] names no function driver", part.name);
        lint.broken(Rule::ServiceFlagMissing, part.line, message);
    }
    services
}

fn service(lint: &mut Lint<'_>, entry: &Entry, associated: bool, copied: &[Copied]) -> Service {
    let section = lint.refer(entry, entry.value(2));
    if !entry.value(3).is_empty()
        && let Some(events) = lint.refer(entry, entry.value(3))
    {
        lint.reach_all(events);
    }
    let binary = section.and_then(|section| settings(lint, section, copied));
    Service {
        name: entry.value(0).to_owned(),
        line: entry.line,
        associated,
        binary,
    }
}

/// Checks a service-install section; returns the file name of the image.
fn settings(lint: &mut Lint<'_>, section: &Section, copied: &[Copied]) -> Option<String> {
    lint.directives(section, KNOWN);
    lint.no_duplicates(section);
    for (key, want, rule) in [
        ("ServiceType", 1, Rule::ServiceType),
        ("StartType", 3, Rule::StartType),
        ("ErrorControl", 1, Rule::ErrorControl),
    ] {
        match section.entry(key) {
            None => lint.broken(
                rule,
                section.line,
                format!("[{}] has no {key}", section.name),
            ),
            Some(entry) => {
                let value = entry.value(0);
                if value.is_empty() || number(value) != Some(want) {
                    lint.broken(rule, entry.line, format!("{key} is \"{value}\""));
                }
            }
        }
    }
    for entry in section.all("AddReg") {
        registry::check(lint, entry, Place::Service);
    }
    registry::no_conflicts(lint, section);
    let Some(entry) = section.entry("ServiceBinary") else {
        let message = format!("[{}] has no ServiceBinary", section.name);
        lint.broken(Rule::ServiceBinary, section.line, message);
        return None;
    };
    let Some((folder, file)) = entry.value(0).rsplit_once('\\') else {
        let message = format!("ServiceBinary is \"{}\"", entry.value(0));
        lint.broken(Rule::ServiceBinary, entry.line, message);
        return None;
    };
    // A DIRID other than 13 is reported wherever it stands; here only what is not a DIRID at all.
    if !(folder.starts_with('%') && folder[1..].contains('%')) {
        let message = format!("ServiceBinary is in {folder}, not in the driver store");
        lint.broken(Rule::ServiceBinary, entry.line, message);
    } else if !copied
        .iter()
        .any(|copy| copy.target.eq_ignore_ascii_case(file))
    {
        let message = format!("{file} is not among the files the install section copies");
        lint.broken(Rule::ServiceBinaryNotCopied, entry.line, message);
    }
    Some(file.to_owned())
}
