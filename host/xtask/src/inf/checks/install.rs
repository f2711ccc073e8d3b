//! An install section: what it may say, and which parts it may have.

use crate::inf::lint::Lint;
use crate::inf::parse::Section;
use crate::inf::rule::Rule;

/// Checks the directives of `install` and the kind of its parts.
pub fn check(lint: &mut Lint<'_>, install: &Section) {
    lint.directives(
        install,
        &[
            "CopyFiles",
            "AddReg",
            "AddProperty",
            "DriverVer",
            "FeatureScore",
        ],
    );
    for entry in install.all("AddProperty") {
        for name in &entry.values {
            lint.refer(entry, name);
        }
    }
    let refused = [
        (
            "CoInstallers",
            Rule::CoInstallers,
            "loads a DLL at install time",
        ),
        (
            "LogConfigOverride",
            Rule::DirectiveLegacy,
            "has no place in a universal INF",
        ),
        (
            "FactDef",
            Rule::DirectiveLegacy,
            "has no place in a universal INF",
        ),
        (
            "Interfaces",
            Rule::DeviceInterface,
            "registers device interfaces",
        ),
    ];
    for (suffix, rule, what) in refused {
        if let Some(part) = lint.part(install, suffix) {
            lint.broken(rule, part.line, format!("[{}] {what}", part.name));
            lint.reach_all(part);
        }
    }
    for suffix in ["Components", "Software", "Events", "WMI"] {
        if let Some(part) = lint.part(install, suffix) {
            let message = format!("[{}] is of a kind this linter has no rules for", part.name);
            lint.broken(Rule::IncludeNotFollowed, part.line, message);
            lint.reach_all(part);
        }
    }
}
