//! The registry: keys and values in memory, for service keys and device parameters.

use super::object::{self, Kind};
use super::status::NtStatus;
use crate::sched::Lock;
use std::collections::BTreeMap;

/// REG_SZ.
pub const REG_SZ: u32 = 1;
/// REG_EXPAND_SZ.
pub const REG_EXPAND_SZ: u32 = 2;
/// REG_BINARY.
pub const REG_BINARY: u32 = 3;
/// REG_DWORD.
pub const REG_DWORD: u32 = 4;
/// REG_MULTI_SZ.
pub const REG_MULTI_SZ: u32 = 7;
/// REG_QWORD.
pub const REG_QWORD: u32 = 11;

/// A value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The name as it was written.
    pub name: String,
    /// REG_*.
    pub kind: u32,
    /// The bytes.
    pub data: Vec<u8>,
}

impl Value {
    /// A REG_DWORD.
    pub fn dword(name: &str, value: u32) -> Self {
        Self {
            name: name.to_owned(),
            kind: REG_DWORD,
            data: value.to_le_bytes().to_vec(),
        }
    }

    /// A REG_SZ.
    pub fn string(name: &str, value: &str) -> Self {
        let units = value.encode_utf16().chain([0]);
        Self {
            name: name.to_owned(),
            kind: REG_SZ,
            data: units.flat_map(u16::to_le_bytes).collect(),
        }
    }

    /// A REG_MULTI_SZ.
    pub fn strings(name: &str, values: &[&str]) -> Self {
        let units = values
            .iter()
            .flat_map(|value| value.encode_utf16().chain([0]))
            .chain([0]);
        let data = units.flat_map(u16::to_le_bytes).collect();
        Self {
            name: name.to_owned(),
            kind: REG_MULTI_SZ,
            data,
        }
    }
}

#[derive(Default)]
struct Key {
    /// By upper-case name.
    values: BTreeMap<String, Value>,
}

/// All keys by their upper-case path.
static KEYS: Lock<BTreeMap<String, Key>> = Lock::new(BTreeMap::new());

fn fold(path: &str) -> String {
    path.trim_end_matches('\\').to_uppercase()
}

/// Where services are.
pub const SERVICES: &str = "\\Registry\\Machine\\System\\CurrentControlSet\\Services";

/// Makes a key, and those above it; says whether it is new.
pub fn create(path: &str) -> bool {
    let path = fold(path);
    let mut keys = KEYS.lock();
    let mut fresh = false;
    for (end, _) in path.match_indices('\\').skip(1) {
        keys.entry(path[..end].to_owned()).or_default();
    }
    keys.entry(path).or_insert_with(|| {
        fresh = true;
        Key::default()
    });
    fresh
}

/// True if there is such a key.
pub fn exists(path: &str) -> bool {
    KEYS.lock().contains_key(&fold(path))
}

/// Deletes a key that has none below it.
pub fn delete(path: &str) -> Result<(), NtStatus> {
    let path = fold(path);
    let mut keys = KEYS.lock();
    let below = format!("{path}\\");
    if keys
        .range(below.clone()..)
        .next()
        .is_some_and(|(name, _)| name.starts_with(&below))
    {
        return Err(NtStatus::ACCESS_DENIED);
    }
    keys.remove(&path)
        .map(|_| ())
        .ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)
}

/// Reads a value.
pub fn query(path: &str, name: &str) -> Result<Value, NtStatus> {
    let keys = KEYS.lock();
    let key = keys
        .get(&fold(path))
        .ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?;
    key.values
        .get(&name.to_uppercase())
        .cloned()
        .ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)
}

/// Writes a value.
pub fn set(path: &str, value: Value) -> Result<(), NtStatus> {
    let mut keys = KEYS.lock();
    let key = keys
        .get_mut(&fold(path))
        .ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?;
    key.values.insert(value.name.to_uppercase(), value);
    Ok(())
}

/// Deletes a value.
pub fn delete_value(path: &str, name: &str) -> Result<(), NtStatus> {
    let mut keys = KEYS.lock();
    let key = keys
        .get_mut(&fold(path))
        .ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?;
    key.values
        .remove(&name.to_uppercase())
        .map(|_| ())
        .ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)
}

/// A driver's service key, to be made before the driver is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceKey {
    /// The service's name.
    pub name: String,
    /// Values below the service's `Parameters` key.
    pub parameters: Vec<Value>,
    /// Values below `Parameters\Wdf`, such as `VerifierOn`.
    pub framework: Vec<Value>,
}

impl ServiceKey {
    /// A service without parameters.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            parameters: Vec::new(),
            framework: Vec::new(),
        }
    }

    /// The key's path, as DriverEntry gets it.
    pub fn path(&self) -> String {
        format!("{SERVICES}\\{}", self.name)
    }

    /// Writes the key.
    pub fn write(&self) -> Result<(), NtStatus> {
        let parameters = format!("{}\\Parameters", self.path());
        let framework = format!("{parameters}\\Wdf");
        create(&framework);
        for value in &self.parameters {
            set(&parameters, value.clone())?;
        }
        for value in &self.framework {
            set(&framework, value.clone())?;
        }
        Ok(())
    }
}

/// Open keys, by their object.
static OPEN: Lock<BTreeMap<usize, String>> = Lock::new(BTreeMap::new());

/// Opens a key that exists; gives a kernel handle.
pub fn open(path: &str) -> Result<u64, NtStatus> {
    if !exists(path) {
        return Err(NtStatus::OBJECT_NAME_NOT_FOUND);
    }
    let key = object::create(Kind::Key, 16);
    OPEN.lock()
        .insert(key as usize, path.trim_end_matches('\\').to_owned());
    Ok(object::open_handle(key))
}

/// The path of an open key.
pub fn path_of(handle: u64) -> Result<String, NtStatus> {
    let key = object::by_handle(handle)?;
    let path = OPEN.lock().get(&(key as usize)).cloned();
    object::dereference_any(key);
    path.ok_or(NtStatus::OBJECT_TYPE_MISMATCH)
}

/// The last reference of an open key is gone. Called by the object manager.
pub(super) fn close_key(key: *mut u8) {
    OPEN.lock().remove(&(key as usize));
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusty_fork::rusty_fork_test;

    rusty_fork_test! {
        #[test]
        fn names_of_keys_and_values_do_not_differ_by_case() {
            let mut service = ServiceKey::new("Pier");
            service.parameters.push(Value::dword("Latency", 7));
            service.write().unwrap();
            let found = query(&format!("{SERVICES}\\PIER\\parameters"), "LATENCY").unwrap();
            assert_eq!((found.name.as_str(), found.data), ("Latency", vec![7, 0, 0, 0]));
            assert_eq!(delete(&service.path()), Err(NtStatus::ACCESS_DENIED));
            let handle = open(&service.path()).unwrap();
            assert_eq!(path_of(handle).unwrap(), service.path());
            assert!(object::close_handle(handle).is_success());
            assert_eq!(path_of(handle), Err(NtStatus::INVALID_HANDLE));
        }
    }
}
