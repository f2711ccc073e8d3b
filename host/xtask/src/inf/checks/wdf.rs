//! `[install.Wdf]`: which KMDF the package asks for, against the one its images ask for.

use super::services::Service;
use crate::inf::Kind;
use crate::inf::lint::Lint;
use crate::inf::parse::{Entry, Section};
use crate::inf::rule::Rule;

/// Checks the KMDF part of `install`, which adds `services`.
pub fn check(lint: &mut Lint<'_>, install: &Section, services: &[Service]) {
    if services.is_empty() {
        return;
    }
    let Some(part) = lint.part(install, "Wdf") else {
        let message = format!("[{}] has services but no .Wdf part", install.name);
        lint.broken(Rule::WdfSection, install.line, message);
        return;
    };
    lint.directives(part, &["KmdfService"]);
    if part.entry("KmdfService").is_none() {
        let message = format!("[{}] names no KmdfService", part.name);
        lint.broken(Rule::WdfService, part.line, message);
    }
    for entry in part.all("KmdfService") {
        let name = entry.value(0);
        let service = services.iter().find(|s| s.name.eq_ignore_ascii_case(name));
        if service.is_none() {
            let message = format!("\"{name}\" is not a service of this package");
            lint.broken(Rule::WdfService, entry.line, message);
        }
        if let Some(section) = lint.refer(entry, entry.value(1)) {
            lint.directives(section, &["KmdfLibraryVersion"]);
            lint.no_duplicates(section);
            library_version(lint, section, service);
        }
    }
}

fn library_version(lint: &mut Lint<'_>, section: &Section, service: Option<&Service>) {
    let Some(entry) = section.entry("KmdfLibraryVersion") else {
        let message = format!("[{}] has no KmdfLibraryVersion", section.name);
        lint.broken(Rule::KmdfLibraryVersion, section.line, message);
        return;
    };
    let value = entry.value(0);
    if value == "$KMDFVERSION$" {
        // Left in an .inf it is reported as a token that was not stamped.
        return;
    }
    let number = value
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
    let Some(number) = number else {
        let message = format!("KmdfLibraryVersion is \"{value}\"");
        lint.broken(Rule::KmdfLibraryVersion, entry.line, message);
        return;
    };
    against_image(lint, entry, number, service);
}

fn against_image(
    lint: &mut Lint<'_>,
    entry: &Entry,
    number: (u32, u32),
    service: Option<&Service>,
) {
    let binary = service.and_then(|service| service.binary.as_deref());
    let (wanted, who) = match lint.settings.kmdf_of(binary) {
        Some(found) => found,
        None if lint.kind == Kind::Inx => {
            let message = format!(
                "{}.{} is written out and no image is at hand to compare it with",
                number.0, number.1
            );
            lint.broken(Rule::KmdfVersion, entry.line, message);
            return;
        }
        None => return,
    };
    if number != wanted {
        let message = format!(
            "the INF asks for KMDF {}.{}, {who} for {}.{}",
            number.0, number.1, wanted.0, wanted.1
        );
        lint.broken(Rule::KmdfVersion, entry.line, message);
    }
}
