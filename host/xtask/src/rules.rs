//! `cargo xtask rules`: Microsoft's KMDF rules, what keeps each in the safe API, and what proves it: a program that must not compile, and, where
//! types do not reach, a driver that breaks it on drydock and is caught.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, bail};

use crate::{must_not_compile, project::Project, spec};

const TABLE: &str = "host/drydock/spec/kmdf-rules.md";

/// Where drivers are run on drydock.
const TESTS: &[&str] = &["host/drydock/tests", "tests/tests"];

/// How a rule is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// CT, CT+M, M or O.
    verdict: String,
    /// What in the API does it.
    device: String,
}

/// Prints the table; fails if a rule that types keep has no program that must not compile, if one that they keep in part has no test that
/// trips it, or if a program names a rule there is not.
pub fn run(project: &Project) -> Result<()> {
    let path = project.path(TABLE);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let rules = read(&text)?;
    let programs = must_not_compile::names(project)?;
    let folder = must_not_compile::FOLDER;
    for program in &programs {
        if !rules.contains_key(program) && !program.starts_with(must_not_compile::MISTAKE) {
            bail!(
                "{folder}/{program}.rs names no rule of {TABLE}; name it after one, or {}...",
                must_not_compile::MISTAKE
            );
        }
    }
    let trips = trips(project, &rules)?;
    let mut gaps = Vec::new();
    for (name, rule) in &rules {
        let mut proofs = Vec::new();
        if programs.contains(name) {
            proofs.push(format!("{folder}/{name}.rs"));
        }
        proofs.extend(trips.get(name).into_iter().flatten().cloned());
        let missing = match rule.verdict.as_str() {
            "CT" if !programs.contains(name) => Some("a program that must not compile"),
            "CT+M" | "M" if !trips.contains_key(name) => Some("a test that trips it"),
            _ => None,
        };
        if let Some(missing) = missing {
            gaps.push(format!(
                "{name} has no {}",
                missing.trim_start_matches("a ")
            ));
            proofs.push("OPEN".into());
        }
        println!(
            "{name:<36} {:<5} {:<44.44} {}",
            rule.verdict,
            rule.device,
            proofs.join(" ")
        );
    }
    println!();
    for verdict in ["CT", "CT+M", "M", "O"] {
        let of = |name: &&String| rules[*name].verdict == verdict;
        let all = rules.keys().filter(of).count();
        let proven = rules
            .keys()
            .filter(of)
            .filter(|name| programs.contains(*name))
            .count();
        let tripped = rules
            .keys()
            .filter(of)
            .filter(|name| trips.contains_key(*name))
            .count();
        println!(
            "{verdict:<5} {all:>3} rules, {proven:>2} with a program that must not compile, {tripped:>2} tripped by a test"
        );
    }
    let mistakes = programs
        .iter()
        .filter(|p| p.starts_with(must_not_compile::MISTAKE))
        .count();
    println!("and {mistakes} programs about known mistakes");
    if gaps.is_empty() {
        return Ok(());
    }
    bail!("{}", gaps.join("\n"))
}

/// Where a driver on drydock breaks a rule and is caught: `file: test` by rule.
fn trips(
    project: &Project,
    rules: &BTreeMap<String, Rule>,
) -> Result<BTreeMap<String, Vec<String>>> {
    let mut trips: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for folder in TESTS {
        let mut paths = spec::files(&project.path(folder), &["rs"])?;
        paths.sort();
        for path in paths {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            let file = path
                .strip_prefix(project.root())
                .unwrap_or(&path)
                .display()
                .to_string();
            for (rule, test) in named(&text, |word| rules.contains_key(word)) {
                trips
                    .entry(rule)
                    .or_default()
                    .push(format!("{file}: {test}"));
            }
        }
    }
    Ok(trips)
}

/// The rules that the doc comments of tests begin with, and the tests: `/// KmdfIrql, KmdfIrql2. R-DEV-74.` above a function, or above
/// an entry of a table of tests.
fn named(text: &str, is_rule: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut doc: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("/// ") {
            let names = comment.split('.').next().unwrap_or_default();
            doc.extend(
                names
                    .split(", ")
                    .filter(|word| is_rule(word))
                    .map(str::to_owned),
            );
        } else if !line.starts_with("#[") {
            let test = line
                .trim_start_matches("fn ")
                .split(['(', ':'])
                .next()
                .unwrap_or_default();
            found.extend(doc.drain(..).map(|rule| (rule, test.to_owned())));
        }
    }
    found
}

/// The rules as the document has them, with the verdicts that override its tables.
fn read(text: &str) -> Result<BTreeMap<String, Rule>> {
    let mut rules = BTreeMap::new();
    let mut overrides = Vec::new();
    let mut section = 0;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            let number = heading.split('.').next().unwrap_or_default();
            section = number.parse().unwrap_or(0);
            if (5..=8).contains(&section) {
                prose(heading, &mut rules);
            }
            continue;
        }
        let line = line.replace("\\|", "/");
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, names, _, verdict_cell, rest @ ..] = cells.as_slice() else {
            continue;
        };
        if *names == "rule" || names.starts_with("---") {
            continue;
        }
        match (section, rest) {
            (0, [why, ..]) => overrides.extend(expand(names).into_iter().map(|name| {
                (
                    name,
                    Rule {
                        verdict: (*verdict_cell).to_string(),
                        device: (*why).to_string(),
                    },
                )
            })),
            (1..=4, _) => {
                for name in expand(names) {
                    rules.insert(name, verdict(verdict_cell));
                }
            }
            _ => {}
        }
    }
    for (name, rule) in overrides {
        if rules.insert(name.clone(), rule).is_none() {
            bail!("{TABLE}: the verdict of {name} changed, but no table has that rule");
        }
    }
    Ok(rules)
}

/// `CT move+state` in its two parts.
fn verdict(cell: &str) -> Rule {
    let (verdict, device) = cell.split_once(' ').unwrap_or((cell, ""));
    Rule {
        verdict: verdict.trim_end_matches('.').to_string(),
        device: device.trim().trim_end_matches('.').to_string(),
    }
}

/// `5. IRQL set (4): A, B - what they demand: CT+M cap ; C: O.`
fn prose(heading: &str, rules: &mut BTreeMap<String, Rule>) {
    let plain = without_parentheses(heading);
    let Some((_, body)) = plain.split_once(':') else {
        return;
    };
    for part in body.split(';') {
        let Some((names, kept)) = part.rsplit_once(':') else {
            continue;
        };
        let names = names.split(" - ").next().unwrap_or(names);
        for name in expand(names) {
            rules.insert(name, verdict(kept.trim()));
        }
    }
}

/// `A, B (2)` and `PrefixRead, ReadA` and `Prefix... same 8 suffixes` as the names they stand for.
fn expand(cell: &str) -> Vec<String> {
    const SUFFIXES: [&str; 8] = [
        "Read",
        "ReadA",
        "Write",
        "WriteA",
        "Ioctl",
        "IoctlA",
        "IntIoctl",
        "IntIoctlA",
    ];
    let cell = without_parentheses(cell);
    if let Some((prefix, _)) = cell.split_once("... same") {
        let prefix = prefix.trim();
        return SUFFIXES.iter().map(|s| format!("{prefix}{s}")).collect();
    }
    let mut prefix = "";
    cell.split([',', '/'])
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            if let Some(before) = name.strip_suffix("AfterReqCompletedRead") {
                prefix = &name[..before.len() + "AfterReqCompleted".len()];
            }
            if SUFFIXES.contains(&name) {
                format!("{prefix}{name}")
            } else {
                name.to_string()
            }
        })
        .collect()
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0_u32;
    text.chars()
        .filter(|c| {
            match c {
                '(' => depth += 1,
                ')' => {
                    depth = depth.saturating_sub(1);
                    return false;
                }
                _ => {}
            }
            depth == 0
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_rules_it_counts() {
        let text = fs::read_to_string(Project::here().path(TABLE)).unwrap();
        let rules = read(&text).unwrap();
        let count = |verdict| rules.values().filter(|r| r.verdict == verdict).count();
        let counts = ["CT", "CT+M", "M", "O"].map(count);
        assert_eq!((rules.len(), counts), (122, [82, 9, 0, 31]), "{rules:#?}");
    }

    #[test]
    fn a_test_trips_the_rules_its_doc_comment_begins_with() {
        let text = "\
/// KmdfIrql, KmdfIrql2. R-DEV-74: a wait.
#[test]
fn a_wait_at_dispatch_level() {}
    /// ChangeQueueState. R-QUE-80.
    two_purges: \"two purges\", OFF => [];
/// About KmdfIrql, which is no beginning.
fn helper() {}
";
        let rules = ["KmdfIrql", "KmdfIrql2", "ChangeQueueState"];
        let pairs = named(text, |word| rules.contains(&word));
        let expected = [
            ("KmdfIrql", "a_wait_at_dispatch_level"),
            ("KmdfIrql2", "a_wait_at_dispatch_level"),
            ("ChangeQueueState", "two_purges"),
        ];
        assert_eq!(
            pairs,
            expected.map(|(rule, test)| (rule.to_owned(), test.to_owned()))
        );
    }

    #[test]
    fn abbreviated_names_are_written_out() {
        assert_eq!(
            expand("BufAfterReqCompletedRead, ReadA (8)"),
            ["BufAfterReqCompletedRead", "BufAfterReqCompletedReadA"]
        );
        assert_eq!(
            expand("ReadReqs / WriteReqs (4 rules)"),
            ["ReadReqs", "WriteReqs"]
        );
    }
}
