//! The corpus: `bad/<rule>[--variant].inx`, or a folder `bad/<rule>` of packages to be linted together.
//!
//! A line that must be found carries `;! <rule>`. The file must give exactly these findings. Most
//! files are one of our own packages with one thing spoilt, so everything else in them is right.

mod syntax;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::rule::Rule;
use super::{Kind, Settings, lint_files, lint_one, text};

/// File, line and rule of a finding.
type Place = (PathBuf, usize, String);

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/inf/tests/bad")
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the corpus is part of the sources");
    let mut paths: Vec<PathBuf> = entries
        .map(|e| e.expect("a readable entry").path())
        .collect();
    paths.sort();
    paths
}

/// The rule a case is named after, and its files.
fn cases() -> Vec<(String, Vec<PathBuf>)> {
    let case = |path: PathBuf| {
        let stem = path
            .file_stem()
            .expect("a named file")
            .to_string_lossy()
            .into_owned();
        let rule = stem.split("--").next().expect("a first part").to_owned();
        let files = if path.is_dir() {
            listed(&path)
        } else {
            vec![path]
        };
        (rule, files)
    };
    listed(&here()).into_iter().map(case).collect()
}

fn expected(path: &Path) -> Vec<Place> {
    let text = text::decode(&std::fs::read(path).expect("a readable case"));
    let marks = text.lines.iter().enumerate().filter_map(|(index, line)| {
        let (_, rule) = line.split_once(";! ")?;
        Some((path.to_owned(), index + 1, rule.trim().to_owned()))
    });
    marks.collect()
}

fn found(files: &[PathBuf]) -> Vec<Place> {
    let settings = Settings {
        kmdf: Some("1.15".parse().expect("a known version")),
        images: None,
    };
    let reports = lint_files(files, &settings).expect("readable files");
    let places = reports.iter().flat_map(|report| {
        let place = |f: &super::Finding| (report.path.clone(), f.line, f.rule.id().to_owned());
        report.findings.iter().map(place).collect::<Vec<_>>()
    });
    places.collect()
}

/// Issue 6, point 2: the linter catches each spoilt package, names the rule and the line, and says nothing else.
#[test]
fn every_spoilt_package_breaks_exactly_its_rule_on_the_marked_line() {
    let mut wrong = Vec::new();
    for (rule, files) in cases() {
        let marked: Vec<Place> = files.iter().flat_map(|file| expected(file)).collect();
        let found = found(&files);
        let named = marked.iter().all(|(_, _, mark)| *mark == rule);
        if marked.is_empty() || !named || found != marked {
            wrong.push(format!(
                "{files:?}\n  marked {marked:?}\n  found  {found:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Issue 6: every rule has a bad example it rejects.
#[test]
fn every_rule_has_a_spoilt_package() {
    let tried: BTreeSet<String> = cases().into_iter().map(|(rule, _)| rule).collect();
    let rules: BTreeSet<String> = Rule::ALL.iter().map(|rule| rule.id().to_owned()).collect();
    assert_eq!(tried, rules);
    assert_eq!(rules.len(), Rule::ALL.len(), "two rules share an id");
}

/// Filter-rules 19: the packages we ship keep every rule.
#[test]
fn the_packages_we_ship_break_no_rule() {
    let project = crate::project::Project::here();
    let files = super::own_files(&project.path("inf")).expect("inf/ is part of the sources");
    assert_eq!(files.len(), 2, "a base package and an extension package");
    assert_eq!(found(&files), []);
}

/// Every line of our packages is there for a reason a rule knows, or is listed here with its own.
#[test]
fn no_line_of_our_packages_can_be_lost_unnoticed() {
    let optional = [
        "DisplayName",          // Windows shows the service's name instead
        "HKR,,Security",        // the default security descriptor of the device applies
        "[Pier_Install.NT.HW]", // its AddReg then belongs to the install section
    ];
    let project = crate::project::Project::here();
    for path in super::own_files(&project.path("inf")).expect("inf/ is part of the sources") {
        let whole = std::fs::read_to_string(&path).expect("a readable file");
        for (index, line) in whole.lines().enumerate() {
            let bare = line.trim();
            if bare.is_empty()
                || bare.starts_with(';')
                || optional.iter().any(|o| bare.starts_with(o))
            {
                continue;
            }
            let lines = whole
                .lines()
                .enumerate()
                .filter(|(other, _)| *other != index);
            let rest: Vec<&str> = lines.map(|(_, line)| line).collect();
            let report = lint_one(
                &path,
                rest.join("\n").as_bytes(),
                Kind::Inx,
                &Settings::default(),
            );
            assert!(
                !report.findings.is_empty(),
                "{}:{}: {line}",
                path.display(),
                index + 1
            );
        }
    }
}

/// A path that is no INF at all is refused with what to give instead.
#[test]
fn a_file_of_another_kind_is_refused_by_name() {
    let error = lint_files(&["driver.sys".into()], &Settings::default()).expect_err("not an INF");
    assert!(
        error
            .to_string()
            .contains("driver.sys is neither an .inf nor an .inx file"),
        "{error}"
    );
}
