//! The part of an INF file that a check needs: the hardware id, the service and its parameters.

use crate::nt::registry::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// What an INF says about a driver.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Inf {
    /// The first hardware id of the models.
    pub(super) hardware_id: Option<String>,
    /// The service whose binary is the image.
    pub(super) service: Option<String>,
    /// Values the service's AddReg puts below `Parameters`.
    pub(super) parameters: Vec<Value>,
    /// What does not fit the image.
    pub(super) remarks: Vec<String>,
}

/// Sections by their lower-case name; a section may be given in parts.
struct Sections(BTreeMap<String, Vec<String>>);

impl Sections {
    fn parse(text: &str) -> Self {
        let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut current = String::new();
        let mut pending = String::new();
        for line in text.lines() {
            let line = without_comment(line);
            let line = line.trim();
            if let Some(start) = line.strip_suffix('\\') {
                pending.push_str(start);
                continue;
            }
            let line = std::mem::take(&mut pending) + line;
            if let Some(name) = line
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                current = name.trim().to_lowercase();
                sections.entry(current.clone()).or_default();
            } else if !line.is_empty() {
                sections.entry(current.clone()).or_default().push(line);
            }
        }
        let strings = sections.get("strings").cloned().unwrap_or_default();
        let strings: BTreeMap<String, String> = strings
            .iter()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim().to_lowercase(), unquoted(value)))
            .collect();
        for line in sections.values_mut().flatten() {
            *line = substituted(line, &strings);
        }
        Self(sections)
    }

    fn lines(&self, section: &str) -> impl Iterator<Item = &str> {
        self.0
            .get(&section.to_lowercase())
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

    /// The fields right of the `=` of the lines with this key.
    fn values(&self, section: &str, key: &str) -> Vec<Vec<String>> {
        self.lines(section)
            .filter_map(|line| line.split_once('='))
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case(key))
            .map(|(_, value)| fields(value))
            .collect()
    }
}

fn without_comment(line: &str) -> String {
    let mut quoted = false;
    line.chars()
        .take_while(|character| {
            quoted ^= *character == '"';
            quoted || *character != ';'
        })
        .collect()
}

fn unquoted(text: &str) -> String {
    text.trim().trim_matches('"').to_owned()
}

fn fields(text: &str) -> Vec<String> {
    let mut quoted = false;
    text.split(|character| {
        quoted ^= character == '"';
        !quoted && character == ','
    })
    .map(unquoted)
    .collect()
}

/// `%token%` replaced by its string; tokens without one stay as they are.
fn substituted(line: &str, strings: &BTreeMap<String, String>) -> String {
    let mut result = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('%') {
        result.push_str(before);
        let Some((token, behind)) = after.split_once('%') else {
            result.push('%');
            rest = after;
            continue;
        };
        match strings.get(&token.to_lowercase()) {
            Some(string) => result.push_str(string),
            None => result.push_str(&format!("%{token}%")),
        }
        rest = behind;
    }
    result + rest
}

/// A number as INF files write it.
fn number(text: &str) -> Option<u32> {
    match text.trim().strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.trim().parse().ok(),
    }
}

/// An AddReg line for a value below `Parameters` of the service.
fn parameter(line: &str) -> Option<Value> {
    const KIND: u32 = 0x0001_0003;
    let fields = fields(line);
    let [root, key, name, flags, values @ ..] = fields.as_slice() else {
        return None;
    };
    if !root.eq_ignore_ascii_case("HKR") || !key.eq_ignore_ascii_case("Parameters") {
        return None;
    }
    let first = values.first().map_or("", String::as_str);
    match number(flags).unwrap_or(0) & KIND {
        0x0001_0001 => Some(Value::dword(name, number(first)?)),
        0x0001_0000 => {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            Some(Value::strings(name, &values))
        }
        0 => Some(Value::string(name, first)),
        _ => None,
    }
}

/// A file as text: UTF-16 with a byte order mark, or UTF-8.
fn decode(bytes: &[u8]) -> Option<String> {
    match bytes {
        [0xff, 0xfe, rest @ ..] => {
            let units: Vec<u16> = rest
                .chunks_exact(2)
                .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                .collect();
            String::from_utf16(&units).ok()
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

impl Inf {
    /// Reads the file and looks for the image in it.
    ///
    /// # Errors
    /// A sentence that names the file and says why it cannot be used.
    pub(super) fn read(path: &Path, image: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path)
            .map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
        let text = decode(&bytes).filter(|text| !text.contains('\0'));
        let text = text.ok_or_else(|| format!("{}: is not a text file", path.display()))?;
        let sections = Sections::parse(&text);
        if sections.lines("Version").next().is_none() {
            return Err(format!(
                "{}: is not an INF file: it has no [Version]",
                path.display()
            ));
        }
        let file = image.file_name().unwrap_or(image.as_os_str());
        Ok(Self::of(&sections, &file.to_string_lossy()))
    }

    fn of(sections: &Sections, image: &str) -> Self {
        let mut inf = Self::default();
        let mut installs = Vec::new();
        for line in sections.lines("Manufacturer") {
            let names = line.split_once('=').map_or(line, |(_, names)| names);
            let names = fields(names);
            let Some((base, decorations)) = names.split_first() else {
                continue;
            };
            let models = std::iter::once(base.clone()).chain(
                decorations
                    .iter()
                    .map(|decoration| format!("{base}.{decoration}")),
            );
            for model in models {
                for entry in sections.lines(&model) {
                    let value = entry.split_once('=').map_or("", |(_, value)| value);
                    let fields = fields(value);
                    if let [install, id, ..] = fields.as_slice() {
                        installs.push(install.clone());
                        inf.hardware_id.get_or_insert_with(|| id.clone());
                    }
                }
            }
        }
        for install in installs {
            for suffix in ["", ".nt", ".ntamd64", ".ntx86"] {
                let services = format!("{install}{suffix}.services");
                for service in sections.values(&services, "AddService") {
                    inf.take_service(sections, &service, image);
                }
            }
        }
        if inf.hardware_id.is_none() {
            inf.remarks.push("the INF has no hardware id".to_owned());
        }
        if inf.service.is_none() {
            inf.remarks
                .push(format!("no service of the INF has {image} as its binary"));
        }
        inf
    }

    fn take_service(&mut self, sections: &Sections, service: &[String], image: &str) {
        let [name, _, install, ..] = service else {
            return;
        };
        let binary = sections.values(install, "ServiceBinary");
        let ours = binary.iter().flatten().any(|path| {
            path.rsplit(['\\', '/'])
                .next()
                .is_some_and(|file| file.eq_ignore_ascii_case(image))
        });
        if !ours {
            return;
        }
        self.service = Some(name.clone());
        for registry in sections.values(install, "AddReg").into_iter().flatten() {
            self.parameters
                .extend(sections.lines(&registry).filter_map(parameter));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[Version]
Signature = "$WINDOWS NT$" ; a comment
[Manufacturer]
%Maker% = Models, NTamd64.10.0...19041
[Models.NTamd64.10.0...19041]
%Device% = Install, ROOT\SAMPLE
[Install.NT.Services]
AddService = Sample, 2, Service
[Service]
ServiceBinary = %13%\Sample.sys
AddReg = Registry
[Registry]
HKR, Parameters, Depth, 0x00010001, 0x10
HKR, Parameters, Name, 0, "a; b, c"
HKR, Other, Name, 0, "x"
[Strings]
Maker = "The maker"
Device = "A sample"
"#;

    #[test]
    fn an_inf_gives_the_hardware_id_the_service_and_its_parameters() {
        let inf = Inf::of(&Sections::parse(TEXT), "sample.SYS");
        assert_eq!(inf.hardware_id.as_deref(), Some(r"ROOT\SAMPLE"));
        assert_eq!(inf.service.as_deref(), Some("Sample"));
        let expected = [Value::dword("Depth", 16), Value::string("Name", "a; b, c")];
        assert_eq!(inf.parameters, expected);
        assert!(inf.remarks.is_empty());
    }

    #[test]
    fn an_inf_of_another_driver_is_remarked() {
        let inf = Inf::of(&Sections::parse(TEXT), "other.sys");
        assert_eq!(inf.service, None);
        assert!(inf.remarks[0].contains("other.sys"), "{:?}", inf.remarks);
    }
}
