//! Rtl: counted strings.

use super::crt::{units_of, wide_length};
use super::exports;
use crate::nt::abi::{AnsiString, UnicodeString, at, read_bytes, text_at, write_bytes, write_out};
use crate::nt::pool::{self, PoolKind, Tag};
use crate::nt::status::NtStatus;

const TAG: Tag = Tag::new(b"RtlS");

fn bytes(units: &[u16]) -> Vec<u8> {
    units.iter().flat_map(|unit| unit.to_le_bytes()).collect()
}

fn fold(units: &[u16], fold_case: bool) -> Vec<u16> {
    if !fold_case {
        return units.to_vec();
    }
    String::from_utf16_lossy(units)
        .to_uppercase()
        .encode_utf16()
        .collect()
}

fn append(to: *mut UnicodeString, units: &[u16]) -> NtStatus {
    let view = at(to);
    let (length, added) = (usize::from(view.length.get()), units.len() * 2);
    if length + added > usize::from(view.maximum_length.get()) {
        return NtStatus::BUFFER_TOO_SMALL;
    }
    let end = view.buffer.get().cast::<u8>().wrapping_add(length);
    write_bytes(end, &bytes(units));
    view.length.set((length + added) as u16);
    if length + added + 2 <= usize::from(view.maximum_length.get()) {
        write_out(end.wrapping_add(added).cast::<u16>(), 0);
    }
    NtStatus::SUCCESS
}

/// Stores text in a driver's string, or in a fresh buffer of it.
fn give_wide(to: *mut UnicodeString, units: &[u16], allocate: bool) -> NtStatus {
    let view = at(to);
    let data = bytes(units);
    if allocate {
        let buffer = pool::allocate(PoolKind::Paged, data.len() + 2, TAG, true);
        if buffer.is_null() {
            return NtStatus::NO_MEMORY;
        }
        view.point_at(buffer.cast(), 0, data.len() as u16 + 2);
    }
    if data.len() > usize::from(view.maximum_length.get()) {
        return NtStatus::BUFFER_OVERFLOW;
    }
    view.length.set(0);
    append(to, units)
}

/// OBJECT_NAME_INFORMATION: a string and its characters behind it.
pub(super) fn name_information(
    name: &str,
    buffer: *mut u8,
    length: u32,
    needed: *mut u32,
) -> NtStatus {
    let units: Vec<u16> = name.encode_utf16().collect();
    let size = size_of::<UnicodeString>() + units.len() * 2 + 2;
    write_out(needed, size as u32);
    if (length as usize) < size {
        return NtStatus::INFO_LENGTH_MISMATCH;
    }
    let text = buffer.wrapping_add(size_of::<UnicodeString>());
    at(buffer.cast::<UnicodeString>()).point_at(text.cast(), 0, units.len() as u16 * 2 + 2);
    append(buffer.cast(), &units)
}

exports! {
    ANY fn RtlInitUnicodeString(string: *mut UnicodeString, source: *mut u16) {
        let length = if source.is_null() { 0 } else { (wide_length(source) * 2).min(0xfffc) as u16 };
        at(string).point_at(source, length, if source.is_null() { 0 } else { length + 2 });
    }
    ANY fn RtlInitAnsiString(string: *mut AnsiString, source: *mut u8) {
        let length = if source.is_null() { 0 } else { super::crt::bytes_of(source).len().min(0xfffe) as u16 };
        let view = at(string);
        view.length.set(length);
        view.maximum_length.set(if source.is_null() { 0 } else { length + 1 });
        view.buffer.set(source);
    }
    ANY fn RtlCopyUnicodeString(to: *mut UnicodeString, from: *mut UnicodeString) {
        let view = at(to);
        if from.is_null() {
            view.length.set(0);
            return;
        }
        let mut units = at(from).units();
        units.truncate(usize::from(view.maximum_length.get()) / 2);
        view.length.set(0);
        let _ = append(to, &units);
    }
    PASSIVE fn RtlAppendUnicodeStringToString(to: *mut UnicodeString, from: *mut UnicodeString) -> NtStatus {
        append(to, &at(from).units())
    }
    PASSIVE fn RtlAppendUnicodeToString(to: *mut UnicodeString, from: *const u16) -> NtStatus {
        if from.is_null() { NtStatus::SUCCESS } else { append(to, &units_of(from)) }
    }
    PASSIVE fn RtlCompareUnicodeString(a: *mut UnicodeString, b: *mut UnicodeString, ignore_case: u8) -> i32 {
        let (a, b) = (fold(&at(a).units(), ignore_case != 0), fold(&at(b).units(), ignore_case != 0));
        a.cmp(&b) as i32
    }
    PASSIVE fn RtlEqualUnicodeString(a: *mut UnicodeString, b: *mut UnicodeString, ignore_case: u8) -> u8 {
        u8::from(fold(&at(a).units(), ignore_case != 0) == fold(&at(b).units(), ignore_case != 0))
    }
    PASSIVE fn RtlPrefixUnicodeString(prefix: *mut UnicodeString, string: *mut UnicodeString, ignore_case: u8) -> u8 {
        let prefix = fold(&at(prefix).units(), ignore_case != 0);
        u8::from(fold(&at(string).units(), ignore_case != 0).starts_with(&prefix))
    }
    PASSIVE fn RtlUpcaseUnicodeString(to: *mut UnicodeString, from: *mut UnicodeString, allocate: u8) -> NtStatus {
        give_wide(to, &fold(&at(from).units(), true), allocate != 0)
    }
    PASSIVE fn RtlUpcaseUnicodeChar(unit: u16) -> u16 {
        fold(&[unit], true).first().copied().unwrap_or(unit)
    }
    PASSIVE fn RtlDowncaseUnicodeChar(unit: u16) -> u16 {
        String::from_utf16_lossy(&[unit]).to_lowercase().encode_utf16().next().unwrap_or(unit)
    }
    PASSIVE fn RtlAnsiStringToUnicodeString(to: *mut UnicodeString, from: *mut AnsiString, allocate: u8) -> NtStatus {
        let view = at(from);
        let units: Vec<u16> = read_bytes(view.buffer.get(), view.length.get().into()).into_iter().map(u16::from).collect();
        give_wide(to, &units, allocate != 0)
    }
    PASSIVE fn RtlUnicodeStringToAnsiString(to: *mut AnsiString, from: *mut UnicodeString, allocate: u8) -> NtStatus {
        let text: Vec<u8> = at(from).units().iter().map(|unit| u8::try_from(*unit).unwrap_or(b'?')).collect();
        let view = at(to);
        if allocate != 0 {
            view.buffer.set(pool::allocate(PoolKind::Paged, text.len() + 1, TAG, true));
            view.maximum_length.set(text.len() as u16 + 1);
        }
        if text.len() + 1 > usize::from(view.maximum_length.get()) {
            return NtStatus::BUFFER_OVERFLOW;
        }
        write_bytes(view.buffer.get(), &text);
        write_out(view.buffer.get().wrapping_add(text.len()), 0);
        view.length.set(text.len() as u16);
        NtStatus::SUCCESS
    }
    PASSIVE fn RtlFreeUnicodeString(string: *mut UnicodeString) {
        let view = at(string);
        if !view.buffer.get().is_null() {
            pool::free(view.buffer.get().cast(), None);
            view.point_at(std::ptr::null_mut(), 0, 0);
        }
    }
    PASSIVE fn RtlFreeAnsiString(string: *mut AnsiString) {
        let view = at(string);
        if !view.buffer.get().is_null() {
            pool::free(view.buffer.get(), None);
            view.buffer.set(std::ptr::null_mut());
            view.length.set(0);
            view.maximum_length.set(0);
        }
    }
    PASSIVE fn RtlIntegerToUnicodeString(value: u32, base: u32, to: *mut UnicodeString) -> NtStatus {
        let text = match base {
            0 | 10 => value.to_string(),
            2 => format!("{value:b}"),
            8 => format!("{value:o}"),
            16 => format!("{value:X}"),
            _ => return NtStatus::INVALID_PARAMETER,
        };
        give_wide(to, &text.encode_utf16().collect::<Vec<_>>(), false)
    }
    PASSIVE fn RtlUnicodeStringToInteger(string: *mut UnicodeString, base: u32, value: *mut u32) -> NtStatus {
        let text = text_at(string);
        let text = text.trim_start();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (base, text) = match (base, text.get(..2)) {
            (0, Some("0x")) => (16, &text[2..]),
            (0, Some("0o")) => (8, &text[2..]),
            (0, Some("0b")) => (2, &text[2..]),
            (0, _) => (10, text),
            (base @ (2 | 8 | 10 | 16), _) => (base, text),
            _ => return NtStatus::INVALID_PARAMETER,
        };
        let number = text
            .chars()
            .map_while(|digit| digit.to_digit(base))
            .fold(0u32, |sum, digit| sum.wrapping_mul(base).wrapping_add(digit));
        write_out(value, if negative { number.wrapping_neg() } else { number });
        NtStatus::SUCCESS
    }
}
