//! `[Manufacturer]` and the models sections: which Windows and which devices the package is for.

use crate::inf::Kind;
use crate::inf::lint::Lint;
use crate::inf::parse::Section;
use crate::inf::rule::Rule;

/// Oldest build supported: it has ExAllocatePool2, and knows AddFilter (filter-rules 18 and 19).
const FLOOR: (u32, u32, u32) = (10, 0, 19041);

const ARCHITECTURES: &[&str] = &["$ARCH$", "amd64", "arm64", "x86", "arm", "ia64"];

/// Checks the models; returns the install sections that their devices use.
pub fn check<'a>(lint: &mut Lint<'a>) -> Vec<&'a Section> {
    let mut installs: Vec<&'a Section> = Vec::new();
    let Some(manufacturers) = lint.reach("Manufacturer") else {
        lint.broken(Rule::Manufacturer, 1, "there is no [Manufacturer] section");
        return installs;
    };
    if manufacturers.entries.is_empty() {
        let message = "[Manufacturer] names no models";
        lint.broken(Rule::Manufacturer, manufacturers.line, message);
    }
    for entry in &manufacturers.entries {
        let name = entry.value(0);
        if entry.values.len() < 2 {
            lint.broken(
                Rule::ModelsUndecorated,
                entry.line,
                format!("the models section {name} is for every Windows there ever was"),
            );
            if let Some(models) = lint.reach(name) {
                devices(lint, models, &mut installs);
            }
        }
        for target in entry.values.iter().skip(1) {
            decoration(lint, entry.line, target);
            if let Some(models) = lint.refer(entry, &format!("{name}.{target}")) {
                devices(lint, models, &mut installs);
            }
        }
    }
    installs
}

/// Checks one `NT[architecture][.major[.minor[.product[.suite[.build]]]]]`.
fn decoration(lint: &mut Lint<'_>, line: usize, target: &str) {
    let mut fields = target.split('.');
    let first = fields.next().unwrap_or_default();
    let Some(architecture) = first
        .get(..2)
        .filter(|nt| nt.eq_ignore_ascii_case("NT"))
        .map(|nt| &first[nt.len()..])
    else {
        let message = format!("{target} does not begin with NT and an architecture");
        lint.broken(Rule::ModelsUndecorated, line, message);
        return;
    };
    let stamped =
        architecture.eq_ignore_ascii_case("amd64") || architecture.eq_ignore_ascii_case("arm64");
    let to_stamp = architecture == "$ARCH$" && lint.kind == Kind::Inx;
    if !stamped && !to_stamp && architecture != "$ARCH$" {
        let message = format!("{target} is not for amd64 or arm64");
        lint.broken(Rule::ModelsArchitecture, line, message);
    }
    let [major, minor, product, suite, build] =
        std::array::from_fn(|_| fields.next().unwrap_or(""));
    if !product.is_empty() || !suite.is_empty() {
        let message = format!("{target} depends on a product type or suite");
        lint.broken(Rule::ModelsSuite, line, message);
    }
    let part = |text: &str| text.parse::<u32>().unwrap_or(0);
    if (part(major), part(minor), part(build)) < FLOOR {
        let message = format!("{target} admits builds before 10.0.{}", FLOOR.2);
        lint.broken(Rule::ModelsBuild, line, message);
    }
}

fn devices<'a>(lint: &mut Lint<'a>, models: &Section, installs: &mut Vec<&'a Section>) {
    if models.entries.is_empty() {
        let message = format!("[{}] lists no device", models.name);
        lint.broken(Rule::ModelsEntry, models.line, message);
    }
    for entry in &models.entries {
        if entry.key.is_none() || entry.value(0).is_empty() || entry.value(1).is_empty() {
            let message = format!("an entry of [{}] names no device", models.name);
            lint.broken(Rule::ModelsEntry, entry.line, message);
            continue;
        }
        let found = variants(lint, entry.value(0));
        if found.is_empty() {
            lint.refer(entry, entry.value(0));
        }
        for install in found {
            if !installs.iter().any(|known| known.name == install.name) {
                installs.push(install);
            }
        }
    }
}

/// The sections Windows may choose for the install section `name`: those for an architecture, and
/// `.NT`; the bare name only if there is no `.NT`.
fn variants<'a>(lint: &mut Lint<'a>, name: &str) -> Vec<&'a Section> {
    let mut found: Vec<&Section> = ARCHITECTURES
        .iter()
        .filter_map(|architecture| lint.reach(&format!("{name}.NT{architecture}")))
        .collect();
    let general = lint
        .reach(&format!("{name}.NT"))
        .or_else(|| lint.reach(name));
    found.extend(general);
    found
}
