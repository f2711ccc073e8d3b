//! Identifiers of the specification, and finding them in text.

use std::fmt;

/// `R-QUE-45`: a statement; `P-03`: a pattern; `X-01`: a place where sources disagree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// `R-QUE`, `P` or `X`.
    pub series: String,
    /// The number within the series.
    pub number: u32,
}

impl Id {
    /// The group of a statement: `QUE` of `R-QUE-45`.
    pub fn group(&self) -> Option<&str> {
        self.series.strip_prefix("R-")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02}", self.series, self.number)
    }
}

/// What a text names: identifiers, or all of a series from one to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mention {
    /// One identifier.
    One(Id),
    /// All there are between the two, both included.
    Range(Id, Id),
}

/// Everything a text names, in order.
///
/// Understood: `R-OBJ-03`, `R-OBJ-03/04`, `R-OBJ-50..54`, `R-OBJ-50 to 54`, `R-OBJ-50 to R-OBJ-54`, `(R-OBJ-28, 96, 110)`.
pub fn mentions(text: &str) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let parsed = if before.is_ascii_alphanumeric() || before == '-' {
            None
        } else {
            identifier(rest)
        };
        let Some((id, tail)) = parsed else {
            before = first;
            rest = &rest[first.len_utf8()..];
            continue;
        };
        rest = continued(id, tail, &mut found);
        before = '0';
    }
    found
}

/// An identifier that the text begins with, and what follows.
fn identifier(text: &str) -> Option<(Id, &str)> {
    let (series, tail) = if let Some(tail) = text.strip_prefix("R-") {
        let (group, tail) = tail.split_at_checked(3)?;
        if !group.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        (format!("R-{group}"), tail.strip_prefix('-')?)
    } else if let Some(tail) = text.strip_prefix("P-") {
        ("P".to_owned(), tail)
    } else {
        ("X".to_owned(), text.strip_prefix("X-")?)
    };
    let (number, tail) = number(tail)?;
    Some((Id { series, number }, tail))
}

/// Two or three digits that the text begins with, and what follows; nothing of the word goes on behind them.
fn number(text: &str) -> Option<(u32, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, tail) = text.split_at(digits);
    let goes_on = tail.starts_with(|next: char| next.is_ascii_alphabetic() || next == '_');
    (matches!(digits, 2 | 3) && !goes_on).then_some(())?;
    Some((number.parse().ok()?, tail))
}

/// Takes in what continues an identifier: the end of a range, further numbers. Gives what follows.
fn continued<'t>(id: Id, mut tail: &'t str, found: &mut Vec<Mention>) -> &'t str {
    let mut last = id;
    loop {
        let range = ["..=", "..", " to ", "\u{2013}"];
        if let Some((end, after)) = range
            .iter()
            .find_map(|between| other(&last, tail.strip_prefix(between)?))
        {
            found.push(Mention::Range(last, end));
            return after;
        }
        let more = match tail.strip_prefix('/') {
            Some(after) => other(&last, after),
            None => listed(&last, tail),
        };
        let Some((next, after)) = more else {
            found.push(Mention::One(last));
            return tail;
        };
        found.push(Mention::One(std::mem::replace(&mut last, next)));
        tail = after;
    }
}

/// An identifier or a number of the same series.
fn other<'t>(id: &Id, text: &'t str) -> Option<(Id, &'t str)> {
    if let Some((other, tail)) = identifier(text) {
        return (other.series == id.series).then_some((other, tail));
    }
    let (number, tail) = number(text)?;
    let series = id.series.clone();
    Some((Id { series, number }, tail))
}

/// `, 96`: a number of the same series, if a list goes on or ends behind it; `, 24 KiB` is none.
fn listed<'t>(id: &Id, text: &'t str) -> Option<(Id, &'t str)> {
    let (number, tail) = number(text.strip_prefix(", ")?)?;
    let next = tail.chars().next();
    next.is_none_or(|next| matches!(next, ',' | ')' | '.' | ';' | ':' | '|'))
        .then_some(())?;
    let series = id.series.clone();
    Some((Id { series, number }, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let found = mentions(text).into_iter().map(|mention| match mention {
            Mention::One(id) => id.to_string(),
            Mention::Range(from, to) => format!("{from}..{to}"),
        });
        found.collect()
    }

    #[test]
    fn single_identifiers_of_all_series_are_found() {
        assert_eq!(
            shown("see R-CAN-31, R-CAN-34 and X-02 (P-07)."),
            ["R-CAN-31", "R-CAN-34", "X-02", "P-07"]
        );
        assert_eq!(shown("\"R-QUE-117\""), ["R-QUE-117"]);
    }

    #[test]
    fn ranges_are_found_in_every_way_they_are_written() {
        for text in [
            "R-OBJ-50..54",
            "R-OBJ-50..=54",
            "R-OBJ-50 to 54",
            "R-OBJ-50 to R-OBJ-54.",
            "R-OBJ-50\u{2013}54",
        ] {
            assert_eq!(shown(text), ["R-OBJ-50..R-OBJ-54"], "{text}");
        }
    }

    #[test]
    fn a_slash_and_a_list_name_further_numbers_of_the_series() {
        assert_eq!(shown("R-OBJ-03/04: both"), ["R-OBJ-03", "R-OBJ-04"]);
        assert_eq!(
            shown("(R-QUE-28, 96, 110, 111)"),
            ["R-QUE-28", "R-QUE-96", "R-QUE-110", "R-QUE-111"]
        );
        assert_eq!(
            shown("R-QUE-20/22/23"),
            ["R-QUE-20", "R-QUE-22", "R-QUE-23"]
        );
    }

    #[test]
    fn a_range_of_one_series_does_not_reach_into_another() {
        assert_eq!(shown("R-OBJ-50 to R-QUE-54"), ["R-OBJ-50", "R-QUE-54"]);
    }

    #[test]
    fn other_numbers_and_words_are_left_alone() {
        assert_eq!(shown("R-QUE-45, 24 KiB and 10 to 12"), ["R-QUE-45"]);
        assert!(shown("MAX-01 USB-P-01 R-QUE-1 R-que-45 R-QUE-45x CVE-2020").is_empty());
    }
}
