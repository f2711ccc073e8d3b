//! What is looked at, and what it means: pure, so that every finding can be tried anywhere.

use std::fmt;

use serde::Serialize;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// As it should be.
    Fine,
    /// Works, with a remark.
    Note,
    /// ferry cannot work like this.
    Wrong,
    /// Could not be found out.
    Unknown,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// How much it weighs.
    pub weight: Weight,
    /// What was seen.
    pub seen: String,
    /// The command that mends it, or how to find out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<&'static str>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.weight {
            Weight::Fine => "ok    ",
            Weight::Note => "note  ",
            Weight::Wrong => "WRONG ",
            Weight::Unknown => "?     ",
        };
        write!(f, "{mark} {:<22} {}", self.what, self.seen)?;
        match self.mend {
            Some(mend) => write!(f, "\n       {:<22} -> {mend}", ""),
            None => Ok(()),
        }
    }
}

/// What a machine says. `None`: it could not be found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Build number of Windows.
    pub build: Option<u32>,
    /// Whether this process runs elevated.
    pub elevated: Option<bool>,
    /// Options the system was started with (`SystemStartOptions`).
    pub start_options: Option<String>,
    /// Whether memory integrity (HVCI) is switched on.
    pub hvci: Option<bool>,
    /// Whether the service "ferry" exists, and its `Start`.
    pub ferry: Option<Option<u32>>,
    /// Whether the service "pier" exists, and its `Start`.
    pub pier: Option<Option<u32>>,
    /// Drivers the verifier watches; empty: none.
    pub verified: Option<String>,
    /// Its option bits.
    pub verifier_bits: Option<u32>,
    /// Whether the framework's own verifier is on for ferry.
    pub verifier_on: Option<bool>,
    /// ferry's answer: KMDF minor version it was built for, filter devices, faults.
    pub info: Option<(u32, u32, u32)>,
    /// Why ferry does not answer.
    pub silence: String,
    /// Interfaces of pier.
    pub interfaces: usize,
}

/// KMDF minor version a build of Windows comes with.
const fn kmdf_of(build: u32) -> u32 {
    match build {
        0..=19040 => 29,
        19041..=20347 => 31,
        _ => 33,
    }
}

/// Everything, most basic first.
#[must_use]
pub fn check(facts: &Facts) -> Vec<Finding> {
    vec![
        windows(facts),
        elevated(facts),
        signing(facts),
        hvci(facts),
        service(
            "service ferry",
            facts.ferry,
            "pnputil /add-driver ferry.inf /install",
        ),
        service(
            "service pier",
            facts.pier,
            "pnputil /add-driver pier.inf /install   (only needed to try ferry out)",
        ),
        answer(facts),
        framework(facts),
        pier(facts),
        verifier(facts),
        framework_verifier(facts),
    ]
}

fn finding(
    what: &'static str,
    weight: Weight,
    seen: impl Into<String>,
    mend: Option<&'static str>,
) -> Finding {
    Finding {
        what,
        weight,
        seen: seen.into(),
        mend,
    }
}

fn unknown(what: &'static str, mend: &'static str) -> Finding {
    finding(what, Weight::Unknown, "cannot be found out", Some(mend))
}

fn windows(facts: &Facts) -> Finding {
    const WHAT: &str = "Windows";
    match facts.build {
        None => unknown(WHAT, "winver"),
        Some(build) if build < 19041 => finding(
            WHAT,
            Weight::Wrong,
            format!("build {build}: ferry needs Windows 10 2004 (19041) or later"),
            Some("update Windows, or use another test machine"),
        ),
        Some(build) => finding(WHAT, Weight::Fine, format!("build {build}"), None),
    }
}

fn elevated(facts: &Facts) -> Finding {
    const WHAT: &str = "this prompt";
    match facts.elevated {
        None => unknown(WHAT, "whoami /groups"),
        Some(true) => finding(WHAT, Weight::Fine, "elevated", None),
        Some(false) => finding(
            WHAT,
            Weight::Wrong,
            "not elevated: only administrators may open ferry's control device",
            Some("Start-Process powershell -Verb RunAs"),
        ),
    }
}

fn signing(facts: &Facts) -> Finding {
    const WHAT: &str = "test signing";
    match &facts.start_options {
        None => unknown(WHAT, "bcdedit /enum"),
        Some(options)
            if options
                .to_uppercase()
                .split_whitespace()
                .any(|option| option.trim_start_matches('/') == "TESTSIGNING") =>
        {
            finding(WHAT, Weight::Fine, "on", None)
        }
        Some(_) => finding(
            WHAT,
            Weight::Note,
            "off: only a package signed by Microsoft loads (problem code 52 otherwise)",
            Some(
                "Secure Boot off in the firmware, then: bcdedit /set testsigning on; Restart-Computer",
            ),
        ),
    }
}

fn hvci(facts: &Facts) -> Finding {
    const WHAT: &str = "memory integrity";
    match facts.hvci {
        None => unknown(WHAT, "msinfo32"),
        Some(true) => finding(WHAT, Weight::Fine, "on: ferry is built for it", None),
        Some(false) => finding(
            WHAT,
            Weight::Note,
            "off: test with it on too",
            Some("Windows Security, Device security, Core isolation"),
        ),
    }
}

fn service(what: &'static str, known: Option<Option<u32>>, mend: &'static str) -> Finding {
    match known {
        None => unknown(what, "sc.exe qc NAME"),
        Some(None) => finding(what, Weight::Wrong, "not installed", Some(mend)),
        Some(Some(4)) => finding(
            what,
            Weight::Wrong,
            "installed and disabled (Start = 4)",
            Some("sc.exe config NAME start= demand"),
        ),
        Some(Some(start)) => finding(
            what,
            Weight::Fine,
            format!("installed, Start = {start}"),
            None,
        ),
    }
}

fn answer(facts: &Facts) -> Finding {
    const WHAT: &str = r"\\.\Ferry";
    match facts.info {
        None => finding(
            WHAT,
            Weight::Wrong,
            format!("does not answer: {}", facts.silence),
            Some(
                "the control device exists while ferry sits on a device: pnputil /enum-devices /drivers, ferryctl attach",
            ),
        ),
        Some((_, _, faults)) if faults != 0 => finding(
            WHAT,
            Weight::Wrong,
            format!("answers, and {faults} requests reached its safety net: a bug in ferry"),
            Some("ferryctl stats --json; please report it"),
        ),
        Some((_, 0, _)) => finding(
            WHAT,
            Weight::Note,
            "answers, and sits on no device",
            Some("ferryctl attach, or an id in its INF: ferryctl make-inf"),
        ),
        Some((_, devices, _)) => finding(
            WHAT,
            Weight::Fine,
            format!("answers, {devices} filter device(s)"),
            None,
        ),
    }
}

fn framework(facts: &Facts) -> Finding {
    const WHAT: &str = "KMDF";
    match (facts.build.map(kmdf_of), facts.info) {
        (None, _) => unknown(
            WHAT,
            "(Get-Item C:\\Windows\\System32\\drivers\\Wdf01000.sys).VersionInfo",
        ),
        (Some(here), Some((built, ..))) if built > here => finding(
            WHAT,
            Weight::Wrong,
            format!("ferry was built for 1.{built}, this Windows has 1.{here} (problem code 39)"),
            Some("build for 1.15: cargo xtask build --kmdf 1.15"),
        ),
        (Some(here), Some((built, ..))) => finding(
            WHAT,
            Weight::Fine,
            format!("1.{here} here, ferry was built for 1.{built}"),
            None,
        ),
        (Some(here), None) => finding(WHAT, Weight::Fine, format!("1.{here} here"), None),
    }
}

fn pier(facts: &Facts) -> Finding {
    const WHAT: &str = "pier";
    match facts.interfaces {
        0 => finding(
            WHAT,
            Weight::Note,
            "no device: `exercise` and `stress` have nothing to run on",
            Some(r#"devgen /add /instanceid FERRYPIER /hardwareid "ROOT\FERRYPIER""#),
        ),
        count => finding(WHAT, Weight::Fine, format!("{count} device(s)"), None),
    }
}

fn verifier(facts: &Facts) -> Finding {
    const WHAT: &str = "Driver Verifier";
    const ON: &str = "verifier /standard /driver ferry.sys pier.sys wdf01000.sys; Restart-Computer";
    let watched = |list: &str| {
        list.to_lowercase()
            .split([' ', '\t', '\0'])
            .any(|name| name == "ferry.sys" || name == "*")
    };
    match (&facts.verified, facts.verifier_bits) {
        (None, _) => unknown(WHAT, "verifier /querysettings"),
        (Some(list), bits) if watched(list) => finding(
            WHAT,
            Weight::Fine,
            format!(
                "watches {} with options {:#x}",
                list.trim(),
                bits.unwrap_or(0)
            ),
            None,
        ),
        (Some(_), _) => finding(
            WHAT,
            Weight::Note,
            "does not watch ferry.sys: fine for use, not for a test of ferry itself",
            Some(ON),
        ),
    }
}

fn framework_verifier(facts: &Facts) -> Finding {
    const WHAT: &str = "KMDF verifier";
    match facts.verifier_on {
        None => unknown(
            WHAT,
            r"reg query HKLM\SYSTEM\CurrentControlSet\Services\ferry\Parameters\Wdf",
        ),
        Some(true) => finding(WHAT, Weight::Fine, "on for ferry", None),
        Some(false) => finding(
            WHAT,
            Weight::Note,
            "off for ferry",
            Some(
                r"reg add HKLM\SYSTEM\CurrentControlSet\Services\ferry\Parameters\Wdf /v VerifierOn /t REG_DWORD /d 1",
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Facts {
        Facts {
            build: Some(26100),
            elevated: Some(true),
            start_options: Some(" NOEXECUTE=OPTIN  TESTSIGNING".to_owned()),
            hvci: Some(true),
            ferry: Some(Some(3)),
            pier: Some(Some(3)),
            verified: Some("ferry.sys pier.sys wdf01000.sys".to_owned()),
            verifier_bits: Some(0x209BB),
            verifier_on: Some(true),
            info: Some((15, 1, 0)),
            silence: String::new(),
            interfaces: 1,
        }
    }

    fn told(facts: &Facts) -> String {
        check(facts)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn a_sound_machine_is_fine_throughout() {
        assert!(
            check(&sound())
                .iter()
                .all(|finding| finding.weight == Weight::Fine),
            "{}",
            told(&sound())
        );
    }

    #[test]
    fn a_fresh_machine_is_told_every_command_it_needs() {
        let facts = Facts {
            build: Some(19045),
            elevated: Some(false),
            start_options: Some(" NOEXECUTE=OPTIN".to_owned()),
            hvci: Some(false),
            ferry: Some(None),
            pier: Some(None),
            verified: Some(String::new()),
            verifier_on: Some(false),
            silence: "STATUS_OBJECT_NAME_NOT_FOUND".to_owned(),
            ..Facts::default()
        };
        insta::assert_snapshot!(told(&facts));
    }

    #[test]
    fn each_thing_that_is_wrong_is_found() {
        for (break_it, what) in [
            (
                (|facts| facts.build = Some(18363)) as fn(&mut Facts),
                "Windows",
            ),
            (|facts| facts.elevated = Some(false), "this prompt"),
            (|facts| facts.ferry = Some(Some(4)), "service ferry"),
            (|facts| facts.info = Some((15, 1, 2)), r"\\.\Ferry"),
            (
                |facts| (facts.build, facts.info) = (Some(19041), Some((33, 1, 0))),
                "KMDF",
            ),
        ] {
            let mut facts = sound();
            break_it(&mut facts);
            let wrong: Vec<_> = check(&facts)
                .into_iter()
                .filter(|finding| finding.weight == Weight::Wrong)
                .collect();
            assert!(
                matches!(&wrong[..], [one] if one.what == what && one.mend.is_some()),
                "{what}: {wrong:?}"
            );
        }
    }
}
