//! Registry values an AddReg directive writes.

use std::collections::HashMap;

use crate::inf::lint::{Lint, number};
use crate::inf::parse::{Entry, Section};
use crate::inf::rule::Rule;

/// `FLG_ADDREG_APPEND`.
const APPEND: u32 = 8;

/// What `HKR` stands for in an AddReg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A key of the device or of its driver.
    Device,
    /// The key of the service.
    Service,
}

/// Checks the AddReg directives of `install` and of its hardware part.
pub fn check_install(lint: &mut Lint<'_>, install: &Section) {
    for entry in install.all("AddReg") {
        check(lint, entry, Place::Device);
    }
    if let Some(hardware) = lint.part(install, "HW") {
        lint.directives(hardware, &["AddReg"]);
        for entry in hardware.all("AddReg") {
            check(lint, entry, Place::Device);
        }
    }
}

/// Checks every section the AddReg directive `directive` names.
pub fn check(lint: &mut Lint<'_>, directive: &Entry, place: Place) {
    for name in &directive.values {
        if let Some(section) = lint.refer(directive, name) {
            for entry in &section.entries {
                value(lint, entry, place);
            }
        }
    }
}

/// Refuses a value of the service that is written twice with different contents.
pub fn no_conflicts(lint: &mut Lint<'_>, service: &Section) {
    let mut written: HashMap<String, Vec<String>> = HashMap::new();
    let sections: Vec<&Section> = service
        .all("AddReg")
        .flat_map(|directive| &directive.values)
        .filter_map(|name| lint.inf.section(name))
        .collect();
    for entry in sections.iter().flat_map(|section| &section.entries) {
        let value = format!("{}\\{}", entry.value(1), entry.value(2)).to_ascii_lowercase();
        let contents = entry.values.get(3..).unwrap_or_default().to_vec();
        if *written
            .entry(value.clone())
            .or_insert_with(|| contents.clone())
            != contents
        {
            lint.broken(
                Rule::RegistryConflict,
                entry.line,
                format!("{value} is written with other contents above"),
            );
        }
    }
}

/// Checks `root, subkey, name, flags, data`.
fn value(lint: &mut Lint<'_>, entry: &Entry, place: Place) {
    let [root, subkey, name, flags] = std::array::from_fn(|index| entry.value(index));
    let is = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    if is(&["UpperFilters", "LowerFilters"]) {
        let message = format!("{name} is written to the registry");
        lint.broken(Rule::FiltersByRegistry, entry.line, message);
    } else if is(&["CoInstallers32"]) {
        lint.broken(
            Rule::CoInstallers,
            entry.line,
            "a co-installer is registered",
        );
    } else if !root.eq_ignore_ascii_case("HKR") {
        let message = format!("the key is below {root}, outside this package");
        lint.broken(Rule::HkrOnly, entry.line, message);
    } else if number(flags).is_some_and(|flags| flags & APPEND != 0) {
        lint.broken(
            Rule::RegistryAppend,
            entry.line,
            format!("{name} is appended to"),
        );
    } else if place == Place::Service
        && !subkey
            .split('\\')
            .next()
            .unwrap_or_default()
            .eq_ignore_ascii_case("Parameters")
    {
        let message = format!("{name} is written outside the service's Parameters key");
        lint.broken(Rule::ServiceParameters, entry.line, message);
    }
}
