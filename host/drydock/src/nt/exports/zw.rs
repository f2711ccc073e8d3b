//! Zw: the registry.

use super::exports;
use crate::nt::abi::{Field, UnicodeString, at, layout, text_at, write_bytes, write_out};
use crate::nt::registry::{self, Value};
use crate::nt::status::NtStatus;
use crate::verify;

/// OBJECT_ATTRIBUTES.
#[repr(C)]
struct ObjectAttributes {
    length: Field<u32>,
    root: Field<u64>,
    name: Field<*mut UnicodeString>,
    attributes: Field<u32>,
    security: Field<*mut u8>,
    quality: Field<*mut u8>,
}
layout!(ObjectAttributes, "OBJECT_ATTRIBUTES", 0x30, { length: 0, root: 8, name: 16, attributes: 24, security: 32 });

fn path_of(attributes: *mut ObjectAttributes) -> Result<String, NtStatus> {
    let view = at(attributes);
    let name = text_at(view.name.get());
    if view.root.get() == 0 {
        return Ok(name);
    }
    let root = registry::path_of(view.root.get())?;
    Ok(if name.is_empty() {
        root
    } else {
        format!("{root}\\{name}")
    })
}

fn give_handle(out: *mut u64, opened: Result<u64, NtStatus>) -> NtStatus {
    match opened {
        Ok(handle) => {
            write_out(out, handle);
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// KEY_VALUE_BASIC_INFORMATION, _FULL_ and _PARTIAL_.
fn value_information(value: &Value, class: u32) -> Option<(Vec<u8>, usize)> {
    let name: Vec<u8> = value
        .name
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let word = |value: usize| (value as u32).to_le_bytes();
    let mut out = vec![0; 4];
    out.extend(value.kind.to_le_bytes());
    match class {
        0 => {
            out.extend(word(name.len()));
            out.extend(name);
            Some((out, 12))
        }
        1 => {
            let offset = (20 + name.len()).next_multiple_of(8);
            out.extend(word(offset));
            out.extend(word(value.data.len()));
            out.extend(word(name.len()));
            out.extend(name);
            out.resize(offset, 0);
            out.extend(&value.data);
            Some((out, 20))
        }
        2 => {
            out.extend(word(value.data.len()));
            out.extend(&value.data);
            Some((out, 12))
        }
        _ => None,
    }
}

exports! {
    PASSIVE fn ZwOpenKey(out: *mut u64, _access: u32, attributes: *mut ObjectAttributes) -> NtStatus {
        give_handle(out, path_of(attributes).and_then(|path| registry::open(&path)))
    }
    PASSIVE fn ZwOpenKeyEx(out: *mut u64, _access: u32, attributes: *mut ObjectAttributes, _options: u32) -> NtStatus {
        give_handle(out, path_of(attributes).and_then(|path| registry::open(&path)))
    }
    PASSIVE fn ZwCreateKey(out: *mut u64, _access: u32, attributes: *mut ObjectAttributes, _index: u32, _class: *mut UnicodeString, _options: u32, disposition: *mut u32) -> NtStatus {
        let opened = path_of(attributes).and_then(|path| {
            // REG_CREATED_NEW_KEY, REG_OPENED_EXISTING_KEY.
            write_out(disposition, if registry::create(&path) { 1 } else { 2 });
            registry::open(&path)
        });
        give_handle(out, opened)
    }
    PASSIVE fn ZwQueryValueKey(key: u64, name: *mut UnicodeString, class: u32, buffer: *mut u8, length: u32, needed: *mut u32) -> NtStatus {
        let value = registry::path_of(key).and_then(|path| registry::query(&path, &text_at(name)));
        let value = match value {
            Ok(value) => value,
            Err(status) => return status,
        };
        let Some((bytes, fixed)) = value_information(&value, class) else {
            verify::unimplemented(&format!("ZwQueryValueKey with information class {class}"));
        };
        write_out(needed, bytes.len() as u32);
        if (length as usize) < fixed {
            return NtStatus::BUFFER_TOO_SMALL;
        }
        let shown = bytes.len().min(length as usize);
        write_bytes(buffer, &bytes[..shown]);
        if shown < bytes.len() { NtStatus::BUFFER_OVERFLOW } else { NtStatus::SUCCESS }
    }
    PASSIVE fn ZwSetValueKey(key: u64, name: *mut UnicodeString, _index: u32, kind: u32, data: *const u8, length: u32) -> NtStatus {
        let data = crate::nt::abi::read_bytes(data, length as usize);
        let value = Value { name: text_at(name), kind, data };
        NtStatus::of(registry::path_of(key).and_then(|path| registry::set(&path, value)))
    }
    PASSIVE fn ZwDeleteValueKey(key: u64, name: *mut UnicodeString) -> NtStatus {
        NtStatus::of(registry::path_of(key).and_then(|path| registry::delete_value(&path, &text_at(name))))
    }
    PASSIVE fn ZwDeleteKey(key: u64) -> NtStatus {
        NtStatus::of(registry::path_of(key).and_then(|path| registry::delete(&path)))
    }
    PASSIVE fn ZwFlushKey(_key: u64) -> NtStatus {
        NtStatus::SUCCESS
    }
}
