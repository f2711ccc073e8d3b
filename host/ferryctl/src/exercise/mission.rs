//! `docs/mission.md` against what there is.

use std::collections::BTreeSet;
use std::path::Path;

use super::table;

const MISSION: &str = include_str!("../../../../docs/mission.md");

/// Rows of the table: what, case, scenario, drivers.
fn rows() -> Vec<[&'static str; 4]> {
    let rows = MISSION.lines().filter_map(|line| {
        let cells: Vec<_> = line
            .strip_prefix('|')?
            .trim_end()
            .strip_suffix('|')?
            .split('|')
            .map(str::trim)
            .collect();
        <[&str; 4]>::try_from(cells).ok()
    });
    let is_row =
        |[_, case, ..]: &[&str; 4]| !case.is_empty() && *case != "case" && !case.starts_with("---");
    rows.filter(is_row).collect()
}

#[test]
fn every_row_of_the_mission_names_what_there_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cases: BTreeSet<_> = table().iter().map(|case| case.name).collect();
    let rows = rows();
    assert!(
        rows.len() >= 35,
        "the table has {} rows: are some malformed?",
        rows.len()
    );
    for [row, case, scenario, drivers] in rows {
        assert!(
            cases.contains(case),
            "{row}: there is no exercise case {case:?}"
        );
        let (file, name) = scenario
            .split_once(": ")
            .unwrap_or_else(|| panic!("{row}: {scenario:?} is no FILE: NAME"));
        let path = root.join("tests/tests").join(file);
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{row}: {}: {error}", path.display()));
        assert!(
            text.contains(&format!("fn {name}()")),
            "{row}: {file} has no scenario {name}"
        );
        for driver in drivers.split(", ") {
            let folder = match driver {
                "ferry" => "src",
                "pier" => "drivers/pier/src",
                _ => &format!("tests/drivers/{driver}/src"),
            };
            assert!(
                root.join(folder).is_dir(),
                "{row}: there is no driver {driver:?}"
            );
        }
    }
}

/// What the project was asked for, in its words: each must be a row.
#[test]
fn no_part_of_the_mission_is_without_a_row() {
    let rows: Vec<_> = rows().iter().map(|[row, ..]| row.to_lowercase()).collect();
    for part in [
        "ownership passes",
        "sequential",
        "parallel",
        "manual",
        "status",
        "information",
        "boost",
        "unsupported",
        "invalid",
        "dpc",
        "synchronously",
        "completion routine",
        "send and forget",
        "created requests deleted",
        "reused sub-request",
        "several sub-requests",
        "set and read",
        "before delivery",
        "configured forwarding",
        "evtrequestcancel",
        "forwarded, with",
        "forwarded, without",
        "requeued, with evt",
        "requeued, without",
        "caller's context",
        "mark and unmark",
        "is-canceled polled",
        "cancel of sent requests",
        "status_cancelled",
        "cancel against completion",
        "cancel against sub-requests",
        "format current type",
        "format read, write, control",
        "flush, query and set",
        "synchronous send",
        "asynchronous send",
        "cancel of sent",
        "delete of created",
    ] {
        assert!(
            rows.iter().any(|row| row.contains(part)),
            "no row speaks of {part:?}"
        );
    }
}
