//! Devices ferry must not be attached to (filter-rules 12).

use std::fmt;

/// What is known of a device before anything is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its instance id.
    pub instance: String,
    /// As Device Manager shows it.
    pub description: String,
    /// `{8-4-4-4-12}` of its setup class.
    pub class_guid: String,
    /// `Start` of its function driver's service; 0 is boot start.
    pub start_type: Option<u32>,
    /// What the machine needs it for: `the system volume`, `a page file`, and so on.
    pub carries: Vec<&'static str>,
    /// Whether it is plugged in.
    pub present: bool,
    /// `UpperFilters`, lowest first.
    pub filters: Vec<String>,
}

/// Why ferry is not attached to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The machine itself runs from it. No override.
    Carries(String),
    /// A class that a mistake in takes the machine away. `--force`.
    Class(&'static str),
    /// Its driver starts with the boot loader: a mistake shows before anybody can mend it. `--force`.
    BootStart,
    /// There is no service to attach.
    NotInstalled,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Carries(what) => write!(
                f,
                "this device carries {what}: a filter that holds its requests stops the machine. There is no override; use another device"
            ),
            Self::Class(class) => write!(
                f,
                "devices of class {class} are refused: a held request there can take the machine away. --force attaches all the same"
            ),
            Self::BootStart => write!(
                f,
                "its driver starts at boot: a mistake would show before anybody could detach ferry. --force attaches all the same"
            ),
            Self::NotInstalled => write!(
                f,
                "the service \"ferry\" does not exist: a device that lists a filter without a driver does not start. \
                 Install first: pnputil /add-driver ferry.inf /install"
            ),
        }
    }
}

impl std::error::Error for Refusal {}

/// Setup classes that are refused, by GUID: names are translated, GUIDs are not.
const CLASSES: [(&str, &str); 14] = [
    ("DiskDrive", "{4d36e967-e325-11ce-bfc1-08002be10318}"),
    ("Volume", "{71a27cdd-812a-11d0-bec7-08002be2092f}"),
    ("SCSIAdapter", "{4d36e97b-e325-11ce-bfc1-08002be10318}"),
    ("HDC", "{4d36e96a-e325-11ce-bfc1-08002be10318}"),
    ("USB", "{36fc9e60-c465-11cf-8056-444553540000}"),
    ("System", "{4d36e97d-e325-11ce-bfc1-08002be10318}"),
    ("Computer", "{4d36e966-e325-11ce-bfc1-08002be10318}"),
    ("Processor", "{50127dc3-0f36-415e-a6cc-4cb3be910b65}"),
    ("Display", "{4d36e968-e325-11ce-bfc1-08002be10318}"),
    ("Net", "{4d36e972-e325-11ce-bfc1-08002be10318}"),
    ("Keyboard", "{4d36e96b-e325-11ce-bfc1-08002be10318}"),
    ("Mouse", "{4d36e96f-e325-11ce-bfc1-08002be10318}"),
    ("HIDClass", "{745a17a0-74d3-11d0-b6fe-00a0c90f57da}"),
    ("Biometric", "{53d29ef7-377c-4d14-864b-eb3a85769359}"),
];

/// Whether ferry may be attached.
///
/// # Errors
/// The reason that weighs most.
pub fn decide(facts: &Facts, installed: bool, force: bool) -> Result<(), Refusal> {
    if !facts.carries.is_empty() {
        return Err(Refusal::Carries(facts.carries.join(", ")));
    }
    if !installed {
        return Err(Refusal::NotInstalled);
    }
    if force {
        return Ok(());
    }
    let class = CLASSES
        .iter()
        .find(|(_, guid)| guid.eq_ignore_ascii_case(&facts.class_guid));
    if let Some((class, _)) = class {
        return Err(Refusal::Class(class));
    }
    if facts.start_type == Some(0) {
        return Err(Refusal::BootStart);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(class_guid: &str) -> Facts {
        Facts {
            class_guid: class_guid.to_owned(),
            present: true,
            ..Facts::default()
        }
    }

    #[test]
    fn what_carries_the_system_is_refused_whatever_is_said() {
        let mut facts = facts("");
        facts.carries = vec!["the system volume", "a page file"];
        for force in [false, true] {
            let refusal = decide(&facts, true, force).unwrap_err();
            assert!(
                refusal
                    .to_string()
                    .contains("the system volume, a page file"),
                "{refusal}"
            );
        }
    }

    #[test]
    fn every_class_of_the_list_is_refused_unless_forced() {
        for (class, guid) in CLASSES {
            let facts = facts(&guid.to_uppercase());
            assert_eq!(decide(&facts, true, false), Err(Refusal::Class(class)));
            assert_eq!(decide(&facts, true, true), Ok(()));
        }
        // A class of ports: {4d36e978-e325-11ce-bfc1-08002be10318}.
        assert_eq!(
            decide(
                &facts("{4d36e978-e325-11ce-bfc1-08002be10318}"),
                true,
                false
            ),
            Ok(())
        );
    }

    #[test]
    fn boot_start_and_a_missing_service_are_refused() {
        let mut facts = facts("");
        assert_eq!(decide(&facts, false, true), Err(Refusal::NotInstalled));
        facts.start_type = Some(0);
        assert_eq!(decide(&facts, true, false), Err(Refusal::BootStart));
        assert_eq!(decide(&facts, true, true), Ok(()));
        facts.start_type = Some(3);
        assert_eq!(decide(&facts, true, false), Ok(()));
    }
}
