//! Rules in a TOML file: `[[rule]]` tables, tried in their order.

use std::time::Duration;

use ferry_abi::control::Action;
use serde::Deserialize;
use toml::Spanned;

use super::line::{count, order, time};
use super::spec::{FLAGS, Spec, action, fraction, op};
use super::{BadRule, range};
use crate::status::Status;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Spanned<Entry>>,
}

/// A value that may be written as a number or as text: `4096` or `"4K"`.
#[derive(Deserialize, Clone)]
#[serde(untagged)]
enum Value {
    Number(u64),
    Fraction(f64),
    Text(String),
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Fraction(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ops {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    ops: Spanned<Ops>,
    action: Spanned<String>,
    time: Option<Spanned<String>>,
    status: Option<Spanned<Value>>,
    bytes: Option<Spanned<Value>>,
    order: Option<Spanned<String>>,
    code: Option<Spanned<Value>>,
    process: Option<Spanned<u32>>,
    length: Option<Spanned<Value>>,
    offset: Option<Spanned<Value>>,
    every: Option<Spanned<u32>>,
    probability: Option<Spanned<Value>>,
    seed: Option<Spanned<u64>>,
    times: Option<Spanned<u64>>,
    flags: Option<Spanned<Vec<String>>>,
}

/// Reads a file's rules.
///
/// # Errors
/// The first line that cannot be accepted, and why.
pub fn parse(name: &str, text: &str) -> Result<Vec<Spec>, BadRule> {
    let at = |offset: usize, what: String| {
        let line = text
            .bytes()
            .take(offset)
            .filter(|byte| *byte == b'\n')
            .count()
            + 1;
        BadRule {
            place: format!("{name}, line {line}"),
            what,
        }
    };
    let file: File = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        at(offset, error.message().to_owned())
    })?;
    if file.rule.is_empty() {
        return Err(at(
            0,
            "there is no rule in it: a rule is a [[rule]] table with `ops` and `action`".to_owned(),
        ));
    }
    let specs = file.rule.iter().map(|entry| {
        let spec = spec(entry.get_ref()).map_err(|(offset, what)| at(offset, what))?;
        spec.rule(1).map_err(|what| at(entry.span().start, what))?;
        Ok(spec)
    });
    specs.collect()
}

/// Runs a reader on a value, if it is there; a refusal gets the value's place.
fn read<T, U>(
    value: Option<&Spanned<T>>,
    into: &mut U,
    reader: impl FnOnce(&T) -> Result<U, String>,
) -> Result<(), (usize, String)> {
    if let Some(value) = value {
        *into = reader(value.get_ref()).map_err(|what| (value.span().start, what))?;
    }
    Ok(())
}

fn spec(entry: &Entry) -> Result<Spec, (usize, String)> {
    let mut spec = Spec::new(0, Action::Pass);
    read(Some(&entry.ops), &mut spec.ops, |ops| {
        let names = match ops {
            Ops::One(name) => std::slice::from_ref(name),
            Ops::Several(names) => names,
        };
        names.iter().try_fold(0, |mask, name| Ok(mask | op(name)?))
    })?;
    read(Some(&entry.action), &mut spec.action, |name| action(name))?;
    read(entry.time.as_ref(), &mut spec.time, |text| time(text))?;
    read(entry.status.as_ref(), &mut spec.status, |value| {
        Ok(Some(value.text().parse::<Status>()?))
    })?;
    read(entry.bytes.as_ref(), &mut spec.bytes, |value| {
        count(&value.text())
    })?;
    read(entry.order.as_ref(), &mut spec.order, |text| order(text))?;
    read(entry.code.as_ref(), &mut spec.code, |value| {
        count(&value.text())
    })?;
    read(entry.process.as_ref(), &mut spec.process, |number| {
        Ok(*number)
    })?;
    read(entry.length.as_ref(), &mut spec.length, |value| {
        range::parse(&value.text())
    })?;
    read(entry.offset.as_ref(), &mut spec.offset, |value| {
        range::parse(&value.text())
    })?;
    read(entry.every.as_ref(), &mut spec.every, |number| Ok(*number))?;
    read(entry.probability.as_ref(), &mut spec.probability, |value| {
        fraction(&value.text())
    })?;
    read(entry.seed.as_ref(), &mut spec.seed, |number| Ok(*number))?;
    read(entry.times.as_ref(), &mut spec.times, |number| Ok(*number))?;
    read(entry.flags.as_ref(), &mut spec.matching, |names| {
        names.iter().try_fold(0, |mask, name| {
            let flag = FLAGS.iter().find(|(known, _)| known == name);
            let (_, flag) = flag.ok_or_else(|| format!("there is no flag {name:?}"))?;
            Ok(mask | flag)
        })
    })?;
    if spec.action == Action::Delay && spec.time == Duration::ZERO {
        return Err((
            entry.action.span().start,
            "a delay needs `time`, such as time = \"50ms\"".to_owned(),
        ));
    }
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::describe;

    const GOOD: &str = r#"
# Every tenth read is slow, some writes fail.
[[rule]]
ops = "read"
action = "delay"
time = "50ms"
every = 10

[[rule]]
ops = ["write", "control"]
action = "fail"
status = "STATUS_DEVICE_BUSY"
probability = 0.01
seed = 7

[[rule]]
ops = "write"
action = "shorten"
bytes = 512
length = "4K.."
flags = ["own-process"]
"#;

    #[test]
    fn a_file_holds_what_the_command_line_could_say() {
        let specs = parse("rules.toml", GOOD).unwrap();
        let told: Vec<_> = specs
            .iter()
            .map(|spec| describe(&spec.rule(1).unwrap()))
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        read delay 50ms every=10
        write,control fail STATUS_DEVICE_BUSY probability=0.01 seed=7
        write shorten 512 length=4096.. own-process
        ");
    }

    #[test]
    fn an_error_names_the_line() {
        for (text, place, word) in [
            ("", "line 1", "no rule in it"),
            (
                "[[rule]]\nops = \"read\"\naction = \"sleep\"\n",
                "line 3",
                "\"sleep\"",
            ),
            ("[[rule]]\nops = \"read\"\n", "line 1", "action"),
            (
                "[[rule]]\nops = \"read\"\naction = \"pass\"\ncolour = 1\n",
                "line 4",
                "colour",
            ),
            (
                "[[rule]]\nops = \"read\"\naction = \"delay\"\ntime = \"soon\"\n",
                "line 4",
                "\"soon\"",
            ),
            (
                "[[rule]]\nops = \"read\"\naction = \"delay\"\n",
                "line 3",
                "needs `time`",
            ),
            (
                "\n\n[[rule]]\nops = \"write\"\naction = \"truncate\"\n",
                "line 3",
                "truncate for reads",
            ),
            ("[[rule]\n", "line 1", ""),
            (
                "[[rule]]\nops = [\"read\", \"reed\"]\naction = \"pass\"\n",
                "line 2",
                "\"reed\"",
            ),
        ] {
            let error = parse("r.toml", text).unwrap_err();
            assert!(error.place.ends_with(place), "{text:?}: {error}");
            assert!(error.what.contains(word), "{text:?}: {error}");
        }
    }
}
