//! The methods that write registry values.

use super::collection::Collection;
use super::ddi::{Call, PASSIVE, export};
use super::guest;
use super::handle;
use super::memory;
use super::registry::Key;
use super::string::Text;
use crate::nt::registry::{self, REG_DWORD, REG_MULTI_SZ, REG_SZ, Value};
use crate::nt::status::NtStatus;

export! {
    "WdfRegistryAssignValue" => assign_value[key: u64, name: u64, kind: u32, length: u32, data: u64] -> NtStatus, PASSIVE;
    "WdfRegistryAssignMemory" => assign_memory[key: u64, name: u64, kind: u32, memory: u64, offset: u64] -> NtStatus, PASSIVE;
    "WdfRegistryAssignMultiString" => assign_multi_string[key: u64, name: u64, collection: u64] -> NtStatus, PASSIVE;
    "WdfRegistryAssignUnicodeString" => assign_unicode_string[key: u64, name: u64, text: u64] -> NtStatus, PASSIVE;
    "WdfRegistryAssignString" => assign_string[key: u64, name: u64, string: u64] -> NtStatus, PASSIVE;
    "WdfRegistryAssignULong" => assign_ulong[key: u64, name: u64, value: u32] -> NtStatus, PASSIVE;
}

fn assign(call: &Call, key: u64, name: u64, kind: u32, data: Vec<u8>) -> NtStatus {
    call.require(name, "ValueName");
    let key = handle::resolve::<Key>(key);
    let value = Value {
        name: guest::unicode_string(name),
        kind,
        data,
    };
    match registry::set(key.path(), value) {
        Ok(()) => NtStatus::SUCCESS,
        Err(status) => status,
    }
}

/// `WdfRegistryAssignValue`: a value as it is.
fn assign_value(call: &Call, key: u64, name: u64, kind: u32, length: u32, data: u64) -> NtStatus {
    call.require(data, "Value");
    assign(call, key, name, kind, guest::bytes(data, length as usize))
}

/// `WdfRegistryAssignMemory`: a value from a memory object; `offset`, if given, names the part (offset and length).
fn assign_memory(
    call: &Call,
    key: u64,
    name: u64,
    kind: u32,
    memory: u64,
    offset: u64,
) -> NtStatus {
    let view = memory::resolve(memory);
    let (from, length) = if offset == 0 {
        (0, view.size as u64)
    } else {
        (guest::read::<u64>(offset), guest::read::<u64>(offset + 8))
    };
    if from
        .checked_add(length)
        .is_none_or(|end| end > view.size as u64)
    {
        return NtStatus::INVALID_PARAMETER;
    }
    assign(
        call,
        key,
        name,
        kind,
        guest::bytes(view.address + from, length as usize),
    )
}

/// `WdfRegistryAssignMultiString`: a REG_MULTI_SZ from the string objects of a collection.
fn assign_multi_string(call: &Call, key: u64, name: u64, collection: u64) -> NtStatus {
    let collection = handle::resolve::<Collection>(collection);
    let mut data = Vec::new();
    for member in collection.members() {
        match member.body::<Text>() {
            Some(string) => data.extend(text_bytes(&string.text())),
            None => return NtStatus::INVALID_PARAMETER,
        }
    }
    data.extend([0, 0]);
    assign(call, key, name, REG_MULTI_SZ, data)
}

fn text_bytes(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

/// `WdfRegistryAssignUnicodeString`: a REG_SZ from a UNICODE_STRING.
fn assign_unicode_string(call: &Call, key: u64, name: u64, text: u64) -> NtStatus {
    call.require(text, "Value");
    let text = guest::unicode_string(text);
    assign(call, key, name, REG_SZ, text_bytes(&text))
}

/// `WdfRegistryAssignString`: a REG_SZ from a string object.
fn assign_string(call: &Call, key: u64, name: u64, string: u64) -> NtStatus {
    let text = handle::resolve::<Text>(string).text();
    assign(call, key, name, REG_SZ, text_bytes(&text))
}

/// `WdfRegistryAssignULong`: a REG_DWORD.
fn assign_ulong(call: &Call, key: u64, name: u64, value: u32) -> NtStatus {
    assign(call, key, name, REG_DWORD, value.to_le_bytes().to_vec())
}
