//! Names: devices, symbolic links, and how a program's path finds a device.

use super::abi::{Address, DeviceObject};
use super::status::NtStatus;
use crate::sched::Lock;
use std::collections::BTreeMap;

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A device.
    Device(Address<DeviceObject>),
    /// A symbolic link to another name.
    Link(String),
}

/// Names do not differ by case; the key is upper case.
static NAMES: Lock<BTreeMap<String, Entry>> = Lock::new(BTreeMap::new());

/// How many links a path may go through.
const DEPTH: usize = 16;

/// A path in the form the object manager keeps it: programs' prefixes and aliases of the link directory become `\??\`.
fn canonical(path: &str) -> String {
    let upper = path.to_uppercase();
    for alias in ["\\\\.\\", "\\\\?\\", "\\DOSDEVICES\\", "\\GLOBAL??\\"] {
        if let Some(rest) = upper.strip_prefix(alias) {
            return canonical(&format!("\\??\\{rest}"));
        }
    }
    if let Some(rest) = upper.strip_prefix("\\??\\GLOBAL\\") {
        return format!("\\??\\{rest}");
    }
    upper
}

/// Gives `entry` a name.
pub fn insert(name: &str, entry: Entry) -> Result<(), NtStatus> {
    if !name.starts_with('\\') {
        return Err(NtStatus::OBJECT_PATH_SYNTAX_BAD);
    }
    let mut names = NAMES.lock();
    let key = canonical(name);
    if names.contains_key(&key) {
        return Err(NtStatus::OBJECT_NAME_COLLISION);
    }
    names.insert(key, entry);
    Ok(())
}

/// Frees a name; says whether it was in use.
pub fn remove(name: &str) -> bool {
    NAMES.lock().remove(&canonical(name)).is_some()
}

/// IoCreateSymbolicLink.
pub fn create_link(link: &str, target: &str) -> Result<(), NtStatus> {
    insert(link, Entry::Link(target.to_owned()))
}

/// IoDeleteSymbolicLink.
pub fn delete_link(link: &str) -> Result<(), NtStatus> {
    let mut names = NAMES.lock();
    let key = canonical(link);
    match names.get(&key) {
        Some(Entry::Link(_)) => {
            names.remove(&key);
            Ok(())
        }
        Some(Entry::Device(_)) => Err(NtStatus::OBJECT_TYPE_MISMATCH),
        None => Err(NtStatus::OBJECT_NAME_NOT_FOUND),
    }
}

/// All symbolic links, with their targets, in order of name.
pub fn links() -> Vec<(String, String)> {
    let names = NAMES.lock();
    names
        .iter()
        .filter_map(|(name, entry)| match entry {
            Entry::Link(target) => Some((name.clone(), target.clone())),
            Entry::Device(_) => None,
        })
        .collect()
}

/// The device a path leads to, and what of the path is left for its driver (it begins with a backslash or is empty).
pub fn resolve(path: &str) -> Result<(Address<DeviceObject>, String), NtStatus> {
    if !path.starts_with('\\') {
        return Err(NtStatus::OBJECT_PATH_SYNTAX_BAD);
    }
    let names = NAMES.lock();
    let mut path = path.to_owned();
    for _ in 0..DEPTH {
        let key = canonical(&path);
        let (found, rest) = longest_prefix(&names, &key).ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?;
        // The rest as it was written: upper-casing does not change the part's length in characters.
        let tail_length = rest.chars().count();
        let written: String = {
            let characters: Vec<char> = path.chars().collect();
            characters[characters.len().saturating_sub(tail_length)..]
                .iter()
                .collect()
        };
        match found {
            Entry::Device(device) => return Ok((*device, written)),
            Entry::Link(target) => path = format!("{target}{written}"),
        }
    }
    Err(NtStatus::OBJECT_NAME_INVALID)
}

/// The longest name that is the whole path or ends where a component of it ends.
fn longest_prefix<'a, 'p>(
    names: &'a BTreeMap<String, Entry>,
    path: &'p str,
) -> Option<(&'a Entry, &'p str)> {
    let ends =
        std::iter::once(path.len()).chain(path.rmatch_indices('\\').map(|(position, _)| position));
    for end in ends {
        if end == 0 {
            break;
        }
        if let Some(entry) = names.get(&path[..end]) {
            return Some((entry, &path[end..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusty_fork::rusty_fork_test;

    rusty_fork_test! {
        #[test]
        fn a_path_goes_through_links_and_keeps_the_rest_as_written() {
            let device = Address(0x1000 as *mut DeviceObject);
            insert("\\Device\\Pier", Entry::Device(device)).unwrap();
            create_link("\\DosDevices\\Pier0", "\\device\\PIER").unwrap();
            for path in ["\\\\.\\pier0\\Sub\\x", "\\??\\PIER0\\Sub\\x", "\\Device\\Pier\\Sub\\x"] {
                let (found, rest) = resolve(path).unwrap();
                assert_eq!((found, rest.as_str()), (device, "\\Sub\\x"), "{path}");
            }
            assert_eq!(resolve("\\\\.\\pier00").unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND);
            assert_eq!(create_link("\\??\\pier0", "x"), Err(NtStatus::OBJECT_NAME_COLLISION));
            assert_eq!(delete_link("\\GLOBAL??\\Pier0"), Ok(()));
            assert_eq!(resolve("\\\\.\\pier0").unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND);
        }

        #[test]
        fn links_that_lead_in_a_circle_are_refused() {
            create_link("\\??\\A", "\\??\\B").unwrap();
            create_link("\\??\\B", "\\??\\A").unwrap();
            assert_eq!(resolve("\\\\.\\A").unwrap_err(), NtStatus::OBJECT_NAME_INVALID);
        }
    }
}
