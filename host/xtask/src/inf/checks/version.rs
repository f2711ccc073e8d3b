//! `[Version]`: who provides the package, what class it is of, how it is signed and dated.

use crate::inf::Kind;
use crate::inf::lint::Lint;
use crate::inf::parse::Section;
use crate::inf::rule::Rule;

const KNOWN: &[&str] = &[
    "Signature",
    "Class",
    "ClassGuid",
    "Provider",
    "ExtensionId",
    "CatalogFile",
    "CatalogFile.nt",
    "CatalogFile.ntamd64",
    "CatalogFile.ntarm64",
    "DriverVer",
    "PnpLockdown",
];

/// Classes with a fixed GUID that a package of ours may use.
const CLASSES: &[(&str, &str)] = &[
    ("Extension", "{e2f84ce7-8efa-411c-aa69-97454ca4cb57}"),
    ("HIDClass", "{745a17a0-74d3-11d0-b6fe-00a0c90f57da}"),
    ("MultiportSerial", "{50906cb8-ba12-11d1-bf5d-0000f805f530}"),
    ("Ports", "{4d36e978-e325-11ce-bfc1-08002be10318}"),
    ("Sensor", "{5175d334-c371-4806-b3ba-71fd53c9258d}"),
    ("System", "{4d36e97d-e325-11ce-bfc1-08002be10318}"),
    ("USBDevice", "{88bae032-5a81-49f0-bc3d-a4ff138216d6}"),
];

/// Classes that only Windows itself, or its own mechanisms, may use.
const RESERVED: &[(&str, &str)] = &[
    ("1394Debug", "{66f250d6-7801-4a64-b139-eea80a450b24}"),
    ("Adapter", "{4d36e964-e325-11ce-bfc1-08002be10318}"),
    ("APMSupport", "{d45b1c18-c8fa-11d1-9f77-0000f805f530}"),
    ("AudioEndpoint", "{c166523c-fe0c-4a94-a586-f1a80cfbbf3e}"),
    ("Computer", "{4d36e966-e325-11ce-bfc1-08002be10318}"),
    ("Decoder", "{6bdd1fc2-810f-11d0-bec7-08002be2092f}"),
    ("Enum1394", "{c459df55-db08-11d1-b009-00a0c9081ff6}"),
    ("LegacyDriver", "{8ecc055d-047f-11d1-a537-0000f8753ed1}"),
    ("NoDriver", "{4d36e976-e325-11ce-bfc1-08002be10318}"),
    ("PrinterUpgrade", "{4d36e97a-e325-11ce-bfc1-08002be10318}"),
    ("PrintQueue", "{1ed2bbf9-11f0-4084-b21f-ad83a8e6dcdc}"),
    ("Sample", "{78a1c341-4539-11d3-b88d-00c04fad5171}"),
    (
        "SoftwareComponent",
        "{5c4c3332-344d-483c-8739-259e934c9cc8}",
    ),
    ("SoftwareDevice", "{62f9c741-b25a-46ce-b54c-9bccce08b6f2}"),
    ("Sound", "{4d36e97c-e325-11ce-bfc1-08002be10318}"),
    ("Unknown", "{4d36e97e-e325-11ce-bfc1-08002be10318}"),
    ("USB", "{36fc9e60-c465-11cf-8056-444553540000}"),
    ("VolumeSnapshot", "{533c5b84-ec70-11d2-9505-00c04f79deaf}"),
];

/// Checks `[Version]`.
pub fn check(lint: &mut Lint<'_>) {
    let Some(version) = lint.inf.section("Version") else {
        lint.broken(Rule::VersionSection, 1, "there is no [Version] section");
        return;
    };
    lint.directives(version, KNOWN);
    lint.no_duplicates(version);
    signature(lint, version);
    class(lint, version);
    provider(lint, version);
    catalog(lint, version);
    driver_ver(lint, version);
    pnp_lockdown(lint, version);
    extension_id(lint, version);
}

/// Line and value of a directive that must be there; reports it as missing otherwise.
fn required<'a>(
    lint: &mut Lint<'_>,
    version: &'a Section,
    key: &str,
    rule: Rule,
) -> Option<(usize, &'a str)> {
    match version.entry(key) {
        Some(entry) if !entry.value(0).is_empty() => Some((entry.line, entry.value(0))),
        Some(entry) => {
            lint.broken(rule, entry.line, format!("{key} has no value"));
            None
        }
        None => {
            lint.broken(rule, version.line, format!("[Version] has no {key}"));
            None
        }
    }
}

fn signature(lint: &mut Lint<'_>, version: &Section) {
    let Some((line, value)) = required(lint, version, "Signature", Rule::Signature) else {
        return;
    };
    if !value.eq_ignore_ascii_case("$Windows NT$") {
        lint.broken(Rule::Signature, line, format!("Signature is {value}"));
    }
}

fn class(lint: &mut Lint<'_>, version: &Section) {
    let name = required(lint, version, "Class", Rule::Class);
    let guid = required(lint, version, "ClassGuid", Rule::ClassGuid);
    let is = |known: &(&str, &str)| {
        name.is_some_and(|(_, name)| known.0.eq_ignore_ascii_case(name))
            || guid.is_some_and(|(_, guid)| known.1.eq_ignore_ascii_case(guid))
    };
    if let Some((reserved, _)) = RESERVED.iter().find(|known| is(known)) {
        let line = name.or(guid).map_or(version.line, |(line, _)| line);
        lint.broken(
            Rule::ClassReserved,
            line,
            format!("the class {reserved} is reserved for the system"),
        );
        return;
    }
    let Some((line, guid)) = guid else { return };
    if !is_guid(guid) {
        lint.broken(Rule::ClassGuid, line, format!("{guid} is not a GUID"));
    } else if let (Some((class, own)), Some((_, name))) =
        (CLASSES.iter().find(|known| is(known)), name)
        && !(own.eq_ignore_ascii_case(guid) && class.eq_ignore_ascii_case(name))
    {
        lint.broken(
            Rule::ClassGuid,
            line,
            format!("Class is {name}, but {own} belongs to {class}"),
        );
    }
}

fn provider(lint: &mut Lint<'_>, version: &Section) {
    let Some((line, value)) = required(lint, version, "Provider", Rule::Provider) else {
        return;
    };
    if value.to_ascii_lowercase().starts_with("microsoft") {
        lint.broken(Rule::ProviderMicrosoft, line, "Provider is Microsoft");
    }
}

fn catalog(lint: &mut Lint<'_>, version: &Section) {
    let Some((line, value)) = required(lint, version, "CatalogFile", Rule::CatalogFile) else {
        return;
    };
    if !value.to_ascii_lowercase().ends_with(".cat") || value.contains(['\\', '/']) {
        lint.broken(
            Rule::CatalogFile,
            line,
            format!("{value} is not the name of a .cat file beside the INF"),
        );
    }
}

fn driver_ver(lint: &mut Lint<'_>, version: &Section) {
    let Some(entry) = version.entry("DriverVer") else {
        lint.broken(Rule::DriverVer, version.line, "[Version] has no DriverVer");
        return;
    };
    if entry.values.is_empty() && lint.kind == Kind::Inx {
        return;
    }
    if !is_date(entry.value(0)) {
        let message = format!("\"{}\" is not a date mm/dd/yyyy", entry.value(0));
        lint.broken(Rule::DriverVer, entry.line, message);
    } else if !is_version(entry.value(1)) {
        let message = format!("\"{}\" is not a version w.x.y.z", entry.value(1));
        lint.broken(Rule::DriverVer, entry.line, message);
    }
}

fn pnp_lockdown(lint: &mut Lint<'_>, version: &Section) {
    if let Some((line, value)) = required(lint, version, "PnpLockdown", Rule::PnpLockdown)
        && value != "1"
    {
        lint.broken(Rule::PnpLockdown, line, format!("PnpLockdown is {value}"));
    }
}

fn extension_id(lint: &mut Lint<'_>, version: &Section) {
    if !lint.is_extension() {
        if let Some(entry) = version.entry("ExtensionId") {
            lint.broken(
                Rule::ExtensionId,
                entry.line,
                "ExtensionId in a package whose Class is not Extension",
            );
        }
        return;
    }
    if let Some((line, value)) = required(lint, version, "ExtensionId", Rule::ExtensionId)
        && !(is_guid(value) && value.contains(|c| matches!(c, '1'..='9' | 'a'..='f' | 'A'..='F')))
    {
        lint.broken(Rule::ExtensionId, line, format!("{value} is not a GUID"));
    }
}

/// Whether `text` is `{8-4-4-4-12}` hexadecimal digits.
fn is_guid(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) else {
        return false;
    };
    let groups: Vec<&str> = inner.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && inner.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

/// Whether `text` is a day that exists, as mm/dd/yyyy.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['/', '-']).collect();
    if !parts.iter().map(|part| part.len()).eq([2, 2, 4]) {
        return false;
    }
    let numbers: Vec<u32> = parts.iter().filter_map(|part| part.parse().ok()).collect();
    let &[month, day, year] = numbers.as_slice() else {
        return false;
    };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// Whether `text` is four numbers below 65535, not all 0.
fn is_version(text: &str) -> bool {
    let parts: Vec<Option<u32>> = text.split('.').map(|part| part.parse().ok()).collect();
    parts.len() == 4
        && parts.iter().all(|part| part.is_some_and(|n| n < 65535))
        && parts.iter().any(|part| *part != Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// INF DriverVer directive: mm/dd/yyyy, a day that exists.
    #[test]
    fn a_date_is_month_day_year_and_exists() {
        assert!(is_date("02/29/2024") && is_date("12-31-2025"));
        assert!(!is_date("02/29/2025") && !is_date("31/12/2025") && !is_date("1/2/2025"));
    }

    /// INF DriverVer directive: four parts, each below 65535, not 0.0.0.0.
    #[test]
    fn a_version_has_four_small_parts_and_is_not_zero() {
        assert!(is_version("0.1.0.0") && is_version("1.2.3.65534"));
        assert!(!is_version("0.0.0.0") && !is_version("1.2.3") && !is_version("1.2.3.65535"));
    }

    /// INF Version section: braces, five groups, hexadecimal digits.
    #[test]
    fn a_guid_has_braces_and_five_groups() {
        assert!(is_guid("{e2f84ce7-8efa-411c-aa69-97454ca4cb57}"));
        assert!(!is_guid("e2f84ce7-8efa-411c-aa69-97454ca4cb57"));
        assert!(!is_guid("{e2f84ce7-8efa-411c-aa69-97454ca4cb5g}"));
    }
}
