//! `[install.Filters]`: which services become filters of the device, and where.

use super::services::Service;
use crate::inf::lint::{Lint, number};
use crate::inf::parse::Section;
use crate::inf::rule::Rule;

/// Checks the filters of `install`, which adds `services`.
pub fn check(lint: &mut Lint<'_>, install: &Section, services: &[Service]) {
    let mut named: Vec<&str> = Vec::new();
    if let Some(part) = lint.part(install, "Filters") {
        lint.directives(part, &["AddFilter"]);
        for entry in part.all("AddFilter") {
            let name = entry.value(0);
            named.push(name);
            if !services
                .iter()
                .any(|service| service.name.eq_ignore_ascii_case(name))
            {
                let message = format!("\"{name}\" is not a service of this package");
                lint.broken(Rule::FilterService, entry.line, message);
                // The service that was meant is unused for this one reason: say it once.
                named.extend(services.iter().map(|service| service.name.as_str()));
            } else if number(entry.value(1)) != Some(0) {
                let message = format!("the flags {} are not 0", entry.value(1));
                lint.broken(Rule::FilterService, entry.line, message);
            }
            if let Some(section) = lint.refer(entry, entry.value(2)) {
                place(lint, section);
            }
        }
    }
    for service in services.iter().filter(|service| !service.associated) {
        if !named
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&service.name))
        {
            let message = format!("{} is neither function driver nor filter", service.name);
            lint.broken(Rule::ServiceUnused, service.line, message);
        }
    }
}

fn place(lint: &mut Lint<'_>, section: &Section) {
    lint.directives(section, &["FilterLevel", "FilterPosition"]);
    lint.no_duplicates(section);
    match (
        section.entry("FilterLevel"),
        section.entry("FilterPosition"),
    ) {
        (Some(level), Some(_)) => {
            let message = format!("[{}] has both a level and a position", section.name);
            lint.broken(Rule::FilterLevelAndPosition, level.line, message);
        }
        (Some(level), None) if level.value(0).is_empty() => {
            lint.broken(Rule::FilterPlace, level.line, "FilterLevel has no value");
        }
        (None, Some(position)) => {
            let value = position.value(0);
            let known = ["Upper", "Lower"];
            if !known.iter().any(|known| known.eq_ignore_ascii_case(value)) {
                let message = format!("FilterPosition is \"{value}\"");
                lint.broken(Rule::FilterPlace, position.line, message);
            }
        }
        (None, None) => {
            let message = format!("[{}] says nowhere to put the filter", section.name);
            lint.broken(Rule::FilterPlace, section.line, message);
        }
        (Some(_), None) => {}
    }
}
