//! What a command says: a sentence or a table for people, one JSON value for programs.

use std::fmt::Display;
use std::io::Write;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::platform::Result;

/// Where answers go: standard output, as people or as programs read them. Progress and remarks go to standard error.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// `--json` was given.
    pub json: bool,
}

impl Output {
    /// Says one answer. As JSON: one value on one line.
    ///
    /// # Errors
    /// Standard output is gone.
    pub fn say(self, answer: &(impl Display + Serialize)) -> Result<()> {
        let text = if self.json {
            serde_json::to_string(answer).context("cannot put the answer into JSON")?
        } else {
            answer.to_string()
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{text}")
            .and_then(|()| out.flush())
            .context("cannot write to standard output")
    }

    /// Tells people what goes on; programs are not told.
    pub fn remark(self, text: &str) {
        if !self.json {
            eprintln!("{text}");
        }
    }

    /// A bar on standard error, if that is a terminal and people are looking.
    #[must_use]
    pub fn bar(self, length: u64, template: &str) -> ProgressBar {
        let target = if self.json {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::with_draw_target(Some(length), target).with_style(style)
    }
}

/// A number as people read it: `1 234 567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A length of time in units of 100 ns as people read it: three digits and a unit.
#[must_use]
pub fn time(units: u64) -> String {
    let micros = units as f64 / 10.0;
    let (value, unit) = match micros {
        m if m < 1_000.0 => (m, "us"),
        m if m < 1_000_000.0 => (m / 1_000.0, "ms"),
        m => (m / 1_000_000.0, "s"),
    };
    let digits = if value >= 100.0 || value == 0.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

/// A count of bytes as people read it.
#[must_use]
pub fn bytes(count: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 100.0 { 0 } else { 1 };
    format!("{value:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_times_and_sizes_are_told_in_three_digits() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(time(0), "0 us");
        assert_eq!(time(15), "1.50 us");
        assert_eq!(time(156_000), "15.6 ms");
        assert_eq!(time(1_234_000_000), "123 s");
        assert_eq!(bytes(512.0), "512 B");
        assert_eq!(bytes(1536.0), "1.5 KiB");
    }
}
