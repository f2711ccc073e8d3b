//! `ferryctl rules`: apply, list, check.

use std::fmt;

use anyhow::Context;
use serde::Serialize;

use super::{BadRule, Spec, describe, parse_file, parse_line};
use crate::cli;
use crate::command::{filter, while_it_stands};
use crate::ferry::Ferry;
use crate::output::{Output, grouped};
use crate::platform::{Platform, Result};

/// All rules a command line names: its files' first, in their order.
fn read(options: &cli::RuleSource) -> Result<Vec<Spec>> {
    let mut specs = Vec::new();
    for path in &options.file {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        specs.extend(parse_file(&name, &text)?);
    }
    for text in &options.rule {
        specs.push(parse_line(text)?);
    }
    if specs.is_empty() {
        return Err(BadRule {
            place: "command line".to_owned(),
            what: "no rule is named: give --rule 'read delay 50ms' or --file RULES.toml".to_owned(),
        }
        .into());
    }
    if specs.len() > ferry_abi::control::MAX_RULES as usize {
        return Err(BadRule {
            place: "command line".to_owned(),
            what: format!(
                "{} rules are named, a device takes {}",
                specs.len(),
                ferry_abi::control::MAX_RULES
            ),
        }
        .into());
    }
    Ok(specs)
}

/// `rules apply`: the rules stand until Ctrl-C, for a time, or while a command runs.
///
/// # Errors
/// A rule is refused, or ferry is gone.
pub fn apply(platform: &dyn Platform, out: Output, options: &cli::RulesApply) -> Result<bool> {
    let specs = read(&options.source)?;
    let ferry = Ferry::open(platform)?;
    let id = filter(&ferry, &options.stands.filter)?;
    let mut set = Vec::with_capacity(specs.len());
    for spec in &specs {
        // Checked when it was read.
        let rule = spec.rule(id).map_err(anyhow::Error::msg)?;
        set.push(ferry.add_rule(&rule)?);
    }
    let what = format!("{} rule(s) on filter device {id}", set.len());
    let well = while_it_stands(&ferry, out, &options.stands, &what)?;
    let mine = ferry.rules(id)?;
    let entries: Vec<_> = mine
        .iter()
        .filter(|entry| set.contains(&entry.rule.id))
        .collect();
    out.say(&Rules {
        device: id,
        rules: entries.into_iter().map(Row::of).collect(),
    })?;
    Ok(well)
}

/// `rules list`.
///
/// # Errors
/// ferry does not answer.
pub fn list(platform: &dyn Platform, out: Output, options: &cli::Filter) -> Result<()> {
    let ferry = Ferry::open(platform)?;
    let device = filter(&ferry, options)?;
    let rules = ferry.rules(device)?.iter().map(Row::of).collect();
    out.say(&Rules { device, rules })
}

/// `rules check`: reads the rules and asks no driver.
///
/// # Errors
/// A rule cannot be accepted.
pub fn check(out: Output, options: &cli::RuleSource) -> Result<()> {
    let specs = read(options)?;
    let told = specs
        .iter()
        .map(|spec| spec.rule(1).map(|rule| describe(&rule)));
    let rules = told
        .collect::<std::result::Result<_, _>>()
        .map_err(anyhow::Error::msg)?;
    out.say(&Checked { rules })
}

#[derive(Serialize)]
struct Checked {
    rules: Vec<String>,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in &self.rules {
            writeln!(f, "{rule}")?;
        }
        write!(f, "{} rule(s), all acceptable", self.rules.len())
    }
}

/// Rules in force.
#[derive(Serialize)]
pub struct Rules {
    device: u32,
    rules: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    id: u32,
    rule: String,
    matched: u64,
    hits: u64,
    process: u32,
}

impl Row {
    fn of(entry: &ferry_abi::control::RuleEntry) -> Self {
        Self {
            id: entry.rule.id,
            rule: describe(&entry.rule),
            matched: entry.matched,
            hits: entry.hits,
            process: entry.owner,
        }
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rules.is_empty() {
            return write!(f, "filter device {} has no rules", self.device);
        }
        write!(
            f,
            "{:>4}  {:>12}  {:>12}  {:>8}  rule",
            "id", "matched", "hits", "process"
        )?;
        for row in &self.rules {
            let (matched, hits) = (grouped(row.matched), grouped(row.hits));
            write!(
                f,
                "\n{:>4}  {matched:>12}  {hits:>12}  {:>8}  {}",
                row.id, row.process, row.rule
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_in_force_are_a_table_for_people_and_an_object_for_programs() {
        let row = |id, rule: &str, hits| Row {
            id,
            rule: rule.to_owned(),
            matched: hits * 10,
            hits,
            process: 4242,
        };
        let rules = Rules {
            device: 1,
            rules: vec![row(3, "read delay 50ms", 12_345), row(4, "all pass", 0)],
        };
        insta::assert_snapshot!(rules.to_string(), @r"
          id       matched          hits   process  rule
           3       123 450        12 345      4242  read delay 50ms
           4             0             0      4242  all pass
        ");
        insta::assert_snapshot!(serde_json::to_string(&rules).unwrap(), @r#"{"device":1,"rules":[{"id":3,"rule":"read delay 50ms","matched":123450,"hits":12345,"process":4242},{"id":4,"rule":"all pass","matched":0,"hits":0,"process":4242}]}"#);
    }
}
