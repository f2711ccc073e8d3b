//! ferry's extension INF with more devices in its models section (filter-rules 19): one package, one `ExtensionId`, for ever.

use anyhow::{bail, ensure};

use crate::platform::Result;

/// The INF as the project ships it.
pub const OWN: &str = include_str!("../../../../inf/ferry.inx");

/// Adds hardware ids to the models section, and sets `DriverVer` if one is given.
///
/// # Errors
/// An id, the version, or the INF cannot be used.
pub fn add(inf: &str, ids: &[String], driver_ver: Option<&str>) -> Result<String> {
    for id in ids {
        check_id(id)?;
    }
    if let Some(version) = driver_ver {
        check_version(version)?;
    }
    let models = models_section(inf)?;
    let mut fresh: Vec<&String> = Vec::new();
    for id in ids {
        let known = section(inf, &models).any(|line| lists(line, id));
        if !known && !fresh.iter().any(|other| other.eq_ignore_ascii_case(id)) {
            fresh.push(id);
        }
    }
    let install = section(inf, &models)
        .find_map(|line| {
            line.split_once('=')?
                .1
                .split(',')
                .next()
                .map(|name| name.trim().to_owned())
        })
        .unwrap_or_else(|| "Ferry_Install".to_owned());
    // Names that are not taken yet, so that a file made by this command can be added to again.
    let taken = inf
        .lines()
        .filter(|line| line.trim_start().starts_with("FerryOver"))
        .count();
    let name = |number: usize| format!("FerryOver{}", taken + number);
    let entries: Vec<String> = fresh
        .iter()
        .enumerate()
        .map(|(number, id)| format!("%{}% = {install}, {id}", name(number)))
        .collect();
    let strings: Vec<String> = fresh
        .iter()
        .enumerate()
        .map(|(number, id)| format!("{} = \"ferry above {id}\"", name(number)))
        .collect();
    let mut out = append(inf, &models, &entries)?;
    out = append(&out, "Strings", &strings)?;
    if let Some(version) = driver_ver {
        out = set_version(&out, version)?;
    }
    Ok(out)
}

/// What a hardware id may look like in an INF: no blanks, quotes, commas, percent signs or comments.
fn check_id(id: &str) -> Result<()> {
    let bad = |character: char| {
        !character.is_ascii_graphic() || matches!(character, '"' | ',' | '%' | ';' | '=')
    };
    ensure!(
        id.contains('\\') && !id.contains(bad) && id.len() < 200,
        "{id:?} is no hardware id: it looks like USB\\VID_1234&PID_5678, see Details, Hardware Ids in Device Manager"
    );
    Ok(())
}

fn check_version(version: &str) -> Result<()> {
    let wrong = || {
        format!("{version:?} is no DriverVer: write mm/dd/yyyy,w.x.y.z, such as 11/30/2026,1.2.0.0")
    };
    let Some((date, number)) = version.split_once(',') else {
        bail!(wrong())
    };
    let parts: Vec<&str> = date.split('/').collect();
    let is = |text: &str, low: u32, high: u32| {
        text.parse()
            .is_ok_and(|value: u32| (low..=high).contains(&value))
    };
    let date_is_fine = matches!(parts[..], [month, day, year]
        if is(month, 1, 12) && is(day, 1, 31) && is(year, 2000, 9999) && month.len() == 2 && day.len() == 2);
    let numbers: Vec<&str> = number.trim().split('.').collect();
    let number_is_fine = numbers.len() == 4 && numbers.iter().all(|part| is(part, 0, 65534));
    ensure!(date_is_fine && number_is_fine, wrong());
    Ok(())
}

fn without_comment(line: &str) -> &str {
    line.split(';').next().unwrap_or(line).trim()
}

fn header(line: &str) -> Option<&str> {
    without_comment(line).strip_prefix('[')?.strip_suffix(']')
}

/// Lines of a section.
fn section<'a>(inf: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let is_it =
        move |line: &&str| header(line).is_some_and(|found| found.eq_ignore_ascii_case(name));
    inf.lines()
        .skip_while(move |line| !is_it(line))
        .skip(1)
        .take_while(|line| header(line).is_none())
}

fn lists(line: &str, id: &str) -> bool {
    without_comment(line)
        .split([',', '='])
        .skip(2)
        .any(|listed| listed.trim().eq_ignore_ascii_case(id))
}

/// The decorated models section the manufacturer's line names: `%x% = Ferry, NT$ARCH$.10.0...19041` is `Ferry.NT$ARCH$.10.0...19041`.
fn models_section(inf: &str) -> Result<String> {
    let named = section(inf, "Manufacturer").find_map(|line| {
        let parts = without_comment(line).split_once('=')?.1;
        let parts: Vec<_> = parts.split(',').map(str::trim).collect();
        Some(parts.join("."))
    });
    match named {
        Some(name) if section(inf, &name).next().is_some() => Ok(name),
        Some(name) => bail!("the INF has no section [{name}], which its [Manufacturer] names"),
        None => bail!("the INF has no [Manufacturer] section: is it ferry's extension INF?"),
    }
}

/// Adds lines to the end of a section.
fn append(inf: &str, name: &str, fresh: &[String]) -> Result<String> {
    let lines: Vec<&str> = inf.lines().collect();
    let is_it = |line: &&str| header(line).is_some_and(|found| found.eq_ignore_ascii_case(name));
    let Some(start) = lines.iter().position(is_it) else {
        bail!("the INF has no section [{name}]")
    };
    let body = &lines[start + 1..];
    let length = body
        .iter()
        .position(|line| header(line).is_some())
        .unwrap_or(body.len());
    // Behind its last line that says something: comments above the next section stay there.
    let used = body[..length]
        .iter()
        .rposition(|line| !without_comment(line).is_empty())
        .map_or(0, |at| at + 1);
    let (before, after) = lines.split_at(start + 1 + used);
    let mut out = before.join("\n");
    for line in fresh {
        out.push('\n');
        out.push_str(line);
    }
    for line in after {
        out.push('\n');
        out.push_str(line);
    }
    out.push('\n');
    Ok(out)
}

fn set_version(inf: &str, version: &str) -> Result<String> {
    let mut found = false;
    let lines: Vec<String> = inf
        .lines()
        .map(|line| {
            let key = line.split('=').next().unwrap_or("").trim();
            if key.eq_ignore_ascii_case("DriverVer") {
                found = true;
                let (head, _) = line.split_once('=').unwrap_or((line, ""));
                format!("{head}= {version}")
            } else {
                line.to_owned()
            }
        })
        .collect();
    ensure!(found, "the INF has no DriverVer");
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn ids_go_into_the_one_models_section_and_everything_else_stays() {
        let made = add(
            OWN,
            &ids(&[r"USB\VID_1234&PID_5678", r"ROOT\THING"]),
            Some("11/30/2026,1.2.3.4"),
        )
        .unwrap();
        let changed: Vec<&str> = made
            .lines()
            .filter(|line| !OWN.lines().any(|old| old == *line))
            .collect();
        insta::assert_snapshot!(changed.join("\n"), @r#"
        DriverVer   = 11/30/2026,1.2.3.4
        %FerryOver1% = Ferry_Install, USB\VID_1234&PID_5678
        %FerryOver2% = Ferry_Install, ROOT\THING
        FerryOver1 = "ferry above USB\VID_1234&PID_5678"
        FerryOver2 = "ferry above ROOT\THING"
        "#);
        let id = |inf: &str| {
            inf.lines()
                .find(|line| line.starts_with("ExtensionId"))
                .map(str::to_owned)
        };
        assert_eq!(id(&made), id(OWN));
    }

    #[test]
    fn an_id_that_is_there_is_not_added_again_and_a_made_file_can_be_added_to() {
        let once = add(OWN, &ids(&[r"USB\A", r"usb\a", r"ROOT\FERRYPIER"]), None).unwrap();
        assert_eq!(once.matches(r"Ferry_Install, USB\A").count(), 1);
        assert_eq!(once.matches(r"Ferry_Install, ROOT\FERRYPIER").count(), 1);
        let twice = add(&once, &ids(&[r"USB\A", r"USB\B"]), None).unwrap();
        assert_eq!(twice.matches(r"Ferry_Install, USB\").count(), 2);
        let names: Vec<_> = twice
            .lines()
            .filter(|line| line.starts_with("FerryOver"))
            .map(|line| line.split(' ').next())
            .collect();
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(names.len(), distinct.len(), "{twice}");
    }

    #[test]
    fn what_is_no_id_and_no_version_is_refused() {
        for id in [
            "COM1",
            r"USB\A B",
            r"USB\A,USB\B",
            r#"USB\"A""#,
            r"USB\%X%",
            r"USB\;A",
        ] {
            assert!(
                add(OWN, &ids(&[id]), None)
                    .unwrap_err()
                    .to_string()
                    .contains("no hardware id"),
                "{id}"
            );
        }
        for version in [
            "1.2.3.4",
            "30/11/2026,1.2.3.4",
            "11/30/2026,1.2.3",
            "11/30/2026,1.2.3.65535",
            "1/1/2026,1.0.0.0",
        ] {
            let error = add(OWN, &ids(&[r"USB\A"]), Some(version))
                .unwrap_err()
                .to_string();
            assert!(error.contains("no DriverVer"), "{version}: {error}");
        }
        assert!(add("[Version]\n", &ids(&[r"USB\A"]), None).is_err());
    }
}
