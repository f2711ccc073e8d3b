//! Looks for paths of the building machine.

use super::Finding;
use crate::project::Project;

/// Where paths of a building machine begin.
const PREFIXES: &[&str] = &[
    "/home/",
    "/root/",
    "/usr/",
    "/tmp/",
    "/build/",
    "/github/",
    ":\\Users\\",
    ":\\a\\",
];

/// Checks the whole file, for narrow and wide text.
pub fn check(bytes: &[u8], project: &Project) -> Finding {
    let root = project.root().display().to_string();
    let prefixes = PREFIXES.iter().copied().chain([root.as_str()]);
    let found = prefixes.filter_map(|prefix| find(bytes, prefix));
    Finding::new("build paths", found.collect(), "none")
}

fn find(bytes: &[u8], prefix: &str) -> Option<String> {
    let narrow = prefix.as_bytes().to_vec();
    let wide: Vec<u8> = prefix.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (pattern, step) in [(narrow, 1), (wide, 2)] {
        let Some(at) = bytes.windows(pattern.len()).position(|w| w == pattern) else {
            continue;
        };
        let text = bytes
            .get(at..)
            .unwrap_or_default()
            .iter()
            .step_by(step)
            .take(80);
        let text: String = text
            .map(|b| char::from(*b))
            .take_while(|c| c.is_ascii_graphic())
            .collect();
        return Some(format!("{text:?} at file offset {at:#x}"));
    }
    None
}
