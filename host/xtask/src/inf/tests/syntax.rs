//! How the INF format is read: Microsoft's "General Syntax Rules for INF Files", rule by rule.

use crate::inf::parse::{Entry, Inf};
use crate::inf::rule::{Finding, Rule};
use crate::inf::text::decode;

fn parse(text: &str) -> (Inf, Vec<Finding>) {
    let mut findings = Vec::new();
    let inf = Inf::parse(&decode(text.as_bytes()), &mut findings);
    (inf, findings)
}

/// The only entry of `text`, put into a section with two strings to refer to.
fn entry(text: &str) -> Entry {
    let (mut inf, findings) = parse(&format!(
        "[a]\n{text}\n[Strings]\nWho = \"some; body\"\nB = b\n"
    ));
    assert_eq!(findings, []);
    inf.sections.remove(0).entries.remove(0)
}

fn values(text: &str) -> Vec<String> {
    entry(text).values
}

#[test]
fn a_comment_ends_at_the_line_and_begins_at_a_semicolon_outside_quotes() {
    assert_eq!(values("x = 1 ; and 2, 3"), ["1"]);
    assert_eq!(values("x = \"a;b\", c;d"), ["a;b", "c"]);
}

#[test]
fn quotes_keep_commas_spaces_and_doubled_quotes() {
    assert_eq!(values(r#"x = " a, ""b"" ", c "#), [" a, \"b\" ", "c"]);
}

#[test]
fn a_backslash_at_the_end_continues_the_line() {
    let entry = entry("x = a,\\\n  b, \\ ; comment\n c");
    assert_eq!(entry.values, ["a", "b", "c"]);
    assert_eq!(entry.line, 2, "an entry is where it begins");
}

#[test]
fn a_backslash_in_quotes_is_part_of_a_path() {
    assert_eq!(values("x = \"dir\\\"\\\n, file"), ["dir\\", "file"]);
    assert_eq!(values("x = \"dir\\\""), ["dir\\"]);
}

#[test]
fn only_an_equals_sign_before_the_first_comma_makes_a_key() {
    let listed = entry("HKR,,Name,,a=b");
    assert_eq!((listed.key, listed.values.len()), (None, 5));
    assert_eq!(entry("a b = c = d").key.as_deref(), Some("a b"));
    assert_eq!(values("a b = c = d"), ["c = d"]);
}

#[test]
fn empty_values_count_in_the_middle_and_not_at_the_end() {
    assert_eq!(values("x = a,,b,,"), ["a", "", "b"]);
    assert_eq!(values("AddService = ,2"), ["", "2"]);
    assert!(values("DriverVer = ; later").is_empty());
}

#[test]
fn strings_are_replaced_without_regard_to_case_and_percent_is_doubled() {
    assert_eq!(
        values("x = %WHO%, a%b%c, 100%%"),
        ["some; body", "abc", "100%"]
    );
}

#[test]
fn a_directory_identifier_is_kept_and_noted_with_its_line() {
    let (inf, _) = parse("[a]\nServiceBinary = %12%\\x.sys\n");
    let noted: Vec<(usize, i64)> = inf.dirids.iter().map(|d| (d.line, d.id)).collect();
    assert_eq!(noted, [(2, 12)]);
}

#[test]
fn sections_of_one_name_are_one_section() {
    let (inf, _) = parse("[One]\na=1\n[Two]\n[ONE]\nb=2\n");
    let one = inf.section("one").expect("written twice");
    assert_eq!((one.line, one.entries.len(), inf.sections.len()), (1, 2, 2));
}

#[test]
fn a_section_name_may_hold_a_semicolon() {
    assert!(parse("[;; Std Mfg ]\n").0.section(";; Std Mfg ").is_some());
}

#[test]
fn a_file_that_ends_in_the_middle_of_a_continued_line_keeps_what_it_has() {
    let (inf, findings) = parse("[a]\nx = 1, \\");
    assert_eq!(inf.sections[0].entries[0].values, ["1"]);
    assert_eq!(findings, []);
}

#[test]
fn utf_16_and_windows_line_ends_read_like_ascii() {
    let text = "[a]\r\nx = 1\r\n";
    let bytes = [0xFEFF]
        .into_iter()
        .chain(text.encode_utf16())
        .flat_map(u16::to_le_bytes);
    let mut findings = Vec::new();
    let inf = Inf::parse(&decode(&bytes.collect::<Vec<u8>>()), &mut findings);
    assert_eq!(inf.sections[0].entries[0].values, ["1"]);
    assert_eq!(inf.sections[0].entries[0].line, 2);
}

/// Bytes that are no INF at all give findings, never a crash.
#[test]
fn noise_is_refused_line_by_line() {
    let noise: Vec<u8> = (0..=255u8).cycle().take(4096).collect();
    let mut findings = Vec::new();
    Inf::parse(&decode(&noise), &mut findings);
    assert!(findings.iter().all(|finding| finding.rule == Rule::Syntax));
    for start in [
        &[0xFF, 0xFE][..],
        &[0xEF, 0xBB, 0xBF],
        b"[",
        b"\"",
        b"%",
        b"[a]\n%",
        b"[a]\n\\",
    ] {
        Inf::parse(&decode(&[start, &noise[..99]].concat()), &mut findings);
        Inf::parse(&decode(start), &mut findings);
    }
}
