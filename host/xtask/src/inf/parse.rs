//! The INF format: sections, entries, values, `%strings%`, comments and continued lines.
//!
//! Written after Microsoft's "General Syntax Rules for INF Files". Names of sections, keys and
//! strings compare without regard to case; sections of one name are one section.

use std::collections::HashMap;

use super::rule::{Finding, Rule};
use super::text::Text;

/// One line of a section, with continued lines joined.
#[derive(Debug)]
pub struct Entry {
    /// Number of the line it begins on.
    pub line: usize,
    /// What stands before `=`, if there is one.
    pub key: Option<String>,
    /// What stands after it, split at commas, unquoted, strings replaced. No empty value at the end.
    pub values: Vec<String>,
}

impl Entry {
    /// The value at `index`, empty if there is none.
    pub fn value(&self, index: usize) -> &str {
        self.values.get(index).map_or("", String::as_str)
    }

    /// Whether the key is `name`.
    pub fn is(&self, name: &str) -> bool {
        self.key
            .as_deref()
            .is_some_and(|key| key.eq_ignore_ascii_case(name))
    }
}

/// A section: every entry below a `[name]`.
#[derive(Debug)]
pub struct Section {
    /// The name as first written.
    pub name: String,
    /// Number of the line of its first `[name]`.
    pub line: usize,
    /// Its entries in order.
    pub entries: Vec<Entry>,
}

impl Section {
    /// The first entry with this key: the one Windows uses.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is(key))
    }

    /// Every entry with this key.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.is(key))
    }
}

/// A directory identifier used inside a value, as in `%13%\driver.sys`.
#[derive(Debug)]
pub struct DirId {
    /// Number of the line of the entry.
    pub line: usize,
    /// The identifier.
    pub id: i64,
}

/// A parsed INF file.
#[derive(Debug)]
pub struct Inf {
    /// Its sections in order of their first appearance.
    pub sections: Vec<Section>,
    /// Every `%number%` in a value.
    pub dirids: Vec<DirId>,
}

impl Inf {
    /// Parses `text`; what cannot be read goes to `findings` and is left out.
    pub fn parse(text: &Text, findings: &mut Vec<Finding>) -> Self {
        let mut inf = Self {
            sections: Vec::new(),
            dirids: Vec::new(),
        };
        let mut current = None;
        let mut lines = text.lines.iter().enumerate();
        while let Some((index, line)) = lines.next() {
            let start = index + 1;
            if line.trim_start().starts_with('[') {
                match header(line) {
                    Ok(name) => current = Some(inf.open(name, start)),
                    Err(why) => findings.push(Finding::new(Rule::Syntax, start, why)),
                }
                continue;
            }
            let mut joined = String::new();
            let mut piece = line;
            while let Some(head) = continued(without_comment(piece)) {
                joined.push_str(head);
                let Some((_, next)) = lines.next() else { break };
                piece = next;
            }
            if continued(without_comment(piece)).is_none() {
                joined.push_str(without_comment(piece));
            }
            if joined.trim().is_empty() {
                continue;
            }
            match (entry(&joined, start), current) {
                (Err(why), _) => findings.push(Finding::new(Rule::Syntax, start, why)),
                (Ok(_), None) => findings.push(Finding::new(
                    Rule::Syntax,
                    start,
                    "an entry stands before the first [section]",
                )),
                (Ok(entry), Some(at)) => inf.sections[at].entries.push(entry),
            }
        }
        inf.replace_strings(findings);
        inf
    }

    /// The section of this name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections
            .iter()
            .find(|section| section.name.eq_ignore_ascii_case(name))
    }

    fn open(&mut self, name: &str, line: usize) -> usize {
        let known = self
            .sections
            .iter()
            .position(|section| section.name.eq_ignore_ascii_case(name));
        known.unwrap_or_else(|| {
            self.sections.push(Section {
                name: name.to_owned(),
                line,
                entries: Vec::new(),
            });
            self.sections.len() - 1
        })
    }

    fn replace_strings(&mut self, findings: &mut Vec<Finding>) {
        let strings: HashMap<String, String> = self
            .sections
            .iter()
            .filter(|section| is_strings(&section.name))
            .flat_map(|section| &section.entries)
            .filter_map(|entry| {
                Some((
                    entry.key.as_ref()?.to_ascii_lowercase(),
                    entry.value(0).to_owned(),
                ))
            })
            .collect();
        for section in &mut self.sections {
            if is_strings(&section.name) {
                continue;
            }
            for entry in &mut section.entries {
                for text in entry.key.iter_mut().chain(&mut entry.values) {
                    *text = replace(text, entry.line, &strings, &mut self.dirids, findings);
                }
            }
        }
    }
}

/// Whether `name` is `Strings` or `Strings.LanguageID`.
pub fn is_strings(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "strings" || name.starts_with("strings.")
}

fn header(line: &str) -> Result<&str, String> {
    let inside = line.trim_start().trim_start_matches('[');
    let Some((name, rest)) = inside.split_once(']') else {
        return Err("a section name has no closing ]".into());
    };
    if name.is_empty() || name.len() > 255 {
        return Err("a section name has 1 to 255 characters".into());
    }
    if !without_comment(rest).trim().is_empty() {
        return Err(format!("text after [{name}] is no part of the section"));
    }
    Ok(name)
}

/// The line up to the first semicolon outside quotes.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ';' if !quoted => return &line[..at],
            _ => {}
        }
    }
    line
}

/// What stands before the backslash that continues the line, if one does.
fn continued(line: &str) -> Option<&str> {
    let line = line.trim_end();
    let quotes = line.matches('"').count();
    (line.ends_with('\\') && quotes.is_multiple_of(2)).then(|| line.trim_end_matches('\\'))
}

/// Splits a joined line at its first `=` and at its commas.
fn entry(text: &str, line: usize) -> Result<Entry, String> {
    let mut fields = vec![String::new()];
    let mut key = None;
    let mut quoted = false;
    // Length of the field that must survive trimming because it was quoted.
    let mut kept = 0;
    let mut chars = text.trim().chars().peekable();
    let finish = |field: &mut String, kept: &mut usize| {
        let end = field.trim_end().len().max(*kept);
        field.truncate(end);
        *kept = 0;
    };
    while let Some(c) = chars.next() {
        let last = fields.len() - 1;
        let field = &mut fields[last];
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
                kept = field.len();
            }
            '"' => {
                quoted = !quoted;
                kept = field.len();
            }
            ',' if !quoted => {
                finish(field, &mut kept);
                fields.push(String::new());
            }
            '=' if !quoted && key.is_none() && last == 0 => {
                finish(field, &mut kept);
                if field.is_empty() {
                    return Err("nothing stands before =".into());
                }
                key = Some(std::mem::take(field));
            }
            c if !quoted && c.is_whitespace() && field.is_empty() && kept == 0 => {}
            c => {
                field.push(c);
                if quoted {
                    kept = field.len();
                }
            }
        }
    }
    if quoted {
        return Err("a quotation mark is never closed".into());
    }
    if let Some(field) = fields.last_mut() {
        finish(field, &mut kept);
    }
    while fields.last().is_some_and(String::is_empty) {
        fields.pop();
    }
    Ok(Entry {
        line,
        key,
        values: fields,
    })
}

fn replace(
    text: &str,
    line: usize,
    strings: &HashMap<String, String>,
    dirids: &mut Vec<DirId>,
    findings: &mut Vec<Finding>,
) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('%') else {
            findings.push(Finding::new(
                Rule::Syntax,
                line,
                "a single % stands alone; write %% for the character itself",
            ));
            out.push('%');
            rest = after;
            continue;
        };
        rest = tail;
        if name.is_empty() {
            out.push('%');
        } else if let Ok(id) = name.parse() {
            dirids.push(DirId { line, id });
            out.push_str(&format!("%{name}%"));
        } else if let Some(value) = strings.get(&name.to_ascii_lowercase()) {
            out.push_str(value);
        } else {
            findings.push(Finding::new(
                Rule::StringUndefined,
                line,
                format!("%{name}% is not defined in [Strings]"),
            ));
            out.push_str(name);
        }
    }
    out.push_str(rest);
    out
}
