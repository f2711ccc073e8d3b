//! The list of mutations, and where each lies in its file.

use std::{collections::BTreeMap, fs, ops::Range};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::project::Project;

const LIST: &str = "host/drydock/mutations.toml";
/// What the files of the list are relative to.
pub const SOURCES: &str = "host/drydock/src/kmdf";

/// `mutations.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    mutation: Vec<Mutation>,
}

/// One mistake.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutation {
    /// The file, relative to the layer's folder.
    file: String,
    /// What stands before it: the first `original` behind this is meant. Without it, `original` is there once only.
    after: Option<String>,
    /// An expression of the source, in one piece.
    original: String,
    /// What it becomes: an expression of the same type.
    mutated: String,
}

/// A place in a file, and the numbers of the mutations there, from 1 in the order of the list.
type Place = (Range<usize>, Vec<usize>);

/// All mutations, with their places.
#[derive(Debug)]
pub struct List {
    mutations: Vec<Mutation>,
    /// By file.
    places: BTreeMap<String, Vec<Place>>,
}

impl List {
    /// Reads the list and finds every place.
    pub fn read(project: &Project) -> Result<Self> {
        let path = project.path(LIST);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let entries: Entries = toml::from_str(&text).with_context(|| path.display().to_string())?;
        let sources = project.path(SOURCES);
        Self::place(entries.mutation, |file| {
            let path = sources.join(file);
            fs::read_to_string(&path).with_context(|| path.display().to_string())
        })
    }

    fn place(mutations: Vec<Mutation>, read: impl Fn(&str) -> Result<String>) -> Result<Self> {
        let mut sources = BTreeMap::new();
        let mut places: BTreeMap<String, Vec<Place>> = BTreeMap::new();
        let mut lost = Vec::new();
        for (index, mutation) in mutations.iter().enumerate() {
            let number = index + 1;
            if !sources.contains_key(&mutation.file) {
                sources.insert(mutation.file.clone(), read(&mutation.file)?);
            }
            let range = match mutation.find(&sources[&mutation.file]) {
                Ok(range) => range,
                Err(why) => {
                    lost.push(format!("mutation {number} in {}: {why}", mutation.file));
                    continue;
                }
            };
            let there = places.entry(mutation.file.clone()).or_default();
            if let Some((_, numbers)) = there.iter_mut().find(|(other, _)| *other == range) {
                numbers.push(number);
                continue;
            }
            if let Some((_, numbers)) = there
                .iter()
                .find(|(other, _)| other.start < range.end && range.start < other.end)
            {
                lost.push(format!(
                    "mutation {number} in {}: overlaps mutation {}: give both the same original",
                    mutation.file, numbers[0]
                ));
                continue;
            }
            there.push((range, vec![number]));
        }
        if !lost.is_empty() {
            bail!("{}\nthe source has changed: mend {LIST}", lost.join("\n"));
        }
        for there in places.values_mut() {
            there.sort_by_key(|(range, _)| range.start);
        }
        Ok(Self { mutations, places })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.mutations.len()
    }

    /// The files with mutations.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// A mutation in words.
    pub fn describe(&self, number: usize) -> String {
        let mutation = &self.mutations[number - 1];
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let place = match &mutation.after {
            Some(after) => format!("{}, behind `{}`", mutation.file, flat(after)),
            None => mutation.file.clone(),
        };
        format!(
            "{place}: `{}` -> `{}`",
            flat(&mutation.original),
            flat(&mutation.mutated)
        )
    }

    /// The text of a file with all its mutations in it, each behind its switch.
    pub fn switched(&self, file: &str, source: &str) -> String {
        let mut text = String::new();
        let mut copied = 0;
        for (range, numbers) in self.places.get(file).into_iter().flatten() {
            text.push_str(&source[copied..range.start]);
            text.push('(');
            for &number in numbers {
                let mutated = &self.mutations[number - 1].mutated;
                text.push_str(&format!(
                    "if crate::mutant::is({number}) {{ {mutated} }} else "
                ));
            }
            text.push_str(&format!("{{ {} }})", &source[range.clone()]));
            copied = range.end;
        }
        text.push_str(&source[copied..]);
        text
    }
}

impl Mutation {
    fn find(&self, source: &str) -> Result<Range<usize>, String> {
        let from = match &self.after {
            Some(after) => match source.find(after.as_str()) {
                Some(at) => at + after.len(),
                None => return Err(format!("`{after}` is not there")),
            },
            None => 0,
        };
        let Some(at) = source[from..].find(self.original.as_str()) else {
            return Err(format!("`{}` is not there", self.original));
        };
        let start = from + at;
        let range = start..start + self.original.len();
        if self.after.is_none() && source[range.end..].contains(self.original.as_str()) {
            return Err(format!(
                "`{}` is there more than once: say what stands before it (after)",
                self.original
            ));
        }
        Ok(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str =
        "fn a() { if x.is_empty() { go() } }\nfn b() { if x.is_empty() { stop() } }\n";

    fn list(mutations: &[(Option<&str>, &str, &str)]) -> Result<List> {
        let mutations = mutations
            .iter()
            .map(|(after, original, mutated)| Mutation {
                file: "x.rs".to_owned(),
                after: after.map(str::to_owned),
                original: (*original).to_owned(),
                mutated: (*mutated).to_owned(),
            })
            .collect();
        List::place(mutations, |_| Ok(SOURCE.to_owned()))
    }

    #[test]
    fn mutations_of_one_place_are_switched_one_by_one() {
        let list = list(&[
            (Some("fn b"), "x.is_empty()", "true"),
            (None, "go()", "()"),
            (Some("fn b"), "x.is_empty()", "false"),
        ])
        .unwrap();
        assert_eq!(
            list.switched("x.rs", SOURCE),
            "fn a() { if x.is_empty() { (if crate::mutant::is(2) { () } else { go() }) } }\n\
             fn b() { if (if crate::mutant::is(1) { true } else if crate::mutant::is(3) { false } else \
             { x.is_empty() }) { stop() } }\n"
        );
    }

    #[test]
    fn a_place_that_is_gone_or_not_the_only_one_is_named() {
        let gone = list(&[(None, "wait()", "()")]).unwrap_err().to_string();
        assert!(gone.contains("`wait()` is not there"), "{gone}");
        let two = list(&[(None, "x.is_empty()", "true")])
            .unwrap_err()
            .to_string();
        assert!(two.contains("more than once"), "{two}");
        let over = list(&[(None, "go()", "()"), (None, "{ go() }", "{}")])
            .unwrap_err()
            .to_string();
        assert!(over.contains("overlaps mutation 1"), "{over}");
    }
}
